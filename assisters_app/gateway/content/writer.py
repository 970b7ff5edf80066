"""Takes down what was said, once a call is over: it never keeps a caller waiting, and loses it rather than do so."""

import asyncio
import logging
from collections import deque
from contextlib import suppress

from sqlalchemy.exc import SQLAlchemyError

from assisters_app.base import db
from assisters_app.gateway.content import contents
from assisters_app.gateway.content.contents import Said

MOST = 32 * 2**20  # characters that may wait in one process; more is not kept
AT_ONCE = 50  # calls in one transaction
LAST_WORDS = 5.0  # seconds that an ending process gives to what waits

logger = logging.getLogger(__name__)


class Writer:
    """Writes in the background of one process. It begins with the first that is put into it."""

    def __init__(self) -> None:
        self._waiting: deque[Said] = deque()
        self._size = 0
        self._task: asyncio.Task[None] | None = None

    def put(self, said: Said) -> None:
        """Have `said` written soon, if there is room."""
        size = len(said.sent.text) + len(said.got.text)
        if self._size + size > MOST:
            logger.warning("Content of a call was not kept: more waits to be written than there is room for.")
            return
        self._waiting.append(said)
        self._size += size
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._write())

    async def close(self) -> None:
        """Write what waits, as far as that is quick."""
        if self._task is not None:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._task, LAST_WORDS)

    async def _write(self) -> None:
        while self._waiting:
            some = [self._waiting.popleft() for _ in range(min(AT_ONCE, len(self._waiting)))]
            self._size -= sum(len(said.sent.text) + len(said.got.text) for said in some)
            try:
                async with db.transaction() as tx:
                    written = await contents.keep(tx, some)
            except (SQLAlchemyError, OSError):
                logger.warning("Content of %s calls was not kept: the database is away.", len(some))
            else:
                if written < len(some):
                    logger.warning("Content of %s calls was not kept: no key for it.", len(some) - written)
