"""A key found in public is dead at once and its owner told; nobody but GitHub gets an answer."""

import asyncio
import base64
import hashlib
import json
import logging
from datetime import timedelta

import httpx
import pytest
from aiohttp import web
from cast import ADA, MALLORY
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256, SHA512
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from customers import customer, key_of
from sqlmodel import select
from staleness import once

from assisters_app.api import webhooks
from assisters_app.base import clock, crypto, settings
from assisters_app.base.clock import now
from assisters_app.base.db import transaction
from assisters_app.base.tables import OutgoingMail, TrailEntry
from assisters_app.keys import keys, reporters, secret

WHERE = "/webhooks/github/secret-scanning"
PLACE = "https://github.com/octocat/Hello-World/blob/1/foo/bar.txt"


class Scanner:
    """A stand-in for GitHub: it publishes its public keys and signs what it sends."""

    def __init__(self):
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.published = {"current": self.key.public_key()}
        self.asked = 0
        self.status = 200
        self.listed = None
        self.client = None

    async def list(self, _):
        self.asked += 1
        listed = [
            {
                "key_identifier": name,
                "key": key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode(),
                "is_current": True,
            }
            for name, key in self.published.items()
        ]
        return web.json_response({"public_keys": self.listed or listed}, status=self.status)

    async def send(self, body, identifier="current", key=None, hashed=SHA256, altered=None):
        sent = body if isinstance(body, bytes) else json.dumps(body).encode()
        signature = base64.b64encode((key or self.key).sign(sent, ec.ECDSA(hashed()))).decode()
        headers = {"Github-Public-Key-Identifier": identifier, "Github-Public-Key-Signature": signature}
        return await self.client.post(WHERE, content=altered or sent, headers=headers)


@pytest.fixture
async def scanner(api, monkeypatch):
    found = Scanner()
    app = web.Application()
    app.router.add_get("/keys", found.list)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    monkeypatch.setenv("SECRET_SCANNING_KEYS_URL", f"http://127.0.0.1:{runner.addresses[0][1]}/keys")
    settings.settings.cache_clear()
    async with httpx.AsyncClient(base_url=api) as found.client:
        yield found
    await runner.cleanup()


def finding(token, **more):
    return {"token": token, "type": "assisters_api_key", "url": PLACE, "source": "content", **more}


def label(token, said):
    return {
        "token_hash": hashlib.sha256(token.encode()).hexdigest(),
        "token_type": "assisters_api_key",
        "label": said,
    }


async def mails():
    async with transaction() as tx:
        waiting = (await tx.exec(select(OutgoingMail).order_by(OutgoingMail.created_at))).all()
    return [(mail.to_email, mail.subject, crypto.unseal("mail", mail.sealed)) for mail in waiting]


async def models(client, key):
    return (await client.get("/v1/models", headers={"Authorization": f"Bearer {key}"})).status_code


async def test_a_key_found_in_public_is_revoked_at_once_and_its_owner_told(scanner, ada, caplog):
    caplog.set_level(logging.DEBUG)
    _, handle, key = await key_of(ada)
    typo, unknown = key[:-1] + ("0" if key[-1] != "0" else "1"), secret.new_secret(secret.new_public_id()).reveal()
    forged = secret.new_secret(secret.public_id_of(key)).reveal()
    assert await models(scanner.client, key) == 200
    tokens = [typo, key, unknown, forged, key, "not a key", ""]
    answer = await scanner.send([finding(token) for token in tokens])
    assert answer.status_code == 200
    wanted = ["true_positive" if token == key else "false_positive" for token in tokens]
    assert answer.json() == [label(token, said) for token, said in zip(tokens, wanted, strict=True)]
    await once(lambda status: status == 401, lambda: models(scanner.client, key))
    [(to, subject, text)] = await mails()
    assert (to, subject) == (ADA, "Your API key “Main” was found in public and is revoked")
    assert PLACE in text
    async with transaction() as tx:
        [entry] = await tx.exec(select(TrailEntry).where(TrailEntry.action == "key:leaked"))
        ended = await keys.one(tx, ada, handle)
    assert (entry.account_id, entry.actor_id, entry.details) == (
        ada.account_id,
        None,
        {"key": handle, "source": "content"},
    )
    assert ended.revoked_at == ended.leaked_at is not None
    shown = answer.text + text + caplog.text + str(entry.details)
    assert key[16:59] not in shown


async def test_a_key_reported_again_is_still_ours_and_nobody_is_told_twice(scanner, ada):
    _, _, key = await key_of(ada)
    answers = await asyncio.gather(*(scanner.send([finding(key)]) for _ in range(4)))
    assert [one.json()[0]["label"] for one in answers] == ["true_positive"] * 4
    assert len(await mails()) == 1


async def test_an_old_secret_found_in_public_ends_and_the_new_one_goes_on(scanner, ada):
    _, handle, old = await key_of(ada)
    async with transaction() as tx:
        new = (await keys.rotate(tx, ada, handle)).secret.reveal()
    answer = await scanner.send([finding(old, url="javascript:alert(1)", source="<b>")])
    assert answer.json() == [label(old, "true_positive")]
    await once(lambda status: status == 401, lambda: models(scanner.client, old))
    assert await models(scanner.client, new) == 200
    [(_, subject, text)] = await mails()
    assert subject == "The old secret of your API key “Main” was found in public and has ended"
    assert "javascript" not in text
    assert (await scanner.send([finding(old)])).json() == [label(old, "true_positive")]
    assert len(await mails()) == 1


async def test_keys_of_many_people_end_in_one_message_and_no_others(scanner, ada):
    mallory = await customer(MALLORY)
    adas, mallorys, spared = (await key_of(ada))[2], (await key_of(mallory))[2], (await key_of(ada, name="Other"))[2]
    await scanner.send([finding(mallorys), finding(adas)])
    assert sorted(to for to, _, _ in await mails()) == sorted([ADA, MALLORY])
    assert await models(scanner.client, spared) == 200


async def test_without_the_setting_there_is_nothing_here(api):
    async with httpx.AsyncClient(base_url=api) as client:
        answer = await client.post(WHERE, json=[])
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found")


async def test_what_github_did_not_sign_changes_nothing(scanner, ada):
    _, _, key = await key_of(ada)
    body, mallorys = [finding(key)], ec.generate_private_key(ec.SECP256R1())
    answers = [
        await scanner.send(body, key=mallorys),
        await scanner.send(body, identifier="mallory"),
        await scanner.send(body, identifier=""),
        await scanner.send(body, hashed=SHA512),
        await scanner.send([], altered=json.dumps(body).encode()),
        await scanner.client.post(WHERE, json=body),
        await scanner.client.post(
            WHERE,
            json=body,
            headers={"Github-Public-Key-Identifier": "current", "Github-Public-Key-Signature": "no base64"},
        ),
    ]
    assert [(one.status_code, one.json()["error"]["code"]) for one in answers] == [(400, "bad_signature")] * 7
    assert key not in "".join(one.text for one in answers)
    assert await models(scanner.client, key) == 200
    assert await mails() == []


async def test_the_published_keys_are_kept_and_read_again_for_a_new_one(scanner):
    at = now()
    with clock.frozen(at) as move:
        for _ in range(3):
            assert (await scanner.send([])).status_code == 200
        assert scanner.asked == 1
        other = ec.generate_private_key(ec.SECP256R1())
        scanner.published["next"] = other.public_key()
        assert (await scanner.send([], "next", other)).status_code == 400
        move(at + reporters.SELDOM)
        assert (await scanner.send([], "next", other)).status_code == 200
        assert scanner.asked == 2
        scanner.status = 500
        move(at + 3 * reporters.KEPT)
        assert (await scanner.send([])).status_code == 200
        assert scanner.asked == 3


async def test_when_the_published_keys_cannot_be_had_github_is_asked_to_come_again(scanner):
    scanner.status = 500
    answer = await scanner.send([])
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "service_unavailable")
    scanner.status, scanner.published = 200, {"current": ec.generate_private_key(ec.SECP384R1()).public_key()}
    assert (await scanner.send([])).status_code == 503
    scanner.published = {"current": scanner.key.public_key()}
    assert (await scanner.send([])).status_code == 200


async def test_a_published_key_of_a_kind_that_we_do_not_know_is_passed_over(scanner):
    known = scanner.published["current"].public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    unheard_of = "MBYwDAYIKwYBBAGZAAEFAAMGAAECAwQF"  # a public key whose algorithm nobody has named
    keys = {"new": f"-----BEGIN PUBLIC KEY-----\n{unheard_of}\n-----END PUBLIC KEY-----\n", "current": known}
    scanner.listed = [{"key_identifier": name, "key": key, "is_current": True} for name, key in keys.items()]
    assert (await scanner.send([])).status_code == 200
    assert (await scanner.send([], "new")).status_code == 400


@pytest.mark.parametrize(
    "body", [b"", b"{}", b"[1]", b'[{"type":"x"}]', b'[{"token":1}]', b"[" + b"{}," * 1_001 + b"{}]"]
)
async def test_a_message_of_another_shape_is_refused_without_repeating_it(scanner, body):
    answer = await scanner.send(body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_json")
    assert "input" not in answer.text


async def test_too_much_and_too_often_are_refused_before_anything_is_checked(scanner, monkeypatch):
    monkeypatch.setattr(webhooks, "LARGEST", 1_000)
    assert (await scanner.send(b"x" * 1_001)).status_code == 413
    monkeypatch.setattr(webhooks, "OFTEN", webhooks.Limit("leak-reports", 3, timedelta(minutes=1)))
    answers = [(await scanner.send([])).status_code for _ in range(3)]
    assert answers == [200, 200, 429]
    assert scanner.asked == 1
