"""Serves the stand-in: in a process of its own for development, in a thread for tests."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from granian.constants import Interfaces
from granian.server.embed import Server

from assisters_app.doubles.stripe.app import application
from assisters_app.doubles.stripe.books import Books, opened
from assisters_app.doubles.stripe.courier import Courier

START = 10.0  # seconds for the server to answer


async def serve(books: Books, courier: Courier, port: int) -> None:
    """Serve on loopback until cancelled."""
    server = Server(
        application(books, courier), port=port, interface=Interfaces.ASGINL, websockets=False, log_enabled=False
    )
    try:
        await server.serve()
    finally:
        await courier.close()


@dataclass(frozen=True, slots=True)
class Served:
    """A stand-in that runs. `url` is the API's base and where its pages are."""

    url: str
    books: Books
    client: httpx.Client

    def control(self, **orders: Any) -> dict[str, Any]:  # noqa: ANN401 (JSON)
        """Tell the stand-in what to do wrong, or to let happen (see `control`); return its state."""
        state: dict[str, Any] = self.client.post(f"{self.url}/_control", json=orders).raise_for_status().json()
        return state

    def press(self, page: str, button: str) -> httpx.Response:
        """Press `button` (pay, decline, later, cancel) on a checkout page; return the answer, not followed."""
        return self.client.post(page, data={"act": button})


@contextmanager
def served(webhook_url: str | None, secret: str, file: Path | None = None) -> Iterator[Served]:
    """Serve a stand-in in a thread on a free port for the length of the block."""
    port = _free_port()
    books = opened(f"http://127.0.0.1:{port}", file)
    loop = asyncio.new_event_loop()
    courier = Courier(books, webhook_url, secret)
    task = loop.create_task(serve(books, courier, port))
    thread = threading.Thread(target=_run, args=(loop, task), name="stripe-double")
    thread.start()
    try:
        with httpx.Client(trust_env=False, timeout=START, transport=httpx.HTTPTransport(retries=8)) as client:
            client.get(books.origin).raise_for_status()
            yield Served(books.origin, books, client)
    finally:
        loop.call_soon_threadsafe(task.cancel)
        thread.join(START)


def _run(loop: asyncio.AbstractEventLoop, task: "asyncio.Task[None]") -> None:
    asyncio.set_event_loop(loop)
    try:
        loop.run_until_complete(asyncio.gather(task, return_exceptions=True))
    finally:
        loop.close()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
