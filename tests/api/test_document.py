"""What is written about the API is what the API does: every route, every code, every status."""

import ast
import asyncio
import sys
from asyncio.subprocess import PIPE, STDOUT
from pathlib import Path

import httpx
import pytest
from sqlmodel import select

from assisters_app.accounts.tables import Organization
from assisters_app.api import app
from assisters_app.base.db import transaction
from assisters_app.keys import keys
from assisters_app.openapi.document import HEADERS, document
from assisters_app.openapi.operations import OPERATIONS, TAGS, operation
from assisters_app.openapi.problems import PROBLEMS
from assisters_app.openapi.schemas import SCHEMAS

ROOT = Path(__file__).resolve().parents[2]
OF_THE_PLAYGROUND = {"invalid_ticket"}  # its page holds a ticket instead of a key, and nobody else has one
ONLY_IN_RECORDS = {"client_disconnected", "interrupted"}  # why a call ended, where nobody was left to be told
OF_STAFF = {"offering.py"}  # refuses on a page of staff, never in the API
NOT_ASKED = "negative_data_rejection,positive_data_acceptance,missing_required_header"
STARLETTES = {"http_error"}  # of routes that know no other status than those of `unknown_url` and `method_not_allowed`


def test_every_route_is_written_down_and_nothing_else():
    written = {(one.method, one.path) for one in OPERATIONS}
    assert app.served() - written == set(), "write these down in assisters_app/openapi/operations.py"
    assert written - app.served() == set(), "these are written down, but nobody answers them"


def test_every_code_that_is_raised_is_written_down_with_its_status():
    raised = {code: status for source in sources() for code, status in refusals(ast.parse(source.read_text()))}
    unknown = set(raised) - set(PROBLEMS) - ONLY_IN_RECORDS - OF_THE_PLAYGROUND - STARLETTES
    assert unknown == set(), "write these down in assisters_app/openapi/problems.py"
    wrong = {code for code, status in raised.items() if status and code in PROBLEMS and PROBLEMS[code].status != status}
    assert wrong == set()


def sources():
    """Return the modules in whose words the API refuses."""
    folders = [ROOT / "assisters_app" / name for name in ("api", "gateway")]
    billing = [ROOT / "assisters_app/billing" / name for name in ("topups.py", "stripe.py")]
    found = [*billing, *(path for folder in folders for path in folder.rglob("*.py"))]
    return [path for path in found if path.name not in OF_STAFF]


def refusals(tree):
    """Yield each literal code that a call in `tree` is given, and the status beside it (None: not said there)."""
    for call in ast.walk(tree):
        given = {word.arg: word.value for word in getattr(call, "keywords", ())}
        code = given.get("code")
        if isinstance(call, ast.Call) and isinstance(code, ast.Constant) and isinstance(code.value, str):
            status = given.get("status")
            yield code.value, status.value if isinstance(status, ast.Constant) else None


def test_nothing_that_is_written_is_without_use():
    named = {code for one in OPERATIONS for code in one.problems}
    assert set(PROBLEMS) - named == {"method_not_allowed"}  # of every address alike
    assert {one.tag for one in OPERATIONS} == set(TAGS)
    text = str(document("https://api.example.com"))
    assert [name for name in SCHEMAS if f"'#/components/schemas/{name}'" not in text] == []
    assert [name for name in HEADERS if f"'#/components/headers/{name}'" not in text] == []
    with pytest.raises(KeyError):
        operation("PATCH", "/v1/models")


async def test_the_document_is_for_everybody_and_may_be_kept_for_a_while(api):
    async with httpx.AsyncClient(base_url=api) as web:
        answer = await web.get("/v1/openapi.json")
        again = await web.get("/v1/openapi.json", headers={"If-None-Match": answer.headers["etag"]})
    assert answer.status_code == 200
    assert answer.json() == document("http://localhost:3000")
    assert answer.headers["cache-control"] == "public, max-age=300"
    assert (again.status_code, again.content) == (304, b"")


async def test_a_machine_that_reads_the_document_finds_no_fault_with_the_api(payments_on, api, ada, tmp_path):
    """Schemathesis tries what the document allows and what it forbids, always the same, in the sandbox.

    It may not find a 5xx, an answer that is not written down, an undeclared method that is answered, or a way around
    the key. That wrong parameters are refused and right ones taken is not for it to say: unknown ones are handed on.
    """
    async with transaction() as tx:  # a plan made by hand, without limits
        (await tx.exec(select(Organization).where(Organization.id == ada.organization_id))).one().plan = "by-hand"
        key = (await keys.issue(tx, ada, keys.NewKey(name="Machine", scopes=("chat", "read", "write")))).secret.reveal()
    words = [
        "run",
        f"{api}/v1/openapi.json",
        "--url",
        api,
        "--header",
        f"Authorization: Bearer {key}",
    ]
    words += ["--exclude-checks", NOT_ASKED, "--phases", "examples,coverage,fuzzing", "--generation-deterministic"]
    words += [
        "--request-timeout",
        "60",
        "--max-examples",
        "12",
        "--continue-on-failure",
        "--warnings",
        "off",
        "--no-color",
    ]
    program = Path(sys.executable).with_name("schemathesis")
    done = await asyncio.create_subprocess_exec(program, *words, stdout=PIPE, stderr=STDOUT, cwd=tmp_path)
    said, _ = await done.communicate()
    assert done.returncode == 0, said[-8000:].decode()
    assert b"Tested: " in said
