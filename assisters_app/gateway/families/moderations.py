"""Moderations: whether texts and pictures are harmful, by category.

request(body, offer) -> Ask                           checks what we rely on; everything else passes through

Sold by the token. Upstreams seldom tell how many there were, so most often they are counted by us, and said to be.
"""

from typing import Any

from assisters_app.gateway import checks, tokens
from assisters_app.gateway.calls import Bound, Usage
from assisters_app.gateway.catalog import Offer
from assisters_app.gateway.checks import wrong
from assisters_app.gateway.families import answers
from assisters_app.gateway.families.ask import Ask

PATH = "/moderations"
MOST_INPUTS = 1_000
KNOWN = frozenset({"model", "input"})


def request(body: dict[str, Any], _offer: Offer) -> Ask:
    """Check a request; raise Refused with the parameter at fault."""
    sent = checks.at_list_price(body)
    _check_input(sent.get("input"))
    bound_by_bytes, counted = checks.weight(sent), tokens.of_moderation(sent["input"])
    counted_at_most = checks.with_margin(counted + tokens.of_the_rest(sent, KNOWN))
    bound = Bound(counted_at_most, max(bound_by_bytes, counted_at_most))

    def used(answer: dict[str, Any]) -> Usage:
        return answers.usage_of(answer.get("usage")) or Usage(counted, estimated=True)

    return Ask(PATH, sent, bound, used)


def _check_input(given: Any) -> None:  # noqa: ANN401 (any JSON)
    if isinstance(given, str) and given:
        return
    if not isinstance(given, list) or not given:
        raise wrong("input", "must be a text, or a list of texts or of parts, and not empty")
    if len(given) > MOST_INPUTS:
        raise wrong("input", f"may hold at most {MOST_INPUTS} entries")
    if not all(isinstance(one, str) for one in given) and not all(_is_part(one) for one in given):
        raise wrong("input", "must hold only texts, or only parts with a `text` or an `image_url`")


def _is_part(one: Any) -> bool:  # noqa: ANN401 (as above)
    if not isinstance(one, dict):
        return False
    if one.get("type") == "text":
        return isinstance(one.get("text"), str)
    return one.get("type") == "image_url" and isinstance(one.get("image_url"), dict)
