"""Whoever looks into our security finds whom to tell, and what we are made of, where the standards say."""

import json
from datetime import UTC, datetime, timedelta

import jsonschema_rs
import pytest
from routes import client

from assisters_app.base import contact
from assisters_app.base.clock import frozen
from assisters_app.base.settings import ROOT

TODAY = datetime(2026, 11, 24, 12, tzinfo=UTC)
BILL = {  # what CycloneDX 1.6 demands of what we use of it; the whole schema accepted the bill when it was written
    "type": "object",
    "required": ["bomFormat", "specVersion", "components"],
    "properties": {
        "bomFormat": {"const": "CycloneDX"},
        "specVersion": {"const": "1.6"},
        "serialNumber": {"pattern": "^urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"},
        "components": {
            "uniqueItems": True,
            "items": {
                "required": ["type", "name", "version", "purl"],
                "properties": {
                    "type": {"const": "library"},
                    "scope": {"enum": ["required", "excluded"]},
                    "purl": {"pattern": "^pkg:(pypi/[a-z0-9.-]+|npm/(%40[a-z0-9.-]+/)?[a-z0-9._-]+)@[^@/]+$"},
                    "hashes": {"items": {"properties": {"content": {"pattern": "^[0-9a-f]{128}$"}}}},
                },
            },
        },
    },
}


async def test_whoever_finds_a_hole_reads_whom_to_tell_and_until_when_that_holds(house):
    with frozen(TODAY):
        async with client() as http:
            answer = await http.get("/.well-known/security.txt")
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    told = dict(line.split(": ", 1) for line in answer.text.splitlines())
    assert told["Contact"] == f"mailto:{contact.EMAIL}"
    assert told["Canonical"].endswith("/.well-known/security.txt")
    until = datetime.strptime(told["Expires"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    assert TODAY + timedelta(days=90) < until < TODAY + timedelta(days=365)  # RFC 9116: less than a year


@pytest.mark.promise("5.4")
async def test_anyone_reads_which_packages_we_are_made_of_and_each_is_the_pinned_one(house):
    async with client() as http:
        answer = await http.get("/.well-known/sbom")
    assert answer.headers["content-type"] == "application/vnd.cyclonedx+json; version=1.6"
    bill = answer.json()
    jsonschema_rs.validator_for(BILL).validate(bill)
    named = {one["purl"] for one in bill["components"]}
    for line in (ROOT / "requirements.txt").read_text().splitlines():
        if "==" in line:
            name, version = line.split(" ")[0].split("[")[0].split("==")[0], line.split("==")[1].split(" ")[0]
            assert f"pkg:pypi/{name.lower()}@{version}" in named
    lock = json.loads((ROOT / "reflex.lock" / "package-lock.json").read_text())["packages"]
    react = lock["node_modules/react"]["version"]
    [found] = [one for one in bill["components"] if one["purl"] == f"pkg:npm/react@{react}"]
    assert (found["scope"], found["licenses"]) == ("required", [{"expression": "MIT"}])
    assert [set(bill["dependencies"][0]["dependsOn"])] == [named]
