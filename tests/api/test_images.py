"""Images through the official client, paid by the image that came back."""

import base64
import struct
import zlib

import openai
import pytest

ASK = {"model": "assisters-image-v1", "prompt": "A house by the sea"}
PRICE = 20_000_000  # nano-USD per image


async def test_the_sandbox_draws_real_pictures_that_depend_on_the_words_alone(test_mode, records):
    found = await test_mode.images.generate(**ASK, n=2, response_format="b64_json")
    first, second = (base64.b64decode(one.b64_json) for one in found.data)
    assert first != second
    assert size_of(first) == (64, 64)
    again = await test_mode.images.generate(**ASK, response_format="b64_json")
    assert base64.b64decode(again.data[0].b64_json) == first
    assert "sandbox" in found.data[0].revised_prompt
    [event, _] = await records()
    assert (event.endpoint, event.units, event.unit, event.cost_nano) == ("/v1/images/generations", 2, "image", 0)


def size_of(png):
    """Return how large a picture is, after reading all of it."""
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    at, parts = 8, {}
    while at < len(png):
        (length,) = struct.unpack_from(">I", png, at)
        name, content = png[at + 4 : at + 8], png[at + 8 : at + 8 + length]
        assert struct.unpack_from(">I", png, at + 8 + length) == (zlib.crc32(name + content),)
        parts[name] = content
        at += length + 12
    width, height = struct.unpack_from(">II", parts[b"IHDR"])
    assert len(zlib.decompress(parts[b"IDAT"])) == height * (1 + 3 * width)
    return width, height


async def test_an_address_from_the_sandbox_holds_the_picture_and_no_model_need_be_named(test_mode):
    found = await test_mode.images.generate(prompt="A house")
    picture = found.data[0].url.removeprefix("data:image/png;base64,")
    assert size_of(base64.b64decode(picture)) == (64, 64)


@pytest.mark.parametrize(("drawn", "paid"), [(None, 3), (1, 1), (9, 3), (0, 0)])
async def test_each_image_that_came_is_charged_and_none_beyond_those_asked_for(upstream, live, records, drawn, paid):
    upstream.drawn = drawn
    raw = await live.images.with_raw_response.generate(**ASK, n=3, extra_body={"style": "vivid"})
    assert len(raw.parse().data) == (3 if drawn is None else drawn)
    [asked] = upstream.asked
    assert (asked["style"], asked["size"], asked["n"]) == ("vivid", "1024x1024", 3)
    assert raw.headers["x-cost-usd"] == f"0.{paid * PRICE:09d}"
    [event] = await records()
    assert (event.units, event.unit, event.cost_nano, event.price_version) == (paid, "image", paid * PRICE, 1)


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"prompt": ""}, "invalid_value"),
        ({"prompt": 7}, "invalid_value"),
        ({"prompt": "x" * 32_001}, "invalid_value"),
        ({"n": 0}, "invalid_value"),
        ({"n": 11}, "invalid_value"),
        ({"response_format": "jpeg"}, "invalid_value"),
        ({"stream": True}, "invalid_value"),
        ({"size": "1792x1024"}, "unsupported_parameter"),
        ({"size": {}}, "unsupported_parameter"),
        ({"quality": "hd"}, "unsupported_parameter"),
        ({"partial_images": 3}, "unsupported_parameter"),
        ({"width": 4_096}, "unsupported_parameter"),
        ({"num_inference_steps": 500}, "unsupported_parameter"),
        ({"service_tier": "priority"}, "unsupported_parameter"),
    ],
    ids=lambda wrong: str(wrong)[:30],
)
async def test_what_cannot_be_drawn_or_has_no_price_is_refused_and_free(upstream, live, records, wrong, code):
    with pytest.raises(openai.BadRequestError) as refused:
        await live.post("/images/generations", body={**ASK, **wrong}, cast_to=object)
    assert (refused.value.code, refused.value.param) == (code, next(iter(wrong)))
    assert upstream.asked == []
    assert [(one.outcome, one.cost_nano) for one in await records()] == [("refused", 0)]


async def test_all_that_is_asked_for_is_held(upstream, live, records):
    for _ in range(4):
        await live.images.generate(**ASK, n=10)
    upstream.drawn = 1
    await live.images.generate(**ASK, n=10)
    with pytest.raises(openai.RateLimitError) as refused:  # 18 cents are left of the dollar
        await live.images.generate(**ASK, n=10)
    assert refused.value.code == "insufficient_quota"
    assert sum(event.cost_nano for event in await records()) == 41 * PRICE


async def test_an_upstream_that_fails_is_free(upstream, live, records):
    upstream.status = 500
    with pytest.raises(openai.InternalServerError):
        await live.images.generate(**ASK)
    [event] = await records()
    assert (event.outcome, event.units, event.cost_nano) == ("failed", 0, 0)
