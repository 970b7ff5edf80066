"""The commands: `python -m assisters_app COMMAND`. Each is a door to the domain, and opens its own transaction."""

import argparse
import asyncio
import logging
import os
import sys
from collections.abc import Callable, Coroutine

from assisters_app import doctor, front_end, run
from assisters_app.base import db, local_servers, log, valkey
from assisters_app.base.errors import Refused
from assisters_app.base.settings import SettingsError

Command = Callable[[argparse.Namespace], int]
SENTENCES = (SettingsError, Refused, local_servers.LocalServerError, front_end.BuildError, run.RunError)


def main(arguments: list[str] | None = None) -> int:
    """Carry out one command; return the exit code. What goes wrong foreseeably is one sentence, and exit code 1."""
    chosen = _parser().parse_args(arguments)
    command: Command = chosen.command
    try:
        return command(chosen)
    except SENTENCES as problem:
        print(problem, file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m assisters_app", description="Assisters, from the command line.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def add(name: str, command: Command, purpose: str) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=purpose, description=purpose)
        added.set_defaults(command=command)
        return added

    add("run", lambda _: run.run(), "Run the product: in development with every part whose address is not set.")
    add("worker", _worker, "Run the worker alone: jobs, their timetable, and the ingest of finished calls.")
    add("migrate", _migrate, "Bring the database to the shape that this version expects.")
    add("build", _build, "Build the front end, if its inputs changed since it was last built.")
    add("doctor", _doctor, "Check every dependency, the migrations and the invariants; exit code 1 if one is ill.")
    account = add("create-account", _create_account, "Create an account and print the link that opens it.")
    account.add_argument("email", metavar="EMAIL")
    account.add_argument("--staff", action="store_true", help="make it, or the account there is, a member of staff")
    return parser


def _worker(_: argparse.Namespace) -> int:
    from assisters_app import worker

    _use_what_runs()
    worker.main()
    return 0


def _migrate(_: argparse.Namespace) -> int:
    _use_what_runs()
    run.migrate()
    print("The database is up to date.")
    return 0


def _build(_: argparse.Namespace) -> int:
    print("The front end is built." if front_end.build() else "The front end was built already; nothing has changed.")
    return 0


def _doctor(_: argparse.Namespace) -> int:
    _use_what_runs()
    return _in_the_house(doctor.examine())


def _create_account(chosen: argparse.Namespace) -> int:
    _use_what_runs()
    return _in_the_house(_open_account(chosen.email, staff=chosen.staff))


async def _open_account(email: str, *, staff: bool) -> int:
    from assisters_app.accounts import emails, links, signing_up
    from assisters_app.base import trail

    email = emails.normalized(email)
    async with db.transaction() as tx:
        account = await signing_up.open_account(tx, email, role="staff" if staff else "member")
        if account is None and not staff:
            raise Refused("That address has an account already.", code="taken")
        new = account is not None
        account = account or await signing_up.find(tx, email)
        assert account is not None
        account.role = "staff" if staff else "member"
        trail.write(tx, "account:made-staff" if staff else "account:created", account_id=account.id)
        address = await links.link(tx, account.id, "reset") if new else None
    print(f"{email} is {'staff' if staff else 'a member'} now.")
    if address:
        print(f"Choose its password within the hour: {address}")
    return 0


def _in_the_house(work: Coroutine[None, None, int]) -> int:
    """Run async work, and close what it opened."""

    async def whole() -> int:
        try:
            return await work
        finally:
            await db.dispose()
            await valkey.close()

    log.configure()
    logging.getLogger().setLevel(logging.WARNING)
    return asyncio.run(whole())


def _use_what_runs() -> None:
    """Take what is not set from the development run of this checkout, if there is one."""
    if os.environ.get("ASSISTERS_ENV", "development") != "development":
        return
    found = run.running_development()
    if not found and "ASSISTERS_ENV" not in os.environ and "DATABASE_URL" not in os.environ:
        raise run.RunError("Nothing runs in this checkout. Start it with `make run`, or set DATABASE_URL and the rest.")
    for name, value in found.items():
        os.environ.setdefault(name, value)
