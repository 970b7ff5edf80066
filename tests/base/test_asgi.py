"""Two applications live as one: both are started, both are ended, and a failure of either is said."""

import asyncio

import pytest

from assisters_app.asgi import live


def part(name, diary, *, fails=None):
    async def application(_scope, receive, send):
        for step in ("startup", "shutdown"):
            assert (await receive())["type"] == f"lifespan.{step}"
            diary.append(f"{name} {step}")
            if fails == step:
                await send({"type": f"lifespan.{step}.failed", "message": f"{name} is ill"})
                return
            await send({"type": f"lifespan.{step}.complete"})

    return application


async def lived(*parts):
    said, asked = [], asyncio.Queue()
    for step in ("startup", "shutdown"):
        asked.put_nowait({"type": f"lifespan.{step}"})

    async def say(message):
        said.append(message)

    try:
        await live(parts, {"type": "lifespan"}, asked.get, say)
    finally:
        lived.said = [message["type"].removeprefix("lifespan.") for message in said]


async def test_parts_start_in_order_and_end_in_reverse():
    diary = []
    await lived(part("api", diary), part("pages", diary))
    assert diary == ["api startup", "pages startup", "pages shutdown", "api shutdown"]
    assert lived.said == ["startup.complete", "shutdown.complete"]


async def test_a_part_that_does_not_start_stops_the_others_and_the_server():
    diary = []
    with pytest.raises(RuntimeError, match="pages is ill"):
        await lived(part("api", diary), part("pages", diary, fails="startup"))
    assert diary == ["api startup", "pages startup", "api shutdown"]
    assert lived.said == ["startup.failed"]


async def test_a_part_that_falls_over_is_heard():
    async def falls(_scope, receive, _send):
        await receive()
        raise ValueError("fell over")

    with pytest.raises(ValueError, match="fell over"):
        await lived(falls)
    assert lived.said == ["startup.failed"]
