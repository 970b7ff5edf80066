"""Asking other services over HTTP."""

import functools
import ssl

import httpx

PATIENCE = 10.0  # seconds for one answer


def http() -> httpx.AsyncClient:
    """Return a client for one errand; close it with `async with`."""
    return httpx.AsyncClient(timeout=PATIENCE, verify=_trusted(), headers={"User-Agent": "Assisters"})


@functools.cache
def _trusted() -> ssl.SSLContext:
    """Read the certificates once: a tenth of a second of everybody's time, if each client did."""
    return httpx.create_ssl_context()
