"""Moderations through the official client, under OpenAI's name and under ours."""

import httpx
import openai
import pytest
from customers import key_of

from assisters_app.gateway import tokens

MODEL = "assisters-moderation-v1"
PICTURE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
PRICE = 10  # nano-USD per token


async def test_the_sandbox_flags_what_says_so_and_nothing_else(test_mode, records):
    found = await test_mode.moderations.create(input=["Hello", "sandbox:flagged"])
    assert (found.model, found.id[:5]) == (MODEL, "modr-")
    assert [one.flagged for one in found.results] == [False, True]
    assert found.results[1].categories.violence
    assert not found.results[1].categories.self_harm
    assert found.results[0].category_scores.hate < 0.01 < found.results[1].category_scores.violence
    assert (await test_mode.moderations.create(input=["sandbox:flagged"])).results[0] == found.results[1]
    [event, _] = await records()
    assert (event.endpoint, event.model, event.cost_nano) == ("/v1/moderations", MODEL, 0)
    assert event.input_tokens == tokens.count("Hello") + tokens.count("sandbox:flagged")


async def test_texts_and_pictures_are_judged_together(test_mode):
    found = await test_mode.moderations.create(input=[{"type": "text", "text": "Look:"}, PICTURE])
    assert found.results[0].category_applied_input_types.violence == ["image", "text"]


async def test_it_has_a_name_of_its_own(api, ada, records):
    async with httpx.AsyncClient(headers={"Authorization": f"Bearer {(await key_of(ada, mode='test'))[2]}"}) as web:
        answer = await web.post(f"{api}/v1/moderate", json={"model": MODEL, "input": "Hello"})
    assert (answer.status_code, answer.json()["results"][0]["flagged"]) == (200, False)
    assert [event.endpoint for event in await records()] == ["/v1/moderate"]


@pytest.mark.parametrize("told", [None, 7])
async def test_an_upstreams_judgement_passes_through_and_is_charged_by_the_token(upstream, live, records, told):
    upstream.usage = told and {"prompt_tokens": told}
    raw = await live.moderations.with_raw_response.create(input="Hello", model=MODEL, extra_body={"threshold": 0.5})
    assert raw.parse().results[0].categories.violence
    assert upstream.asked[0] == {"model": MODEL, "input": "Hello", "threshold": 0.5}
    [event] = await records()
    used = told or tokens.count("Hello")
    assert (event.input_tokens, event.estimated, event.cost_nano) == (used, told is None, used * PRICE)
    assert raw.headers["x-cost-usd"] == f"0.{used * PRICE:09d}"


@pytest.mark.parametrize(
    "given",
    ["", [], None, 7, ["a", 1], [{"type": "text"}], [{"type": "audio", "text": "a"}], ["a", PICTURE], ["a"] * 1_001],
    ids=lambda given: str(given)[:20],
)
async def test_what_cannot_be_judged_is_refused_and_free(upstream, live, records, given):
    with pytest.raises(openai.BadRequestError) as refused:
        await live.moderations.create(input=given)
    assert refused.value.param == "input"
    assert upstream.asked == []
    assert [(one.outcome, one.cost_nano) for one in await records()] == [("refused", 0)]
