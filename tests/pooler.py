"""A pooler by transaction in front of PostgreSQL, as hosts put it there, and as unkind to those who rely on a session.

    async with by_transaction(postgres_url) as (url, pooler): …

Each transaction gets the server connection that waited longest, so that hardly two of a client's are on the same one.
Who opens a connection with options is refused, as pgbouncer refuses them. `pooler.moves` counts how often a client was
given another connection than it had before. Each client's login makes one server connection, which stays in the pool.
"""

import asyncio
import struct
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit

READY, ERROR = b"Z", b"E"
IDLE = b"I"  # of a server that is in no transaction
ANSWERED = {b"Q", b"S"}  # a query and a sync: each is answered by a ReadyForQuery
SSL_REQUEST = 80_877_103


@asynccontextmanager
async def by_transaction(url):
    """Serve a pooler for the length of the block; yield the database's address through it, and the pooler."""
    address = urlsplit(url)
    pooler = Pooler(address.hostname, address.port)
    server = await asyncio.start_server(pooler.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    through = address._replace(netloc=f"{address.netloc.rpartition('@')[0]}@127.0.0.1:{port}")
    try:
        yield through.geturl(), pooler
    finally:
        server.close()
        pooler.close()


class Pooler:
    def __init__(self, host, port):
        self.host, self.port = host, port
        self.idle = asyncio.Queue()
        self.every, self.moves, self.refused = [], 0, 0

    def close(self):
        for _, writer in self.every:
            writer.close()

    async def serve(self, reader, writer):
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            if await self._logged_in(reader, writer):
                await self._transactions(reader, writer)
        writer.close()

    async def _logged_in(self, reader, writer):
        """Hand a login through to the server, and keep the connection that it made."""
        start = await _untyped(reader)
        while struct.unpack("!I", start[4:8])[0] == SSL_REQUEST:
            writer.write(b"N")
            start = await _untyped(reader)
        if b"\0options\0" in start:
            self.refused += 1
            told = b"SFATAL\0C08P01\0Munsupported startup parameter: options\0\0"
            writer.write(ERROR + struct.pack("!I", len(told) + 4) + told)
            return False
        server = await asyncio.open_connection(self.host, self.port)
        self.every.append(server)
        server[1].write(start)
        forth = asyncio.create_task(_pour(reader, server[1]))
        try:
            while True:
                kind, message = await _typed(server[0])
                writer.write(message)
                if kind == READY:
                    break
                if kind == ERROR:
                    return False
        finally:
            forth.cancel()
            await asyncio.gather(forth, return_exceptions=True)
        self.idle.put_nowait(server)
        return True

    async def _transactions(self, reader, writer):
        had = None
        while True:
            kind, message = await _typed(reader)
            if kind == b"X":
                return
            server = await self.idle.get()
            self.moves += had is not None and server is not had
            had = server
            await self._one(kind, message, reader, writer, server)
            self.idle.put_nowait(server)

    async def _one(self, kind, message, reader, writer, server):
        """Hand messages to and fro until the server is in no transaction, and has answered all."""
        server[1].write(message)
        waited_for = kind in ANSWERED
        asking, answering = (asyncio.create_task(_typed(one)) for one in (reader, server[0]))
        try:
            while True:
                await asyncio.wait({asking, answering}, return_when=asyncio.FIRST_COMPLETED)
                if asking.done():
                    kind, message = asking.result()
                    waited_for += kind in ANSWERED
                    server[1].write(message)
                    asking = asyncio.create_task(_typed(reader))
                if answering.done():
                    kind, message = answering.result()
                    waited_for -= kind == READY
                    if kind == READY and message[-1:] == IDLE and not waited_for:
                        await _stopped(asking)
                        writer.write(message)
                        return
                    writer.write(message)
                    answering = asyncio.create_task(_typed(server[0]))
        finally:
            await _stopped(asking, answering)


async def _stopped(*tasks):
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def _untyped(reader):
    length = await reader.readexactly(4)
    return length + await reader.readexactly(struct.unpack("!I", length)[0] - 4)


async def _typed(reader):
    """Return the kind of the next message, and all of it."""
    head = await reader.readexactly(5)
    return head[:1], head + await reader.readexactly(struct.unpack("!I", head[1:])[0] - 4)


async def _pour(reader, writer):
    while data := await reader.read(65_536):
        writer.write(data)
