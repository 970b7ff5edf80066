"""The commands: `python -m assisters_app COMMAND`. Each is a door to the domain, and opens its own transaction."""

import argparse
import asyncio
import json
import logging
import os
import sys
from collections.abc import Callable, Coroutine
from contextlib import nullcontext, suppress
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg

from assisters_app import front_end, run, vercel
from assisters_app.base import local_servers
from assisters_app.base.errors import NotFound, Refused
from assisters_app.base.settings import SettingsError

if TYPE_CHECKING:  # the domain takes a second to import, which --help and run do not need
    from assisters_app.accounts.sessions import Person
    from assisters_app.base.db import Tx
    from assisters_app.billing.proofs import Checked
    from assisters_app.privacy.proving import Standing

Command = Callable[[argparse.Namespace], int]
SENTENCES = (
    SettingsError,
    Refused,
    local_servers.LocalServerError,
    front_end.BuildError,
    run.RunError,
    vercel.BuildError,
)


def main(arguments: list[str] | None = None) -> int:
    """Carry out one command; return the exit code. What goes wrong foreseeably is one sentence, and exit code 1."""
    chosen = _parser().parse_args(arguments)
    command: Command = chosen.command
    try:
        return command(chosen)
    except SENTENCES as problem:
        sentence = str(problem)
    except Exception as problem:
        sentence = _unreachable(problem)
        if not sentence:
            raise
    print(sentence, file=sys.stderr)
    return 1


def _unreachable(problem: BaseException | None) -> str:
    """Return a sentence when what lies beneath is a database that does not answer, else nothing."""
    while problem is not None:
        if isinstance(problem, psycopg.OperationalError):
            first_line = str(problem).partition("\n")[0]
            return f"The database does not answer: {first_line}"
        problem = problem.__cause__ or problem.__context__
    return ""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m assisters_app", description="Assisters, from the command line.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def add(name: str, command: Command, purpose: str) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=purpose, description=purpose)
        added.set_defaults(command=command)
        return added

    add("run", lambda _: run.run(), "Run the product: in development with every part whose address is not set.")
    add("worker", _worker, "Run the worker alone: jobs, their timetable, and the ingest of finished calls.")
    _of_the_database(add)
    add("build", _build, "Build the front end, if its inputs changed since it was last built.")
    purpose = "Write the metered API in the form that `vercel deploy --prebuilt` takes. Nothing is sent anywhere."
    there = add("build-for-vercel", _build_for_vercel, purpose)
    there.add_argument("--pages", required=True, metavar="URL", help="the address of the pages, which stay on a host")
    there.add_argument("--output", type=Path, default=vercel.OUTPUT, metavar="DIRECTORY", help="%(default)s")
    add("doctor", _doctor, "Check every dependency, the migrations and the invariants; exit code 1 if one is ill.")
    add("promises", _promises, "Check every sentence of the privacy policy; exit code 0 only when all are true.")
    passing = add(
        "hand-over", _hand_over, "Write everybody's export for an announced transfer; refused before its day."
    )
    passing.add_argument("transfer", metavar="TRANSFER", help="its handle, tra_…, from the staff page")
    passing.add_argument("directory", metavar="DIRECTORY", type=Path)
    purpose = "Print what may be used to train models now: of people who agreed, said since then. A JSON line each."
    add("training-export", _training_export, purpose)
    add("seed", _seed, "Fill a development database with Ada, Bob, Mallory, Grace and thirteen months of usage.")
    purpose = (
        "Have a pretend person use everything and be erased, then look for her everywhere; exit code 1 if she is found."
    )
    add("canary", _canary, purpose)
    purpose = "Enter an audit that people did, an attestation of a host, or an agreement with a company. It is public."
    audit = add("record-audit", _record_audit, purpose)
    audit.add_argument("kind", metavar="KIND", help="security, host, agreement:stripe … (a wrong one lists them all)")
    audit.add_argument("says", metavar="SENTENCE", help="what was found, for everyone to read")
    audit.add_argument("--on", type=_day, default=None, metavar="DAY", help="it was done on (2026-11-24); today")
    audit.add_argument("--failed", action="store_true", help="it found what must be put right first")
    audit.add_argument("--evidence", default="", help="where the report is, or its SHA-256")
    account = add("create-account", _create_account, "Create an account and print the link that opens it.")
    account.add_argument("email", metavar="EMAIL")
    account.add_argument(
        "--staff",
        nargs="?",
        const="admin",
        choices=("support", "admin"),
        help="give it, or the account there is, a role of staff (admin unless said); every admin is told",
    )
    key = add("issue-key", _issue_key, "Issue an API key for an account and print it, once.")
    key.add_argument("email", metavar="EMAIL")
    key.add_argument("--name", default="from the command line", help="what the key is called on the keys page")
    purpose = "Check a downloaded receipt: of a month, a request, an erasure, a consent. No network, no database."
    receipt = add("verify-receipt", _verify_receipt, purpose)
    receipt.add_argument("file", metavar="FILE", type=Path)
    receipt.add_argument(
        "--public-key",
        action="append",
        default=[],
        help="a published key (base64), if you do not trust those in the file; may be given more than once",
    )
    read_in = add(
        "import-export", _import_export, "Read an export (a ZIP from the privacy page) into this installation."
    )
    read_in.add_argument("file", metavar="FILE", type=Path)
    read_in.add_argument(
        "--public-key",
        action="append",
        default=[],
        help="the key (base64) of the installation it comes from, as published there at /.well-known/export-key.json",
    )
    key.add_argument("--test", action="store_true", help="a test key: it always reaches the sandbox and costs nothing")
    return parser


def _of_the_database(add: Callable[[str, Command, str], argparse.ArgumentParser]) -> None:
    add("migrate", _migrate, "Bring the database to the shape that this version expects.")
    add("backup", _backup, "Write the database to a sealed file; those older than 30 days are destroyed.")
    purpose = "Replace the database by a backup, then erase again whoever was erased since. Stop the product first."
    restored = add("restore", _restore, purpose)
    restored.add_argument("file", metavar="FILE", type=Path)
    purpose = (
        "Seal everything under a new ASSISTERS_PEPPER; ASSISTERS_PEPPER_BEFORE names the old. Stop the product first."
    )
    add("reseal", _reseal, purpose)
    add("begin-ledger", _begin_ledger, "Begin another erasure ledger where the database's own is lost for good.")


def _worker(_: argparse.Namespace) -> int:
    from assisters_app import opening, worker

    _use_what_runs()
    opening.open_house()  # after a long rest the coming days are missing, and their timetable comes by night
    worker.main()
    return 0


def _migrate(_: argparse.Namespace) -> int:
    _use_what_runs()
    run.migrate()
    print("The database is up to date.")
    return 0


def _backup(_: argparse.Namespace) -> int:
    from assisters_app.privacy.erasing import backups

    _use_what_runs()
    made = backups.back_up()
    print(f"{made.file}: {made.size:,} bytes, sealed with the key of ASSISTERS_PEPPER. It is kept for 30 days.")
    return 0


def _restore(chosen: argparse.Namespace) -> int:
    from sqlalchemy.exc import SQLAlchemyError

    from assisters_app.privacy.erasing import backups, remembering, reopening, unforgotten

    async def remember() -> int:
        with suppress(SQLAlchemyError):  # there is no database, or none that answers: that is why it is restored
            await remembering.write_down()
            await unforgotten.make_lasting()
        return 0

    async def reopen() -> int:
        done = await reopening.reopen()
        print(f"People erased since the backup was made, and now erased again: {done.erased + done.pieces}.")
        print(f"Closings under way again: {done.closed}; closings that had been taken back: {done.taken_back}.")
        again = done.again
        print(f"Keys that had ended or changed: {again.keys}; accounts: {again.accounts};", end=" ")
        print(f"addresses that had opted out or in: {again.addresses}; legal holds: {again.holds}.")
        print("Everybody signs in anew, and is asked anew for every consent.")
        return 0

    with nullcontext() if _is_somewhere() or not run.LOCAL.is_dir() else run.parts_alone():
        _use_what_runs()
        _in_the_house(remember())
        backups.restore(chosen.file)
        print(f"The database is as it was when {chosen.file.name} was made. Nobody is let in yet.")
        run.migrate()
        return _in_the_house(reopen())


def _reseal(_: argparse.Namespace) -> int:
    from assisters_app import resealing

    async def reseal() -> int:
        done = await resealing.reseal()
        addresses, letters = _count(done.addresses, "address", "addresses"), _count(done.letters, "letter")
        print(f"Sealed anew: {addresses}, {letters} on their way,", end=" ")
        print(f"keys of request content: {done.content_keys}; opt-outs: {done.opted_out:,}.")
        print("Keep ASSISTERS_PEPPER_BEFORE as long as it is needed, for these know nothing of the new one:")
        print(f"  {_count(done.keys, 'live API key')}: one made before ends with it. Ask for rotation to be rid of it;")
        print(f"  addresses that opted out, {done.hashes:,} in all: of one without an account only the hash is known;")
        print("  links to unsubscribe in mails that were sent; they are to work as long as somebody may click;")
        print(f"  {_count(done.backups, 'backup')}, for 30 days at most.")
        print("Answers kept for repeated requests, sign-ins begun at a provider and playground tickets begin anew.")
        return 0

    with nullcontext() if _is_somewhere() or not run.LOCAL.is_dir() else run.parts_alone():
        _use_what_runs()
        return _in_the_house(reseal())


def _begin_ledger(_: argparse.Namespace) -> int:
    from assisters_app.privacy.erasing import ledger, reopening

    async def begin() -> int:
        await reopening.begin_anew()
        print(f"Another erasure ledger was begun at {ledger.path()}, with every receipt that was handed out.")
        print("Never restore a backup that is older than this moment: who was erased before is no longer known.")
        return 0

    _use_what_runs()
    return _in_the_house(begin())


def _build(_: argparse.Namespace) -> int:
    print("The front end is built." if front_end.build() else "The front end was built already; nothing has changed.")
    return 0


def _build_for_vercel(chosen: argparse.Namespace) -> int:
    built = vercel.build(chosen.output, chosen.pages)
    print(f"{built.directory}: one function of {built.size / 10**6:,.0f} MB with {built.packages} packages.")
    print("Deploy it with: vercel deploy --prebuilt")
    return 0


def _doctor(_: argparse.Namespace) -> int:
    from assisters_app import doctor

    _use_what_runs()
    return _in_the_house(doctor.examine())


def _promises(_: argparse.Namespace) -> int:
    from assisters_app.base.db import transaction
    from assisters_app.privacy import proving

    async def look() -> int:
        await proving.look()
        async with transaction() as tx:
            standing = await proving.standing(tx)
        for sentence in standing:
            print(_promise(sentence))
        untrue = [sentence.id for sentence in standing if not sentence.true]
        print(f"Not currently true: {', '.join(untrue)}." if untrue else f"All {len(standing)} sentences hold.")
        return 1 if untrue else 0

    _use_what_runs()
    return _in_the_house(look())


def _hand_over(chosen: argparse.Namespace) -> int:
    from assisters_app.privacy.policies import handing_over

    async def pass_on() -> int:
        exports = await handing_over.hand_over(chosen.transfer, chosen.directory)
        print(
            f"{_count(exports, 'export')} in {chosen.directory}. Whoever closed or erased their account is not there."
        )
        return 0

    _use_what_runs()
    return _in_the_house(pass_on())


def _training_export(_: argparse.Namespace) -> int:
    from assisters_app.base.db import transaction
    from assisters_app.privacy.keeping.training import training_export

    async def export() -> int:
        count = 0
        async with transaction() as tx:
            async for sample in training_export(tx):
                print(json.dumps({"sent": sample.sent, "got": sample.got}, ensure_ascii=False))
                count += 1
        print(f"{count} samples. Ask again for the next run: who has withdrawn is not in it.", file=sys.stderr)
        return 0

    _use_what_runs()
    return _in_the_house(export())


def _promise(sentence: "Standing") -> str:
    """Return the line of one sentence: its worth, its id, its words, and what was found."""
    mark = {"holds": "ok  ", "statement": "said"}.get(sentence.state, "NOT ")
    broken = [one.found for one in sentence.results if one.state != "holds"]
    found = broken or [one.found for one in sentence.results] or [sentence.why or "Nothing checks it."]
    return f"{mark} {sentence.id:<5} {sentence.text} | {'; '.join(one.rstrip('.') for one in found)}."


def _canary(_: argparse.Namespace) -> int:
    from assisters_app.privacy import canary

    async def fly() -> int:
        flight = await canary.fly()
        for step in flight.steps:
            print(f"    {step}")
        print(f"{'LOST' if flight.state == 'lost' else flight.state}: {flight.says}")
        return int(flight.state == "lost")

    _use_what_runs()
    return _in_the_house(fly())


def _record_audit(chosen: argparse.Namespace) -> int:
    from assisters_app.base import clock
    from assisters_app.base.db import transaction
    from assisters_app.privacy.registers import audits

    async def enter() -> int:
        on = chosen.on or clock.now().date()
        async with transaction() as tx:
            await audits.record(tx, chosen.kind, on, chosen.says, passed=not chosen.failed, evidence=chosen.evidence)
        print(f"Entered for {on}. Everyone can read it on the page /security.")
        return 0

    _use_what_runs()
    return _in_the_house(enter())


def _seed(_: argparse.Namespace) -> int:
    from assisters_app import seeding

    async def seed() -> int:
        await seeding.seed()
        for character in seeding.CAST:
            print(f"{character.name:<8} {character.email:<26} {'' if character.role == 'member' else character.role}")
        print(f"Each signs in with the password: {seeding.PASSWORD}")
        return 0

    _use_what_runs()
    return _in_the_house(seed())


def _create_account(chosen: argparse.Namespace) -> int:
    from assisters_app.accounts import people
    from assisters_app.base.db import transaction

    async def create() -> int:
        async with transaction() as tx:
            address = await people.create_account(tx, chosen.email, chosen.staff)
        welcome = f"staff, with the role {chosen.staff}" if chosen.staff else "welcome"
        print(f"{chosen.email} is {welcome}. A password is set here, once:")
        print(address)
        return 0

    _use_what_runs()
    return _in_the_house(create())


def _issue_key(chosen: argparse.Namespace) -> int:
    from assisters_app.base.db import transaction
    from assisters_app.keys import keys

    async def issue() -> int:
        async with transaction() as tx:
            person = await _owner_of(tx, chosen.email)
            new = keys.NewKey(name=chosen.name, mode="test" if chosen.test else "live")
            issued = await keys.issue(tx, person, new)
        print(issued.secret.reveal())
        return 0

    _use_what_runs()
    return _in_the_house(issue())


def _verify_receipt(chosen: argparse.Namespace) -> int:
    from assisters_app.billing import proofs
    from assisters_app.privacy.erasing import receipts
    from assisters_app.privacy.registers.signing import NotSigned

    try:
        content = chosen.file.read_bytes()
        if content.startswith(b'{"facts":'):
            _say_month(proofs.check_month(content, chosen.public_key))
            return 0
        facts, key = _checked(json.loads(content), chosen.public_key)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as problem:  # whatever a stranger's file may hold
        raise Refused(f"{chosen.file} is not a receipt that can be read: {problem}.", code="bad_receipt") from None
    except (proofs.NotGenuine, receipts.NotGenuine, NotSigned) as problem:
        raise Refused(str(problem), code="not_genuine") from None
    print(json.dumps(facts, indent=2, ensure_ascii=False))
    print(f"Genuine: nothing in it was changed since it was signed with the key {key}")
    return 0


def _checked(file: dict[str, Any], trusted: list[str]) -> tuple[dict[str, Any], str]:
    """Return what a single receipt says, of a request, an erasure or consents, and the key that it verifies with."""
    from assisters_app.billing import proofs
    from assisters_app.privacy.choices import consent_receipts
    from assisters_app.privacy.erasing import receipts

    if consent_receipts.is_file(file):
        return consent_receipts.verify(file, trusted)
    if "facts" in file:
        return proofs.check_one(file, trusted), file["public_key"]
    key = file["public_key"] if file["public_key"] in trusted or not trusted else trusted[0]
    return receipts.verify(file["body"], file["signature"], key), key


def _say_month(found: "Checked") -> None:
    from assisters_app.base.money import dollars

    receipts, days = _count(found.receipts, "receipt"), _count(found.days, "day")
    print(f"Genuine: {receipts} on {days} of {found.month}, of {found.organization}.")
    print(f"Each adds up, and together they come to the invoice: {dollars(found.total_nano)}.")
    if found.dropped_days:
        left = _count(found.dropped_days, "day")
        print(f"Of {left} only the signed sums are left: receipts are kept for 30 days.")
    if found.growing:
        print("The month is not over: the file holds what had been called when it was made.")
    for key in found.keys:
        print(f"Signed with the key {key}; compare it with those published at /.well-known/receipt-keys.json")


def _count(number: int, what: str, many: str = "") -> str:
    return f"{number:,} {what if number == 1 else many or what + 's'}"


def _day(said: str) -> date:
    try:
        return date.fromisoformat(said)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{said!r} is no day. Write it as 2026-11-24.") from None


def _import_export(chosen: argparse.Namespace) -> int:
    from assisters_app.base.db import transaction
    from assisters_app.base.money import dollars
    from assisters_app.privacy.rights import importing

    async def read() -> int:
        async with transaction() as tx:
            done = await importing.read_in(tx, chosen.file, chosen.public_key)
        print(f"{sum(done.rows.values()):,} rows of {done.email} were read in, and the totals are those of the export:")
        print(f"{done.totals['requests']:,} requests, {dollars(done.totals['cost_nano'])} used,", end=" ")
        print(f"{dollars(done.totals['wallet_nano'])} in the wallet.")
        if done.left_out:
            print(f"Not read in, because it had served its time: {', '.join(done.left_out)}.")
        print("They choose a new password with 'Forgot your password?', and make new API keys.")
        return 0

    _use_what_runs()
    return _in_the_house(read())


async def _owner_of(tx: "Tx", email: str) -> "Person":
    """Return who has `email`, as they would be once signed in; raise NotFound when nobody has it."""
    from sqlmodel import col, select

    from assisters_app.accounts import emails, rights
    from assisters_app.accounts.sessions import Person
    from assisters_app.accounts.tables import Account, Organization
    from assisters_app.base import clock, ids

    owned = select(Account, Organization).join(Organization, col(Organization.owner_id) == Account.id)
    found = (await tx.exec(owned.where(Account.email == emails.normalized(email)))).first()
    if found is None:
        raise NotFound("account")
    account, organization = found
    return Person(
        account_id=account.id,
        session_id=ids.new_id(),
        email=account.email,
        name=account.name,
        role=rights.role_named(account.role),
        organization_id=organization.id,
        organization_name=organization.name,
        verified=account.verified_at is not None,
        reauthenticated_at=clock.now(),
        time_zone=account.time_zone,
    )


def _in_the_house(work: Coroutine[None, None, int]) -> int:
    """Run async work, and close what it opened."""
    from assisters_app.base import db, log, valkey

    async def whole() -> int:
        try:
            return await work
        finally:
            await db.dispose()
            await valkey.close()

    try:
        log.configure()
    except SettingsError:
        work.close()  # it was never begun
        raise
    logging.getLogger().setLevel(logging.WARNING)
    return asyncio.run(whole())


def _is_somewhere() -> bool:
    """Say whether the database runs, as far as we can know: in this checkout, or where the settings say."""
    return "ASSISTERS_ENV" in os.environ or "DATABASE_URL" in os.environ or bool(run.running_development())


def _use_what_runs() -> None:
    """Take what is not set from the development run of this checkout, if there is one."""
    if os.environ.get("ASSISTERS_ENV", "development") != "development":
        return
    found = run.running_development()
    if not _is_somewhere():
        raise run.RunError("Nothing runs in this checkout. Start it with `make run`, or set DATABASE_URL and the rest.")
    for name, value in found.items():
        os.environ.setdefault(name, value)
