"""The living policy: each sentence is checked, a check that fails or was forgotten shows, tests are named for it."""

import asyncio
import os
import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson
import pytest
import register
from sqlmodel import select

import assisters_app
from assisters_app.accounts.signing_up import open_account
from assisters_app.base import crypto, jobs
from assisters_app.base.clock import frozen
from assisters_app.base.db import transaction
from assisters_app.base.tables import OutgoingMail
from assisters_app.privacy import promises, proving
from assisters_app.privacy.policies import checks, policy
from assisters_app.privacy.policies.tables import PromiseResult

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
SOURCES = Path(assisters_app.__file__).parent
CHECK = re.compile(r"^@(?:promises\.)?check\(", re.MULTILINE)
SENTENCES = [part.id for section in policy.CURRENT.sections for part in section.parts if part.id]


@pytest.mark.promise("0.1")
def test_each_sentence_has_a_check_or_says_why_nothing_can_check_it():
    checked = {sentence for check in promises.checks() for sentence in check.sentences}
    assert checked | set(promises.statements()) == set(SENTENCES)


@pytest.mark.promise("0.1")
def test_each_sentence_is_proven_by_a_test_that_is_named_for_it():
    assert set(proving.tests()) == set(SENTENCES)


def test_the_register_of_tests_is_current():
    assert register.written() == register.marked(), "run `python tests/privacy/register.py`"


def test_every_module_with_a_check_is_known():
    with_checks = {
        ".".join(("assisters_app", *path.relative_to(SOURCES).with_suffix("").parts))
        for path in SOURCES.rglob("*.py")
        if CHECK.search(path.read_text()) and path.name != "promises.py"
    }
    assert {module.__name__ for module in proving.PROOFS} == with_checks


@pytest.fixture
def only(monkeypatch):
    """Have no checks and statements but those that the test makes."""
    monkeypatch.setattr(promises, "_checks", {})
    monkeypatch.setattr(promises, "_statements", {})


async def standing():
    async with transaction() as tx:
        return {one.id: one for one in await proving.standing(tx)}


async def test_a_check_that_fails_makes_its_sentence_untrue_and_says_why(house, only):
    broken = [True]

    @promises.check("4.2", "4.3", says="Nothing is too old.")
    async def ages(tx):
        if broken[0]:
            raise promises.Broken("The oldest row is 31 days old.")
        return "The oldest row is 29 days old."

    with frozen(NOW) as move:
        await proving.look()
        found = await standing()
        assert (found["4.2"].state, found["4.3"].state, found["4.2"].true) == ("broken", "broken", False)
        assert found["4.2"].results[0].found == "The oldest row is 31 days old."
        broken[0] = False
        move(NOW + timedelta(minutes=15))
        await proving.look()
        move(NOW + timedelta(minutes=30))
        await proving.look()
        (result,) = (await standing())["4.2"].results
    assert (result.state, result.since) == ("holds", NOW + timedelta(minutes=15))
    assert result.looked_at == NOW + timedelta(minutes=30)


async def test_who_watches_is_mailed_once_when_a_promise_breaks_and_once_when_it_holds_again(grace, only, mail_waits):
    async with transaction() as tx:
        await open_account(tx, "henry@assisters.example", role="support")
    broken = [False]

    @promises.check("3.1", "3.2", says="No host is strange.")
    async def hosts(tx):
        if broken[0]:
            raise promises.Broken("One is strange.")
        return "None is strange."

    async def letters():
        async with transaction() as tx:
            waiting = (await tx.exec(select(OutgoingMail).order_by(OutgoingMail.id))).all()
        assert {one.to_email for one in waiting} <= {grace.email}  # and not Henry, who is from support
        told = [orjson.loads(crypto.unseal("mail", one.sealed)) for one in waiting]
        return [(one["subject"], one["paragraphs"][0]) for one in told]

    await proving.look()
    assert await letters() == []  # that it holds from the beginning is no news
    broken[0] = True
    for _ in range(3):
        await proving.look()
    first = ("A promise of the privacy policy is broken", "3.1, 3.2: No host is strange. Found: One is strange.")
    assert await letters() == [first]
    broken[0] = False
    for _ in range(2):
        await proving.look()
    again = ("A promise of the privacy policy holds again", "3.1, 3.2: No host is strange. Now: None is strange.")
    assert await letters() == [first, again]


async def test_one_broken_check_of_two_is_enough(house, only):
    @promises.check("4.2", says="One.")
    async def one(tx):
        return "Fine."

    @promises.check("4.2", says="Two.")
    async def two(tx):
        raise promises.Broken("Not fine.")

    await proving.look()
    assert (await standing())["4.2"].state == "broken"


async def test_what_has_not_been_looked_at_for_an_hour_is_not_currently_true(house, only):
    @promises.check("4.2", says="Nothing is too old.")
    async def ages(tx):
        return "The oldest row is 29 days old."

    assert (await standing())["4.2"].state == "unknown"
    with frozen(NOW) as move:
        await proving.look()
        move(NOW + timedelta(minutes=59))
        assert (await standing())["4.2"].true
        move(NOW + timedelta(minutes=61))
        late = (await standing())["4.2"]
    assert (late.state, late.true) == ("unknown", False)


async def test_a_check_that_fails_itself_breaks_its_promise_and_leaks_nothing(house, only, caplog):
    @promises.check("4.2", says="Nothing is too old.")
    async def ages(tx):
        raise RuntimeError("secret of ada@example.com")

    @promises.check("4.3", says="Nobody is named.")
    async def names(tx):
        raise promises.Broken("It holds ada@example.com.")

    await proving.look()
    found = await standing()
    assert found["4.2"].results[0].found == "The check itself failed (RuntimeError)."
    assert found["4.3"].results[0].found == "It holds [removed]."
    assert "A promise of the policy is broken" in caplog.text


async def test_a_check_can_change_nothing(house, only):
    @promises.check("4.2", says="It tidies up before it looks.")
    async def tidies(tx):
        tx.add(PromiseResult(name="x", holds=True, found="", since=NOW, looked_at=NOW))
        await tx.flush()
        return "All is well."

    await proving.look()
    assert (await standing())["4.2"].state == "broken"


async def test_a_check_that_hangs_is_broken(house, only, monkeypatch):
    monkeypatch.setattr(proving, "PATIENCE", 1)

    @promises.check("4.2", says="It never ends.")
    async def hangs(tx):
        await asyncio.Event().wait()

    await proving.look()
    assert (await standing())["4.2"].state == "broken"


async def test_a_sentence_without_a_check_is_not_called_true(house, only):
    promises.state("5.7", why="It promises nothing.")
    found = await standing()
    assert (found["5.7"].state, found["5.7"].true) == ("statement", True)
    assert (found["4.2"].state, found["4.2"].true) == ("unproven", False)


async def test_the_checks_run_when_the_house_opens_and_are_forgotten_when_they_are_gone(house, only):
    @promises.check("4.2", says="Nothing is too old.")
    async def ages(tx):
        return "Fine."

    async with transaction() as tx:
        await proving.at_opening(tx)
    await jobs.run_waiting()
    assert (await standing())["4.2"].state == "holds"
    promises._checks.clear()
    await proving.look()
    async with transaction() as tx:
        assert not (await tx.exec(select(PromiseResult))).all()


SPOILT = """
import sys
from assisters_app import cli
from assisters_app.privacy import promises, proving
spoil = sys.argv[1] == "spoil"
promises._checks.clear()
@promises.check(*SENTENCES, says="All of it.")
async def all_of_it(tx):
    if spoil:
        raise promises.Broken("Spoilt on purpose.")
    return "Fine."
sys.exit(cli.main(["promises"]))
"""


@pytest.mark.parametrize(("how", "code"), [("spoil", 1), ("keep", 0)])
async def test_the_command_says_a_line_for_each_sentence_and_ends_with_1_when_one_is_untrue(house, how, code):
    program = f"SENTENCES = {[one for one in SENTENCES if one not in promises.statements()]}" + SPOILT
    arguments = [sys.executable, "-c", program, how]
    done = await asyncio.to_thread(
        subprocess.run, arguments, env=dict(os.environ), capture_output=True, text=True, check=False
    )
    lines = done.stdout.splitlines()
    assert done.returncode == code, done.stderr
    assert len(lines) == len(SENTENCES) + 1
    assert [line for line in lines if line.startswith("NOT  4.2")] == (
        ["NOT  4.2   API request logs: 30 days | Spoilt on purpose."] if code else []
    )


@pytest.mark.parametrize(
    ("sentences", "spoil"),
    [
        ("2.1", lambda patch: patch.setattr(checks.marks, "Purpose", ())),
        ("2.2", lambda patch: patch.setattr(policy, "differences", lambda: ("Rows stay 60 days.",))),
        ("10.1", lambda patch: patch.setattr(checks.contact, "EMAIL", "legal@elsewhere.example")),
        ("10.1", lambda patch: patch.setattr(checks.mail, "SIGNATURE", "Somebody")),
        ("0.1", lambda patch: patch.setattr(promises, "_statements", {})),
    ],
)
async def test_each_of_these_checks_can_fail(house, monkeypatch, sentences, spoil):
    (name,) = [
        check.name
        for check in promises.checks()
        if sentences in check.sentences and check.look.__module__ == checks.__name__
    ]
    spoil(monkeypatch)
    (result,) = await proving.look(name)
    assert result.state == "broken"
    assert "The check itself failed" not in result.found


@pytest.mark.promise("6.0")
async def test_a_right_that_depends_on_where_one_lives_is_found_in_the_code(house, monkeypatch, tmp_path):
    (tmp_path / "rights").mkdir()
    (tmp_path / "rights" / "access.py").write_text("if person.country_code in EUROPE:\n    pass\n")
    monkeypatch.setattr(checks, "PRIVACY", tmp_path)
    (result,) = await proving.look("rights_are_the_same_everywhere")
    assert (result.state, result.found) == ("broken", "Where a person lives decides something in rights/access.py.")


@pytest.mark.promise("2.1", "2.2", "6.0", "10.1", "10.2")
async def test_these_checks_hold(house):
    for name in (
        "every_column_has_a_purpose",
        "purposes_are_the_policys",
        "rights_are_the_same_everywhere",
        "contact_is_the_policys",
    ):
        (result,) = await proving.look(name)
        assert result.state == "holds", result.found


@pytest.mark.promise("0.1")
async def test_in_a_house_that_has_just_opened_every_sentence_is_true(house):
    await proving.look()
    untrue = {one.id: [result.found for result in one.results] for one in (await standing()).values() if not one.true}
    assert untrue == {}


@pytest.mark.promise("10.1", "10.2")
def test_our_address_is_written_in_one_place():
    written = {
        path.relative_to(SOURCES).as_posix()
        for path in SOURCES.rglob("*.py")
        if re.search("legal@assisters|1111B S Gov|DE 19904", path.read_text())
    }
    assert written == {"base/contact.py"}


@pytest.mark.promise("0.0", "1.0", "1.0b", "2.0", "4.0", "5.0", "5.7")
def test_a_sentence_that_nothing_can_prove_says_why_and_opens_a_list_of_those_that_are_proven():
    assert set(promises.statements()) >= {"0.0", "1.0", "1.0b", "2.0", "4.0", "5.0", "5.7"}
    assert all(why.endswith(".") for why in promises.statements().values())
    checked = {sentence for check in promises.checks() for sentence in check.sentences}
    for section in policy.CURRENT.sections:
        if 1 <= section.number <= 5:
            items = [part.id for part in section.parts if part.kind == "item"]
            assert items
            assert set(items) <= checked


def test_two_checks_of_one_name_stop_the_start(only):
    async def same(tx):
        return ""

    promises.check("4.2", says="One.")(same)
    with pytest.raises(ValueError, match="two checks called same"):
        promises.check("4.3", says="Two.")(same)
