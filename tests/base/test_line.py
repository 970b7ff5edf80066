"""The line that all callers of an event loop share: who asks is answered, or told in time that nobody will."""

import asyncio

import pytest
import redis.exceptions

from assisters_app.base import line, valkey


async def test_many_who_ask_at_the_same_moment_each_get_their_own_answer(house):
    answers = await asyncio.gather(*(valkey.line().ask("ECHO", f"call {n}") for n in range(1_000)))
    assert answers == [f"call {n}" for n in range(1_000)]


async def test_what_was_under_way_when_the_line_broke_is_asked_again(house):
    shared, other = valkey.line(), valkey.valkey()
    number = await shared.ask("CLIENT", "ID")
    await other.execute_command("CLIENT", "PAUSE", 60_000, "WRITE")
    asking = [shared.ask("INCR", "asked") for _ in range(50)]
    await _held_back(other, number)
    await other.client_kill_filter(_id=str(number))
    await other.client_unpause()
    assert await asyncio.gather(*asking) == list(range(1, 51))
    assert await shared.ask("CLIENT", "ID") != number


async def _held_back(other, number):
    """Return once Valkey has what was asked and holds it back."""
    while not [one for one in await other.client_list(client_id=[str(number)]) if "b" in one["flags"]]:
        pass


async def test_who_gives_up_waiting_leaves_the_answers_of_others_in_order(house):
    shared = valkey.line()
    number = await shared.ask("CLIENT", "ID")
    first, second = shared.ask("ECHO", "first"), shared.ask("ECHO", "second")
    first.cancel()
    assert await second == "second"
    assert await shared.ask("CLIENT", "ID") == number  # and the line is whole


async def test_who_asks_while_valkey_is_silent_is_told_in_time_and_the_next_are_answered(house, monkeypatch):
    shared, other = valkey.line(), valkey.valkey()
    await shared.ask("PING")
    await other.execute_command("CLIENT", "PAUSE", 60_000, "WRITE")
    monkeypatch.setattr(line, "ANSWERS_WITHIN", 0.05)
    with pytest.raises(redis.exceptions.TimeoutError):
        await asyncio.wait_for(shared.ask("INCR", "asked"), 5)
    monkeypatch.undo()
    await other.client_unpause()
    assert await shared.ask("PING") == "PONG"


async def test_everybody_is_told_at_once_when_valkey_cannot_be_reached(house):
    nowhere = line.Line("redis://127.0.0.1:1/0")
    asking = [nowhere.ask("PING") for _ in range(3)]
    assert [type(one) for one in await asyncio.gather(*asking, return_exceptions=True)] == [
        redis.exceptions.ConnectionError
    ] * 3


async def test_nobody_gets_an_answer_with_a_wrong_password(servers):
    stranger = line.Line(servers.valkey.replace("redis://:", "redis://:not"))
    with pytest.raises(redis.exceptions.ConnectionError):
        await stranger.ask("PING")


async def test_a_refusal_is_one_caller_s_alone(house):
    shared = valkey.line()
    wrong, right = shared.ask("INCR"), shared.ask("PING")
    with pytest.raises(redis.exceptions.ResponseError):
        await wrong
    assert await right == "PONG"
