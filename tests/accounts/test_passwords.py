"""Passwords that are short, known to thieves or easy to guess are refused, without asking anybody else."""

import pytest
from argon2 import PasswordHasher, Type, extract_parameters
from cast import ADA, PASSWORD

from assisters_app.accounts import passwords
from assisters_app.base.errors import Refused


@pytest.mark.parametrize(
    ("password", "says"),
    [
        ("short", "at least 10"),
        ("x" * 73, "at most 72"),
        ("é" * 37, "at most 72"),
        ("mine is ada@example.com ok", "e-mail"),
        ("ADA@EXAMPLE.COM and more", "e-mail"),
        ("qwertyuiop", "stolen"),
        ("QwertyUiop", "stolen"),
        ("1234567890", "stolen"),
        ("aaaaaaaaaaaaaaa", "easy to guess"),
        ("password1password1", "easy to guess"),
    ],
)
async def test_a_bad_password_is_refused_and_told_why(password, says):
    with pytest.raises(Refused, match=says) as refused:
        await passwords.require_strong(password, ADA)
    assert (refused.value.code, refused.value.field) == ("weak_password", "password")
    assert password not in str(refused.value)


async def test_the_name_before_the_at_is_not_to_be_in_it_where_it_is_a_name():
    with pytest.raises(Refused, match="e-mail"):
        await passwords.require_strong("lovelace ponders loudly 7", "lovelace@example.com")
    await passwords.require_strong("granada ponders loudly 7", ADA)


@pytest.mark.parametrize("password", [PASSWORD, "k3Vq9zPw2mXt", "zwölf boxkämpfer jagen", "x7$" * 24])
async def test_a_good_password_is_taken(password):
    if password == "x7$" * 24:
        assert len(password) == passwords.LONGEST
        assert (await passwords.judge(password, ADA)).problem is not None  # long, but one thing repeated
    else:
        await passwords.require_strong(password, ADA)


async def test_the_meter_shows_how_good_it_is():
    assert (await passwords.judge(PASSWORD, ADA)).score == 4
    assert (await passwords.judge("aaaaaaaaaaaaaaa", ADA)).score < passwords.STRONG


async def test_a_password_is_kept_as_argon2id_with_a_salt_of_its_own():
    one, other = await passwords.hashed(PASSWORD), await passwords.hashed(PASSWORD)
    assert one.startswith("$argon2id$")
    assert one != other
    assert await passwords.verified(one, PASSWORD)
    assert not await passwords.verified(one, PASSWORD + "!")


async def test_outside_tests_the_cost_is_what_the_policy_states():
    """Promise 1.2: at least RFC 9106's second recommended profile."""
    stored = extract_parameters(PasswordHasher().hash("x"))
    import importlib.util

    fresh = importlib.util.module_from_spec(importlib.util.find_spec("assisters_app.accounts.passwords"))
    fresh.__spec__.loader.exec_module(fresh)
    used = extract_parameters(fresh.hasher.hash("x"))
    assert used.type is Type.ID
    assert (used.memory_cost, used.time_cost, used.parallelism) == (65536, 3, 4)
    assert (stored.memory_cost, stored.time_cost) == (used.memory_cost, used.time_cost)


@pytest.mark.parametrize("stored", [None, "not a hash"])
async def test_where_nothing_is_stored_nothing_matches(stored):
    assert not await passwords.verified(stored, PASSWORD)
    assert not await passwords.verified(stored, "nobody has this password")
