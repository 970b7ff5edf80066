"""The Supabase Auth stand-in behaves as the service does, towards the official client."""

from contextlib import asynccontextmanager, suppress

import httpx
import pytest
from cast import ADA, BOB, PASSWORD
from supabase import AsyncClient, AsyncClientOptions
from supabase_auth.errors import AuthApiError, AuthRetryableError, AuthWeakPasswordError

from assisters_app.doubles.supabase_auth import SupabaseAuth, served

PAIR = {"email": ADA, "password": PASSWORD}


@pytest.fixture(scope="module")
def running():
    with served() as service:
        yield service


@pytest.fixture
def supabase(running):
    """Give the service back as if it had just been set up."""
    fresh = SupabaseAuth(url=running.url)
    for name in vars(fresh):
        if name not in {"publishable_key", "secret_key"}:
            setattr(running, name, getattr(fresh, name))
    return running


@asynccontextmanager
async def client(service, key=None):
    async with httpx.AsyncClient(verify=False) as http:  # noqa: S501 (loopback only)
        options = AsyncClientOptions(auto_refresh_token=False, persist_session=False, httpx_client=http)
        yield AsyncClient(service.url, key or service.publishable_key, options).auth


@asynccontextmanager
async def admin(service):
    async with client(service, service.secret_key) as auth:
        yield auth.admin


@pytest.fixture
async def ada(supabase):
    """Ada, whose address is proven."""
    async with admin(supabase) as there:
        return (await there.create_user({**PAIR, "email_confirm": True})).user


async def test_ada_signs_up_proves_her_address_and_signs_in(supabase):
    async with client(supabase) as auth:
        signed_up = await auth.sign_up(PAIR)
        assert (signed_up.session, signed_up.user.email) == (None, ADA)
        with pytest.raises(AuthApiError) as unproven:
            await auth.sign_in_with_password(PAIR)
        assert unproven.value.code == "email_not_confirmed"
        (letter,) = supabase.letters
        proven = await auth.verify_otp({"email": ADA, "token": letter.otp, "type": "email"})
        assert proven.user.email_confirmed_at is not None
        signed_in = await auth.sign_in_with_password(PAIR)
        assert signed_in.user.id == signed_up.user.id == proven.user.id


async def test_where_addresses_need_no_proof_signing_up_signs_in(supabase):
    supabase.autoconfirm = True
    async with client(supabase) as auth:
        assert (await auth.sign_up(PAIR)).session is not None
        with pytest.raises(AuthApiError) as refused:
            await auth.sign_up(PAIR)
        assert refused.value.code == "user_already_exists"


async def test_signing_up_again_tells_nobody_that_ada_is_there(supabase, ada):
    async with client(supabase) as auth:
        again = await auth.sign_up({"email": ADA, "password": "another password"})
        assert (again.session, again.user.identities) == (None, [])
        assert again.user.id != ada.id
        await auth.sign_in_with_password(PAIR)
    assert supabase.letters == []


async def test_a_wrong_password_and_an_unknown_address_look_the_same(supabase, ada):
    said = []
    async with client(supabase) as auth:
        for pair in ({"email": ADA, "password": "a guess"}, {"email": BOB, "password": "a guess"}):
            with pytest.raises(AuthApiError) as refused:
                await auth.sign_in_with_password(pair)
            said.append((refused.value.code, refused.value.status, refused.value.message))
    assert said[0] == said[1]
    assert said[0][0] == "invalid_credentials"


async def test_its_access_tokens_can_be_verified_from_its_keys(supabase, ada):
    async with client(supabase) as auth:
        session = (await auth.sign_in_with_password(PAIR)).session
        told = await auth.get_claims(session.access_token)
        assert told["claims"]["sub"] == ada.id
        assert told["claims"]["iss"] == f"{supabase.url}/auth/v1"
        assert told["headers"]["alg"] == "ES256"
        head, _, signature = session.access_token.split(".")
        forged = session.access_token.split(".")[1][:-2] + "AA"
        with pytest.raises(Exception, match=r"[Ii]nvalid|JSON|decode"):
            await auth.get_claims(f"{head}.{forged}.{signature}")


async def test_a_refresh_token_works_once_and_reuse_ends_the_session(supabase, ada):
    async with client(supabase) as auth:
        first = (await auth.sign_in_with_password(PAIR)).session
        second = (await auth.refresh_session(first.refresh_token)).session
        assert second.refresh_token != first.refresh_token
        with pytest.raises(AuthApiError, match="Already Used"):
            await auth.refresh_session(first.refresh_token)
        with pytest.raises(AuthApiError, match="Not Found"):
            await auth.refresh_session(second.refresh_token)


async def test_ada_reads_and_changes_her_user(supabase, ada):
    async with client(supabase) as auth:
        session = (await auth.sign_in_with_password(PAIR)).session
        assert (await auth.get_user(session.access_token)).user.id == ada.id
        with pytest.raises(AuthApiError) as same:
            await auth.update_user({"password": PASSWORD})
        assert same.value.code == "same_password"
        await auth.update_user({"password": "a new one entirely", "data": {"name": "Ada"}})
        assert (await auth.get_user()).user.user_metadata == {"name": "Ada"}
        await auth.sign_in_with_password({"email": ADA, "password": "a new one entirely"})


async def test_a_new_address_counts_once_it_is_proven(supabase, ada):
    async with client(supabase) as auth:
        await auth.sign_in_with_password(PAIR)
        changed = (await auth.update_user({"email": BOB})).user
        assert (changed.email, changed.new_email) == (ADA, BOB)
        (letter,) = supabase.letters
        assert letter.to == BOB
        proven = await auth.verify_otp({"token_hash": letter.token_hash, "type": "email_change"})
        assert (proven.user.email, proven.user.new_email) == (BOB, None)


async def test_recovery_opens_a_session_once_and_tells_nobody_who_is_there(supabase, ada):
    async with client(supabase) as auth:
        await auth.reset_password_for_email(BOB)
        await auth.reset_password_for_email(ADA)
        (letter,) = supabase.letters
        opened = await auth.verify_otp({"token_hash": letter.token_hash, "type": "recovery"})
        assert opened.session is not None
        with pytest.raises(AuthApiError) as again:
            await auth.verify_otp({"token_hash": letter.token_hash, "type": "recovery"})
        assert again.value.code == "otp_expired"


@pytest.mark.parametrize(("scope", "left"), [("local", {"other"}), ("others", {"this"}), ("global", set())])
async def test_signing_out_ends_what_it_says(supabase, ada, scope, left):
    async with client(supabase) as this, client(supabase) as other:
        tokens = {
            "this": (await this.sign_in_with_password(PAIR)).session.access_token,
            "other": (await other.sign_in_with_password(PAIR)).session.access_token,
        }
        await this.sign_out({"scope": scope})
        alive = set()
        for name, token in tokens.items():
            with suppress(AuthApiError):
                await this.get_user(token)
                alive.add(name)
        assert alive == left


async def test_only_the_secret_key_administers(supabase, ada):
    async with client(supabase) as auth:
        with pytest.raises(AuthApiError) as refused:
            await auth.admin.list_users()
        assert refused.value.code == "not_admin"
    async with client(supabase, "sb_publishable_of_another_project") as auth:
        with pytest.raises(AuthApiError, match="No API key"):
            await auth.sign_in_with_password(PAIR)


async def test_the_admin_creates_changes_lists_and_deletes_users(supabase):
    async with admin(supabase) as there:
        ada = (await there.create_user({**PAIR, "user_metadata": {"name": "Ada"}})).user
        bob = (await there.create_user({"email": BOB, "password": PASSWORD, "email_confirm": True})).user
        assert (ada.email_confirmed_at, bob.email_confirmed_at is not None) == (None, True)
        with pytest.raises(AuthApiError) as taken:
            await there.create_user({"email": ADA.upper(), "password": PASSWORD})
        assert taken.value.code == "email_exists"
        assert [user.id for user in await there.list_users(page=2, per_page=1)] == [bob.id]
        with pytest.raises(AuthApiError) as also_taken:
            await there.update_user_by_id(ada.id, {"email": BOB})
        assert also_taken.value.code == "email_exists"
        confirmed = (await there.update_user_by_id(ada.id, {"email_confirm": True})).user
        assert confirmed.email_confirmed_at is not None
        await there.delete_user(bob.id)
        with pytest.raises(AuthApiError) as gone:
            await there.get_user_by_id(bob.id)
        assert (gone.value.code, gone.value.status) == ("user_not_found", 404)


async def test_a_banned_user_does_not_get_in_until_the_ban_is_lifted(supabase, ada):
    async with admin(supabase) as there, client(supabase) as auth:
        await there.update_user_by_id(ada.id, {"ban_duration": "24h"})
        with pytest.raises(AuthApiError) as banned:
            await auth.sign_in_with_password(PAIR)
        assert banned.value.code == "user_banned"
        await there.update_user_by_id(ada.id, {"ban_duration": "none"})
        await auth.sign_in_with_password(PAIR)


async def test_a_weak_password_is_refused_with_the_reasons(supabase):
    async with client(supabase) as auth:
        with pytest.raises(AuthWeakPasswordError) as weak:
            await auth.sign_up({"email": ADA, "password": "short"})
        assert weak.value.reasons == ["length"]
        with pytest.raises(AuthApiError) as long:
            await auth.sign_up({"email": ADA, "password": "x" * 73})
        assert long.value.code == "validation_failed"


async def test_it_fails_when_it_is_told_to_and_as_often(supabase, ada):
    supabase.fail("POST /token", status=503)
    async with client(supabase) as auth:
        with pytest.raises(AuthRetryableError):
            await auth.sign_in_with_password(PAIR)
        await auth.sign_in_with_password(PAIR)
        supabase.fail("POST /token", status=429, code="over_request_rate_limit", message="Request rate limit reached")
        with pytest.raises(AuthApiError) as limited:
            await auth.sign_in_with_password(PAIR)
        assert limited.value.code == "over_request_rate_limit"


async def test_without_an_api_version_errors_are_worded_the_old_way(supabase):
    async with httpx.AsyncClient() as http:
        answer = await http.post(
            f"{supabase.url}/auth/v1/token?grant_type=password",
            headers={"apikey": supabase.publishable_key},
            json={"email": ADA, "password": "a guess"},
        )
    assert answer.json() == {"code": 400, "error_code": "invalid_credentials", "msg": "Invalid login credentials"}
