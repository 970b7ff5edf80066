"""What a key can read: models, its limits, its usage; and what a probe can."""

from datetime import UTC, datetime, timedelta

import httpx
import pytest
from cast import MALLORY
from customers import customer, key_of
from staleness import once

from assisters_app.api import usage
from assisters_app.base import clock, db, settings, valkey
from assisters_app.base.db import transaction
from assisters_app.base.ids import new_id
from assisters_app.gateway import catalog
from assisters_app.gateway.tables import Model
from assisters_app.usage import events
from assisters_app.usage.events import Event

ASK = {"model": "assisters-chat-v1", "messages": [{"role": "user", "content": "Hello"}]}
NOON = datetime(2026, 3, 10, 12, 5, tzinfo=UTC)


@pytest.fixture
async def web(api, ada):
    key = (await key_of(ada, mode="test"))[2]
    async with httpx.AsyncClient(base_url=api, headers={"Authorization": f"Bearer {key}"}) as client:
        yield client


async def test_models_are_listed_and_found(test_mode):
    found = [one.id async for one in test_mode.models.list()]
    assert found == sorted(model.id for model in catalog.FIRST_MODELS)
    one = await test_mode.models.retrieve("assisters-embed-v1")
    assert (one.object, one.owned_by, one.dimensions, one.unit) == ("model", "assisters", 1_024, "token")
    assert (one.pricing["version"], one.pricing["input_token_nano_usd"]) == (1, 20)


async def test_a_models_unit_and_its_price_can_be_read(test_mode):
    units = {one.family: (one.unit, one.pricing["unit_nano_usd"]) async for one in test_mode.models.list()}
    assert units["images"] == ("image", 20_000_000)
    assert units["transcriptions"] == ("second", 100_000)
    assert units["speech"] == ("character", 10_000)
    assert units["rerank"] == ("document", 10_000)
    assert units["moderations"] == ("token", 0)


@pytest.mark.parametrize("address", ["/v1/usage", "/v1/wallet/balance", "/v1/wallet/transactions"])
@pytest.mark.parametrize("down", ["DATABASE_URL", "REDIS_URL"])
async def test_what_cannot_be_read_just_now_is_to_be_asked_for_again(web, monkeypatch, address, down):
    assert (await web.get(address)).status_code == 200
    await (db.dispose() if down == "DATABASE_URL" else valkey.close())
    nowhere = {"DATABASE_URL": "postgresql://nobody@127.0.0.1:9/nothing", "REDIS_URL": "redis://127.0.0.1:9"}
    monkeypatch.setenv(down, nowhere[down])
    settings.settings.cache_clear()
    answer = await web.get(address)
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "service_unavailable")


async def test_no_model_has_a_name_that_the_database_cannot_hold(web):
    assert (await web.get("/v1/usage", params={"models": "a\0"})).status_code == 400


async def test_a_retired_model_is_gone(web):
    async with transaction() as tx:
        (await tx.get(Model, "assisters-vision-v1")).retired_at = clock.now()
        tx.afterwards(announce_model)
    answer = await once(lambda told: told.status_code == 404, lambda: web.get("/v1/models/assisters-vision-v1"))
    assert answer.json()["error"]["code"] == "model_not_found"


async def announce_model():
    await valkey.announce("model", "assisters-vision-v1")


async def test_the_rate_limit_can_be_read_without_using_it_up(web):
    with clock.frozen(NOON) as move:
        assert (await web.get("/v1/rate-limit")).json() == {
            "object": "rate_limit",
            "limit": 10,
            "remaining": 10,
            "reset": 0,
            "tokens": {"limit": 100_000, "remaining": 100_000},
        }
        used = (await web.post("/v1/chat/completions", json=ASK)).json()["usage"]["total_tokens"]
        move(NOON + timedelta(seconds=20))
        answer = (await web.get("/v1/rate-limit")).json()
        assert (answer["remaining"], answer["reset"]) == (9, 40)
        assert answer["tokens"]["remaining"] == 100_000 - used  # what was held beyond it has been given back


def call(organization_id, at, **more):
    return Event(
        new_id(),
        at,
        organization_id,
        new_id(),
        "live",
        "/v1/chat/completions",
        **{"model": "assisters-chat-v1", "status": 200, "outcome": "completed", "input_tokens": 3, **more},
    )


async def test_usage_comes_in_buckets_grouped_as_asked(web, ada):
    mallory = await customer(MALLORY)
    async with transaction() as tx:
        await events.insert(
            tx,
            [
                call(ada.organization_id, NOON, output_tokens=2, cost_nano=9),
                call(ada.organization_id, NOON, model="assisters-embed-v1"),
                call(ada.organization_id, NOON + timedelta(days=1)),
                call(mallory.organization_id, NOON),
            ],
        )
    start = int(NOON.replace(hour=0, minute=0).timestamp())
    asked = {"start_time": start, "end_time": start + 3 * 86_400, "group_by": "model"}
    page = (await web.get("/v1/usage", params=asked)).json()
    assert (page["object"], page["has_more"], page["next_page"]) == ("page", False, None)
    assert [len(one["results"]) for one in page["data"]] == [2, 1, 0]
    first = page["data"][0]["results"][0]
    assert (first["model"], first["num_model_requests"], first["output_tokens"], first["cost_nano_usd"]) == (
        "assisters-chat-v1",
        1,
        2,
        9,
    )
    assert first["api_key_id"] is None
    only = (await web.get("/v1/usage", params={**asked, "models": "assisters-embed-v1", "group_by": ""})).json()
    assert sum(len(one["results"]) for one in only["data"]) == 1


async def test_usage_is_narrowed_to_the_models_and_the_keys_that_are_named(web, ada):
    several = [call(ada.organization_id, NOON, model=name) for name in ("one", "two", "three")]
    mallorys = call((await customer(MALLORY)).organization_id, NOON, model="one")
    async with transaction() as tx:
        await events.insert(tx, [*several, mallorys])
    start = int(NOON.replace(hour=0, minute=0).timestamp())
    asked = {"start_time": start, "end_time": start + 86_400, "group_by": "model"}

    async def counted(**more):
        [bucket] = (await web.get("/v1/usage", params={**asked, **more})).json()["data"]
        return sorted((one["model"], one["num_model_requests"]) for one in bucket["results"])

    assert await counted(models=["one", "two"]) == await counted(models="one,two") == [("one", 1), ("two", 1)]
    named = [str(one.key_id) for one in several]
    assert await counted(api_key_ids=named[1:]) == [("three", 1), ("two", 1)]
    assert await counted(api_key_ids=named[0], models="two") == []
    assert await counted(api_key_ids=str(mallorys.key_id)) == []


async def by_the_minute(web, start, **more):
    """Return the minutes of all pages in which something was used, after `start`; and how many each page has."""
    found, sizes, page = [], [], {}
    asked = {"start_time": int(start.timestamp()), "bucket_width": "1m", **more}
    while page is not None:
        body = (await web.get("/v1/usage", params={**asked, **page})).json()
        assert [one["end_time"] for one in body["data"][:-1]] == [one["start_time"] for one in body["data"][1:]]
        used = [(one["start_time"] - asked["start_time"], one["results"]) for one in body["data"] if one["results"]]
        found += [(seconds // 60, result) for seconds, results in used for result in results]
        sizes.append(len(body["data"]))
        page = {"page": body["next_page"]} if body["has_more"] else None
    return found, sizes


async def test_usage_is_read_by_the_minute_as_the_hour_has_it(web, ada):
    mallory = await customer(MALLORY)
    whole = {"output_tokens": 2, "cached_tokens": 1, "units": 4, "cost_nano": 9, "duration_ms": 7}
    with clock.frozen(NOON + timedelta(days=29)):
        async with transaction() as tx:
            own = [
                call(ada.organization_id, NOON, **whole),
                call(ada.organization_id, NOON + timedelta(seconds=59.9), **{**whole, "status": 500}),
                call(ada.organization_id, NOON + timedelta(seconds=60), model="assisters-embed-v1"),
                call(ada.organization_id, NOON + timedelta(minutes=89), **whole),
            ]
            beside = [call(ada.organization_id, NOON - timedelta(seconds=1)), call(mallory.organization_id, NOON)]
            await events.insert(tx, [*own, *beside])
        asked = {"end_time": int((NOON + timedelta(minutes=90)).timestamp()), "group_by": "model,api_key_id"}
        found, sizes = await by_the_minute(web, NOON, **asked)
        assert sizes == [60, 30]
        seen = [(minute, one["model"], one["api_key_id"]) for minute, one in found]
        places = zip((0, 0, 1, 89), own, strict=True)
        assert sorted(seen) == sorted((minute, one.model, str(one.key_id)) for minute, one in places)
        assert await by_the_minute(web, NOON, **asked, limit=1_440) == (found, [90])
        summed = (await by_the_minute(web, NOON - timedelta(minutes=5), end_time=asked["end_time"]))[0]
        hours = {**asked, "start_time": int((NOON - timedelta(minutes=5)).timestamp()), "bucket_width": "1h"}
        by_the_hour = (await web.get("/v1/usage", params={**hours, "group_by": ""})).json()["data"]
        for name in ("num_model_requests", "num_errors", "input_tokens", "output_tokens", "units", "cost_nano_usd"):
            in_hours = sum(result[name] for hour in by_the_hour for result in hour["results"])
            assert sum(one[name] for _, one in summed) == in_hours > 0
        only = await by_the_minute(web, NOON, **asked, models="assisters-embed-v1")
        assert [minute for minute, _ in only[0]] == [1]


async def test_a_page_of_minutes_ends_where_it_would_hold_too_many_calls(web, ada, monkeypatch):
    monkeypatch.setattr(usage, "MOST_CALLS", 10)
    made = [call(ada.organization_id, NOON + timedelta(seconds=30 * number)) for number in range(60)]
    end = int((NOON + timedelta(hours=1)).timestamp())
    with clock.frozen(NOON + timedelta(hours=2)):
        async with transaction() as tx:
            await events.insert(tx, made)
        found, sizes = await by_the_minute(web, NOON, end_time=end)
    assert [(minute, one["num_model_requests"]) for minute, one in found] == [(minute, 2) for minute in range(30)]
    assert sum(sizes) == 60
    assert max(sizes[:5]) <= 10


async def test_minutes_that_no_calls_are_kept_of_are_not_told_as_if_nothing_was_used(web):
    with clock.frozen(NOON):
        usual = (await web.get("/v1/usage", params={"bucket_width": "1m"})).json()
        assert [len(usual["data"]), usual["data"][0]["start_time"]] == [60, int(NOON.timestamp()) - 3_600]
        asked = {"bucket_width": "1m", "start_time": int((NOON - timedelta(days=30)).timestamp())}
        assert (await web.get("/v1/usage", params=asked)).status_code == 200
        answer = await web.get("/v1/usage", params={**asked, "start_time": asked["start_time"] - 1})
        assert (answer.status_code, answer.json()["error"]["param"]) == (400, "start_time")
        assert (await web.get("/v1/usage", params={**asked, "limit": 1_441})).status_code == 400


async def test_however_long_the_time_that_is_asked_for_its_pages_can_be_read(web):
    with clock.frozen(NOON):
        page = (await web.get("/v1/usage", params={"bucket_width": "15m", "start_time": 0})).json()
        assert (len(page["data"]), page["next_page"]) == (96, str(96 * 900))


@pytest.mark.parametrize("width", list(usage.WIDTHS))
async def test_a_time_after_which_there_is_hardly_any_is_refused_and_breaks_nothing(web, width):
    last = int(datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC).timestamp())
    for asked in (
        {"start_time": last - 1, "end_time": last},
        {"page": last - 1, "end_time": last},
        {"end_time": 10**12 - 1},
    ):
        answer = await web.get("/v1/usage", params={"bucket_width": width, **asked})
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_value")


async def test_usage_is_read_page_by_page(web, ada):
    start = int(NOON.replace(hour=0, minute=0).timestamp())
    asked = {"start_time": start, "end_time": start + 5 * 3_600, "bucket_width": "1h", "limit": 2}
    starts, page = [], None
    for _ in range(5):
        body = (await web.get("/v1/usage", params=asked if page is None else {**asked, "page": page})).json()
        starts += [one["start_time"] for one in body["data"]]
        page = body["next_page"]
        if page is None:
            break
    assert starts == [start + n * 3_600 for n in range(5)]


@pytest.mark.parametrize(
    ("asked", "param"),
    [
        ({"bucket_width": "1w"}, "bucket_width"),
        ({"limit": 0}, "limit"),
        ({"limit": 99}, "limit"),
        ({"limit": "x"}, "limit"),
        ({"start_time": "x"}, "start_time"),
        ({"start_time": 10**12 - 1}, "start_time"),
        ({"start_time": 200, "end_time": 100}, "start_time"),
        ({"group_by": "colour"}, "group_by"),
        ({"models": ",".join(map(str, range(51)))}, "models"),
        ({"api_key_ids": "ask_a"}, "api_key_ids"),
    ],
)
async def test_a_question_about_usage_that_makes_no_sense_is_refused(web, asked, param):
    answer = await web.get("/v1/usage", params=asked)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)


async def test_usage_cannot_be_asked_for_all_the_time(web):
    answers = [(await web.get("/v1/usage")).status_code for _ in range(61)]
    assert answers == [200] * 60 + [429]


async def test_probes_are_told_what_is_down_and_nothing_more(web, house, monkeypatch):
    assert (await web.get("/healthz")).json() == {"status": "ok"}
    ready = await web.get("/readyz")
    assert ready.json() == {"status": "ready", "checks": {"postgresql": "ok", "valkey": "ok", "models": "sandbox"}}
    await valkey.close()
    monkeypatch.setenv("REDIS_URL", "redis://:hidden-password@127.0.0.1:9")
    settings.settings.cache_clear()
    ready = await web.get("/readyz")
    assert (ready.status_code, ready.json()["checks"]["valkey"]) == (503, "down")
    assert "hidden" not in ready.text
    assert (await web.get("/healthz")).status_code == 200
    await valkey.close()
