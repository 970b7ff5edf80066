"""Runs the stand-in on loopback and prints a line when it is ready."""

import argparse
import asyncio
import contextlib
import os
import signal
import sys
from pathlib import Path

from assisters_app.doubles.stripe.books import opened
from assisters_app.doubles.stripe.courier import Courier
from assisters_app.doubles.stripe.serving import serve


def main() -> None:
    """Read the command line and serve until interrupted."""
    parser = argparse.ArgumentParser(prog="python -m assisters_app.doubles.stripe", description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--webhook-url", required=True, help="where signed events are delivered")
    parser.add_argument("--webhook-secret-env", required=True, help="the variable that holds the signing secret")
    parser.add_argument("--data", type=Path, help="a file that keeps what was made between two starts")
    options = parser.parse_args()
    if os.environ.get("ASSISTERS_ENV") != "development":
        sys.exit("The Stripe stand-in serves development only. Set ASSISTERS_ENV=development, or use Stripe itself.")
    secret = os.environ.get(options.webhook_secret_env)
    if not secret:
        sys.exit(f"{options.webhook_secret_env} is missing or empty: without it anyone could forge a payment.")
    with contextlib.suppress(asyncio.CancelledError):
        asyncio.run(_serve(options.port, options.webhook_url, secret, options.data))


async def _serve(port: int, webhook_url: str, secret: str, data: Path | None) -> None:
    books = opened(f"http://127.0.0.1:{port}", data)
    courier = Courier(books, webhook_url, secret)
    task = asyncio.create_task(serve(books, courier, port))
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    await _listening(port)
    courier.wake(again=True)
    print(f"Stripe test stand-in ready on {books.origin} (no money moves)", flush=True)  # noqa: T201 (the ready line)
    await task


async def _listening(port: int) -> None:
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except ConnectionRefusedError:
            await asyncio.sleep(0.02)
        else:
            writer.close()
            return


if __name__ == "__main__":
    main()
