"""What the reference page gives to paste does what it says: every sample is run against the API."""

import asyncio
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from cast import ADA
from sqlmodel import select

from assisters_app.accounts.tables import Organization
from assisters_app.base.db import transaction
from assisters_app.keys import keys
from assisters_app.openapi import samples
from assisters_app.openapi.operations import OPERATIONS

PACKAGES = Path(sys.prefix) / "node" / "node_modules"
TRIED = [one for one in OPERATIONS if one.tag != "Webhooks"]  # those only another service can sign
REFUSED = re.compile(r"""['"]?error['"]?: ?\{\s*['"]?message['"]?: ?['"]""")
NODE, CURL = Path(sys.executable).with_name("node"), shutil.which("curl")


@pytest.fixture
async def key(ada, payments_on):
    async with transaction() as tx:  # a plan made by hand, without limits
        (await tx.exec(select(Organization).where(Organization.id == ada.organization_id))).one().plan = "by-hand"
        issued = await keys.issue(tx, ada, keys.NewKey(name=ADA, scopes=("chat", "read", "write")))
    return issued.secret.reveal()


async def run(*command, folder):
    done = await asyncio.to_thread(
        subprocess.run,
        command,
        cwd=folder,
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    refused = REFUSED.search(done.stdout)
    assert refused is None, done.stdout[refused.start() : refused.start() + 500]


async def test_every_sample_in_python_runs(api, key, tmp_path):
    programs = "\n".join(samples.python(one, api, key) for one in TRIED)
    await run(sys.executable, "-c", programs, folder=tmp_path)


async def test_every_sample_in_node_runs(api, key, tmp_path):
    (tmp_path / "node_modules").symlink_to(PACKAGES)
    for number, one in enumerate(TRIED):
        (tmp_path / f"{number}.mjs").write_text(samples.node(one, api, key))
    (tmp_path / "all.mjs").write_text("".join(f'await import("./{number}.mjs");\n' for number in range(len(TRIED))))
    await run(NODE, "all.mjs", folder=tmp_path)


@pytest.mark.skipif(CURL is None, reason="there is no curl here")
async def test_every_sample_for_a_shell_runs(api, key, tmp_path):
    script = "\n".join(samples.curl(one, api, key).replace("curl ", "curl -sS --fail-with-body ", 1) for one in TRIED)
    await run("sh", "-e", "-c", script, folder=tmp_path)
