"""People sign in with a provider of theirs; nobody gets into an account because a provider names its address."""

import os
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

import github
import httpx
import pytest
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from cast import ADA, BOB, GRACE, PASSWORD
from nets import free_port
from places import HERE
from sqlmodel import select

from assisters_app.accounts import oauth, oauth_providers, people, sessions, signing_in, signing_up, verifying
from assisters_app.accounts.tables import Account, ExternalIdentity
from assisters_app.base import clock, settings
from assisters_app.base.db import transaction
from assisters_app.base.errors import NotFound, Refused
from assisters_app.base.valkey import valkey

SUBJECT = "ada-at-the-provider"


@pytest.fixture(scope="module")
def issuer():
    """Run a real OpenID provider in a process of its own."""
    port = free_port()
    environment = {**os.environ, "PYTHONWARNINGS": "ignore"}
    provider = subprocess.Popen(
        [sys.executable, "-m", "oidc_provider_mock", "--port", str(port)],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    address = f"http://127.0.0.1:{port}"
    with httpx.Client(transport=httpx.HTTPTransport(retries=9, verify=False)) as there:
        there.get(f"{address}/.well-known/openid-configuration").raise_for_status()
    yield address
    provider.terminate()
    provider.wait(10)


@pytest.fixture
def provider(house, mailbag, issuer, monkeypatch):
    """Let people sign in with that provider, where Ada's address is proven."""
    monkeypatch.setenv("OIDC_ISSUER", issuer)
    monkeypatch.setenv("OIDC_CLIENT_ID", "assisters")
    monkeypatch.setenv("OIDC_CLIENT_SECRET", "s3cret/with+signs")
    monkeypatch.setenv("OIDC_TITLE", "Example ID")
    settings.settings.cache_clear()
    claims(issuer, SUBJECT, email=ADA, email_verified=True, name="Ada Lovelace")
    return issuer


@pytest.fixture
def hub(house, mailbag, monkeypatch):
    """Let people sign in with GitHub."""
    with github.served() as (there, address):
        monkeypatch.setattr(oauth_providers, "GITHUB", address)
        monkeypatch.setattr(oauth, "GITHUB", address)
        monkeypatch.setattr(oauth_providers, "GITHUB_API", address)
        monkeypatch.setenv("GITHUB_CLIENT_ID", github.ID)
        monkeypatch.setenv("GITHUB_CLIENT_SECRET", github.SECRET)
        settings.settings.cache_clear()
        yield there


def claims(issuer, subject, **said):
    with outside() as there:
        there.put(f"{issuer}/users/{subject}", json=said).raise_for_status()


def outside():
    return httpx.Client(verify=False, trust_env=False)  # noqa: S501 (loopback only; reading certificates takes long)


def agree(url, subject=SUBJECT):
    """Do what the person does at the provider; return the query the browser comes back with."""
    with outside() as browser:
        answer = browser.get(url) if "/login/oauth/" in url else browser.post(url, data={"sub": subject})
    return dict(parse_qsl(urlsplit(answer.headers["location"]).query))


async def there_and_back(name="oidc", subject=SUBJECT, **begun):
    start = await oauth.begin(name, **begun)
    return await oauth.prove(name, agree(start.url, subject), start.cookie.reveal())


async def finish(proof, person=None):
    async with transaction() as tx:
        return await oauth.finish(tx, proof, HERE, person)


async def accounts():
    async with transaction() as tx:
        return (await tx.exec(select(Account.email).order_by(Account.email))).all()


async def test_ada_signs_up_and_in_with_her_provider(provider, trail):
    finished = await finish(await there_and_back(return_to="/keys?new=1"))
    person = await sessions.resolve(finished.cookie.reveal())
    assert (person.email, person.name, person.verified) == (ADA, "Ada Lovelace", True)
    assert finished.return_to == "/keys?new=1"
    assert await trail(person.account_id) == ["account:signed-up", "account:verified", "session:opened"]
    again = await sessions.resolve((await finish(await there_and_back())).cookie.reveal())
    assert (again.account_id, await accounts()) == (person.account_id, [ADA])


async def test_she_stays_herself_when_her_address_there_changes(provider):
    first = await sessions.resolve((await finish(await there_and_back())).cookie.reveal())
    claims(provider, SUBJECT, email="ada@elsewhere.example", email_verified=True)
    second = await sessions.resolve((await finish(await there_and_back())).cookie.reveal())
    assert (first.account_id, second.email) == (second.account_id, ADA)


async def test_a_callback_works_once(provider):
    start = await oauth.begin("oidc")
    answer = agree(start.url)
    await oauth.prove("oidc", answer, start.cookie.reveal())
    with pytest.raises(Refused) as replayed:
        await oauth.prove("oidc", answer, start.cookie.reveal())
    assert replayed.value.code == "oauth_state"


@pytest.mark.parametrize("state", ["", "made-up"])
async def test_a_wrong_state_is_refused(provider, state):
    start = await oauth.begin("oidc")
    with pytest.raises(Refused) as refused:
        await oauth.prove("oidc", {**agree(start.url), "state": state}, start.cookie.reveal())
    assert refused.value.code == "oauth_state"


@pytest.mark.parametrize("browser", ["", "another browser's cookie"])
async def test_mallory_cannot_make_ada_finish_what_mallory_began(provider, browser):
    """Otherwise Ada would work, and put her card, in Mallory's account."""
    start = await oauth.begin("oidc")
    with pytest.raises(Refused) as refused:
        await oauth.prove("oidc", agree(start.url, "mallory"), browser)
    assert refused.value.code == "oauth_state"


async def test_a_code_from_another_trip_is_refused_by_its_nonce(provider):
    start = await oauth.begin("oidc")
    stolen = agree((await oauth.begin("oidc")).url, "victim")["code"]
    with pytest.raises(Refused) as refused:
        await oauth.prove("oidc", {**agree(start.url), "code": stolen}, start.cookie.reveal())
    assert refused.value.code == "provider_answer"


async def test_a_nonce_that_was_changed_on_the_way_is_refused(provider):
    start = await oauth.begin("oidc")
    parts = urlsplit(start.url)
    asked = {**dict(parse_qsl(parts.query)), "nonce": "mallory's"}
    answer = agree(parts._replace(query=urlencode(asked)).geturl())
    with pytest.raises(Refused) as refused:
        await oauth.prove("oidc", answer, start.cookie.reveal())
    assert refused.value.code == "provider_answer"


async def test_the_answer_of_another_issuer_is_refused(provider):
    start = await oauth.begin("oidc")
    with pytest.raises(Refused) as refused:
        await oauth.prove("oidc", {**agree(start.url), "iss": "https://evil.example"}, start.cookie.reveal())
    assert refused.value.code == "provider_answer"


async def test_a_token_that_has_expired_is_refused(provider):
    start = await oauth.begin("oidc")
    answer = agree(start.url)
    with clock.frozen(clock.now() + timedelta(hours=1, minutes=2)), pytest.raises(Refused) as refused:
        await oauth.prove("oidc", answer, start.cookie.reveal())
    assert refused.value.code == "provider_answer"


async def test_a_token_that_was_meant_for_another_is_refused(provider, monkeypatch):
    """Here somebody else's client got the token, for the very same nonce."""
    start = await oauth.begin("oidc")
    parts = urlsplit(start.url)
    asked = {**dict(parse_qsl(parts.query)), "client_id": "another-client"}
    answer = agree(parts._replace(query=urlencode(asked)).geturl())
    exchange = oauth_providers._exchange

    async def as_the_other(http, where, provider, *rest, **more):
        return await exchange(http, where, replace(provider, client_id="another-client"), *rest, **more)

    monkeypatch.setattr(oauth_providers, "_exchange", as_the_other)
    with pytest.raises(Refused) as refused:
        await oauth.prove("oidc", answer, start.cookie.reveal())
    assert refused.value.code == "provider_answer"


async def test_who_says_no_at_the_provider_is_not_signed_in(provider):
    start = await oauth.begin("oidc")
    state = parse_qs(urlsplit(start.url).query)["state"][0]
    with pytest.raises(Refused) as refused:
        await oauth.prove("oidc", {"error": "access_denied", "state": state}, start.cookie.reveal())
    assert refused.value.code == "oauth_cancelled"


async def test_an_address_that_the_provider_does_not_vouch_for_opens_no_account(provider):
    for said in ({"email": ADA}, {"email": ADA, "email_verified": False}, {"email_verified": True}):
        claims(provider, SUBJECT, **said)
        with pytest.raises(Refused) as refused:
            await finish(await there_and_back())
        assert refused.value.code == "no_email"
    assert await accounts() == []


async def test_an_account_with_the_same_address_is_not_opened_by_a_provider(provider, joins):
    await joins(ADA)
    with pytest.raises(Refused) as refused:
        await finish(await there_and_back())
    assert refused.value.code == "link_first"
    async with transaction() as tx:
        assert (await tx.exec(select(ExternalIdentity))).all() == []


async def test_ada_links_her_provider_from_inside_and_is_told(provider, joins, mailbag, trail):
    _, ada = await joins(ADA)
    assert (await finish(await there_and_back(intent="link", person=ada), ada)).cookie is None
    assert (await mailbag.letters(ADA))[-1]["subject"] == "A new way to sign in"
    assert "Example ID" in (await mailbag.letters(ADA))[-1]["paragraphs"][0]
    assert (await trail(ada.account_id))[-1] == "sign-in:linked"
    async with transaction() as tx:
        assert await oauth.methods(tx, ada) == [oauth.Method("oidc", "Example ID", linked=True)]
    signed_in = await sessions.resolve((await finish(await there_and_back())).cookie.reveal())
    assert signed_in.account_id == ada.account_id
    await finish(await there_and_back(intent="link", person=ada), ada)  # again: nothing more happens
    assert (await trail(ada.account_id)).count("sign-in:linked") == 1


async def test_linking_needs_a_recent_proof_of_who_one_is(provider, ada):
    old = replace(ada, reauthenticated_at=clock.now() - timedelta(minutes=11))
    with pytest.raises(Refused) as early:
        await oauth.begin("oidc", intent="link", person=old)
    proof = await there_and_back(intent="link", person=ada)
    with pytest.raises(Refused) as late:
        await finish(proof, old)
    assert early.value.code == late.value.code == "reauthenticate"


async def test_what_one_began_nobody_else_finishes(provider, joins):
    _, ada = await joins(ADA)
    _, bob = await joins(BOB)
    for finisher in (bob, None):
        proof = await there_and_back(intent="link", person=ada)
        with pytest.raises(Refused) as refused:
            await finish(proof, finisher)
        assert refused.value.code == "oauth_state"
    unsigned = await there_and_back(intent="link", person=None)
    with pytest.raises(Refused, match="no longer signed in"):
        await finish(unsigned, None)


async def test_a_sign_in_belongs_to_one_account(provider, joins):
    await finish(await there_and_back())
    _, bob = await joins(BOB)
    with pytest.raises(Refused) as refused:
        await finish(await there_and_back(intent="link", person=bob), bob)
    assert refused.value.code == "linked_elsewhere"


async def test_the_last_way_to_sign_in_is_not_taken_away(provider, joins):
    ada = await sessions.resolve((await finish(await there_and_back())).cookie.reveal())
    with pytest.raises(Refused) as refused:
        async with transaction() as tx:
            await oauth.unlink(tx, ada, "oidc")
    assert refused.value.code == "last_sign_in"


async def test_a_provider_is_unlinked_where_a_password_is_left(provider, joins, trail):
    _, ada = await joins(ADA)
    await finish(await there_and_back(intent="link", person=ada), ada)
    async with transaction() as tx:
        await oauth.unlink(tx, ada, "oidc")
    assert (await trail(ada.account_id))[-1] == "sign-in:unlinked"
    with pytest.raises(Refused) as refused:
        await finish(await there_and_back())
    assert refused.value.code == "link_first"
    with pytest.raises(NotFound):
        async with transaction() as tx:
            await oauth.unlink(tx, ada, "oidc")


async def test_who_has_no_password_proves_again_at_the_provider_who_they_are(provider):
    with clock.frozen(clock.now() - timedelta(seconds=50)):
        cookie = (await finish(await there_and_back())).cookie.reveal()
    ada = await sessions.resolve(cookie)
    start = await oauth.begin("oidc", intent="reauthenticate", person=ada)
    assert parse_qs(urlsplit(start.url).query)["prompt"] == ["login"]
    await finish(await oauth.prove("oidc", agree(start.url), start.cookie.reveal()), ada)
    assert (await sessions.resolve(cookie)).reauthenticated_at > ada.reauthenticated_at + timedelta(seconds=45)


async def test_another_person_at_the_provider_proves_nothing(provider, joins):
    _, ada = await joins(ADA)
    with pytest.raises(Refused) as refused:
        await finish(await there_and_back(subject="somebody-else", intent="reauthenticate", person=ada), ada)
    assert refused.value.code == "wrong_person"


async def test_being_remembered_by_the_provider_is_no_new_proof(provider):
    ada = await sessions.resolve((await finish(await there_and_back())).cookie.reveal())
    start = await oauth.begin("oidc", intent="reauthenticate", person=ada)
    answer = agree(start.url)
    late = clock.now() + oauth_providers.FRESH + timedelta(seconds=5)
    with clock.frozen(late), pytest.raises(Refused) as refused:
        await oauth.prove("oidc", answer, start.cookie.reveal())
    assert refused.value.code == "provider_answer"


async def test_ada_takes_the_account_that_mallory_began_in_her_name(provider, mailbag):
    async with transaction() as tx:
        await signing_up.sign_up(tx, ADA, PASSWORD, HERE)
    mallorys_link = await mailbag.token(ADA)
    person = await sessions.resolve((await finish(await there_and_back())).cookie.reveal())
    assert (person.email, await accounts()) == (ADA, [ADA])
    with pytest.raises(Refused, match="do not go together"):
        async with transaction() as tx:
            await signing_in.sign_in(tx, ADA, PASSWORD, HERE)
    with pytest.raises(Refused, match="no longer valid"):
        async with transaction() as tx:
            await verifying.verify(tx, mallorys_link)


async def test_an_account_for_staff_is_not_handed_to_whom_a_provider_names(provider):
    async with transaction() as tx:
        await people.create_account(tx, ADA, role="admin")  # invited, and has not followed the link yet
    with pytest.raises(Refused) as refused:
        await finish(await there_and_back())
    assert refused.value.code == "link_first"


async def test_a_suspended_account_is_not_opened_by_a_provider_either(provider, joins):
    ada = await sessions.resolve((await finish(await there_and_back())).cookie.reveal())
    cookie, _ = await joins(GRACE)
    async with transaction() as tx:
        await people.create_account(tx, GRACE, "admin")
    async with transaction() as tx:
        await people.suspend(tx, await sessions.resolve(cookie), ada.account_id, "Keys sold to others.")
    with pytest.raises(Refused, match="Keys sold to others"):
        await finish(await there_and_back())


@pytest.mark.parametrize(
    "path", ["https://evil.example", "//evil.example", "/\\evil.example", "javascript:alert(1)", "", "/a\nb"]
)
async def test_nobody_is_sent_on_to_another_site(provider, path):
    assert (await there_and_back(return_to=path)).return_to == "/dashboard"


async def test_an_unknown_provider_does_not_exist(provider):
    with pytest.raises(NotFound):
        await oauth.begin("facebook")
    with pytest.raises(NotFound):
        await oauth.prove("google", {}, "")


async def test_a_provider_out_of_reach_is_said_to_be(provider, monkeypatch):
    monkeypatch.setenv("OIDC_ISSUER", f"http://127.0.0.1:{free_port()}")
    settings.settings.cache_clear()
    with pytest.raises(Refused) as refused:
        await oauth.begin("oidc")
    assert (refused.value.code, refused.value.status) == ("provider_unavailable", 503)


async def test_what_is_kept_on_the_way_shows_nothing_and_ends(provider):
    start = await oauth.begin("oidc", return_to="/somewhere-telling")
    (place,) = await valkey().keys("oauth:*")
    kept = await valkey().get(place)
    assert 0 < await valkey().ttl(place) <= oauth.LASTING.total_seconds()
    for told in (start.cookie.reveal(), "somewhere-telling", parse_qs(urlsplit(start.url).query)["nonce"][0]):
        assert told not in place + kept


async def test_ada_signs_in_with_github_by_the_address_she_confirmed_there(hub):
    finished = await finish(await there_and_back("github"))
    person = await sessions.resolve(finished.cookie.reveal())
    assert (person.email, person.name) == (ADA, "Ada Lovelace")
    async with transaction() as tx:
        assert (await tx.exec(select(ExternalIdentity.subject))).one() == "583231"
        assert (await oauth.methods(tx, person))[0].linked


async def test_an_address_that_github_has_not_confirmed_opens_no_account(hub):
    hub.emails = [{"email": ADA, "primary": True, "verified": False}]
    with pytest.raises(Refused) as refused:
        await finish(await there_and_back("github"))
    assert refused.value.code == "no_email"


async def test_a_code_is_worth_nothing_without_the_verifier_that_never_left(hub):
    """PKCE: whoever sees the callback cannot use its code, not even in a trip of their own."""
    ada, mallory = await oauth.begin("github"), await oauth.begin("github")
    stolen = agree(ada.url)["code"]
    with pytest.raises(Refused) as refused:
        await oauth.prove("github", {**agree(mallory.url), "code": stolen}, mallory.cookie.reveal())
    assert refused.value.code == "provider_answer"
    asked = parse_qs(urlsplit(ada.url).query)
    assert asked["code_challenge_method"] == ["S256"]
    assert len(asked["code_challenge"][0]) == len(create_s256_code_challenge("x" * 64))


async def test_github_with_the_wrong_secret_signs_nobody_in(hub, monkeypatch):
    start = await oauth.begin("github")
    monkeypatch.setenv("GITHUB_CLIENT_SECRET", "wrong")
    settings.settings.cache_clear()
    with pytest.raises(Refused) as refused:
        await oauth.prove("github", agree(start.url), start.cookie.reveal())
    assert refused.value.code == "provider_answer"
