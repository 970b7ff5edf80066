"""The web face running in processes of its own, and people who are signed in to it."""

import asyncio
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import databases
import httpx
import pytest
from cast import PASSWORD
from nets import free_port

from assisters_app import front_end
from assisters_app.accounts import sessions, signing_up, verifying
from assisters_app.accounts.client import Client
from assisters_app.accounts.identity import identity
from assisters_app.base import db, settings, valkey

HERE = Path(__file__).parent
PEPPER = "YSBwZXBwZXIgZm9yIHRlc3RzLCAzMiBieXRlcyBsb25n"
PATIENCE = 60


@dataclass(frozen=True)
class Face:
    """A running web face."""

    url: str
    log: Path


@pytest.fixture(scope="session")
def built():
    """Bring the built pages up to date; nothing is done when they are."""
    front_end.build()
    return front_end.BUILT


@pytest.fixture(scope="module")
async def face(servers, built, tmp_path_factory):
    """Serve the pages from two workers, on a database and an empty Valkey of their own."""
    name, port, home = f"test_ui_{os.getpid()}", free_port(), tmp_path_factory.mktemp("face")
    address = databases.create(servers.postgres, name, databases.TEMPLATE)
    given = {
        "ASSISTERS_ENV": "development",
        "ASSISTERS_PEPPER": PEPPER,
        "ASSISTERS_DATA_DIR": str(home / "data"),
        "DATABASE_URL": address,
        "REDIS_URL": servers.valkey,
        "SMTP_URL": "smtp://127.0.0.1:9",
        "PORT": str(port),
    }
    with pytest.MonkeyPatch.context() as patch:
        for key, value in given.items():
            patch.setenv(key, value)
        settings.settings.cache_clear()
        await valkey.valkey().flushall()
        log = home / "face.log"
        process = _serve(port, log)
        try:
            await _until_answering(f"http://localhost:{port}", process, log)
            yield Face(f"http://localhost:{port}", log)
        finally:
            process.terminate()
            process.wait(PATIENCE)
            await db.dispose()
            await valkey.close()
            sessions._known.clear()
    settings.settings.cache_clear()
    databases.drop(servers.postgres, name)


@pytest.fixture
async def cookie_of(face):
    """Give the session cookie of somebody, whose account is opened when it is new."""

    async def cookie(email, role="member"):
        async with db.transaction() as tx:
            account = await signing_up.find(tx, email) or await _opened(tx, email, role)
            session = await sessions.open_session(tx, account, Client())
        return session.reveal()

    return cookie


@pytest.fixture
async def browser(face):
    """Speak HTTP as a page of ours does: same origin, answers in JSON."""
    headers = {"sec-fetch-site": "same-origin", "accept": "application/json"}
    async with httpx.AsyncClient(base_url=face.url, headers=headers) as client:
        yield client


async def _opened(tx, email, role):
    account = await signing_up.open_account(tx, email, role=role)
    await identity().enroll(tx, account, PASSWORD)
    await verifying.mark_verified(tx, account)
    return account


def _serve(port, log):
    command = ["granian", "--interface", "asgi", "--factory", "--workers", "2", "--port", str(port), "target:create"]
    env = {**os.environ, "PYTHONPATH": f"{HERE}:{Path.cwd()}", "PYTHONWARNINGS": "default"}
    with log.open("wb") as out:
        return subprocess.Popen([sys.executable, "-m", *command], env=env, stdout=out, stderr=subprocess.STDOUT)


async def _until_answering(url, process, log):
    end = time.monotonic() + PATIENCE
    async with httpx.AsyncClient() as client:
        while True:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < end, log.read_text()
            try:
                await client.get(url)
            except httpx.TransportError:
                await asyncio.sleep(0.1)  # it is starting: there is nothing to wait for yet
            else:
                return
