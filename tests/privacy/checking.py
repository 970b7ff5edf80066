"""Checks of promises, asked by hand."""

import pytest

from assisters_app.base.db import transaction
from assisters_app.privacy.promises import Broken


async def found(check):
    """Return what a check finds; it raises where the promise is broken."""
    async with transaction() as tx:
        return await check(tx)


async def broken(check):
    """Return why a promise is broken; fail where it holds."""
    with pytest.raises(Broken) as problem:
        await found(check)
    return str(problem.value)
