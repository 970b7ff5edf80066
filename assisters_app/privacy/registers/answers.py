"""Support (policy 2.6) is given in `assisters_app.support`; here we watch that it is."""

from datetime import timedelta

from assisters_app.base.clock import now
from assisters_app.base.db import Tx
from assisters_app.privacy import promises
from assisters_app.support import messages

ANSWERED_WITHIN = timedelta(days=7)  # ours to choose: the policy names no time


@promises.check("2.6", says="No question to support has waited for an answer for more than 7 days.")
async def support_is_given(tx: Tx) -> str:
    """Look for the question that has waited the longest."""
    count, since = await messages.longest_wait(tx)
    if since and now() - since > ANSWERED_WITHIN:
        raise promises.Broken(f"Somebody has waited for an answer since {since:%d %B %Y}.")
    return f"{count} questions wait for an answer, none of them for more than 7 days."
