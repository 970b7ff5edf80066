"""The registry of companies is section 3, the list of hosts we may speak to, and the countries of section 8."""

import os
import ssl
from dataclasses import replace

import pytest
import tls
from nets import free_port

from assisters_app.base import settings
from assisters_app.base.db import transaction
from assisters_app.privacy import processors, promises
from assisters_app.privacy.checks import edges
from assisters_app.privacy.policies import policy

HOSTED = {
    "DATABASE_URL": "postgresql://postgres.abc:x@aws-0-eu-central-1.pooler.supabase.com:5432/postgres",
    "REDIS_URL": "rediss://default:x@brave-1.upstash.io:6379",
    "SENTRY_DSN": "https://public@o1.ingest.us.sentry.io/1",
    "STRIPE_API_KEY": "sk_live_x",
    "STRIPE_WEBHOOK_SECRET": "whsec_x",
}


@pytest.fixture
def setting(house, monkeypatch):
    """Set settings; the database that is spoken to stays the test's own."""

    def change(**values):
        for name, value in values.items():
            monkeypatch.setenv(name, value)
        settings.settings.cache_clear()

    return change


async def finding(check):
    async with transaction() as tx:
        return await check(tx)


async def broken(check):
    with pytest.raises(promises.Broken) as found:
        await finding(check)
    return str(found.value)


@pytest.mark.promise("3.0", "3.1", "3.2", "3.3", "3.4", "3.5")
async def test_the_companies_are_those_of_the_policy_and_a_sixth_shows(house, monkeypatch):
    assert await finding(edges.recipients_are_those_of_section_3) == "5 companies, as listed"
    sixth = replace(processors.PROCESSORS[0], id="sixth", name="Sixth")
    monkeypatch.setattr(policy, "PROCESSORS", (*processors.PROCESSORS, sixth))
    assert await broken(edges.recipients_are_those_of_section_3) == (
        "Sixth receives data, but section 3 does not say so in these words."
    )


@pytest.mark.promise("3.0", "3.1", "3.4", "3.5")
async def test_everything_hosted_where_section_3_says_is_in_place(house, monkeypatch):
    for name, value in HOSTED.items():
        monkeypatch.setenv(name, value)
    with monkeypatch.context() as hosted:
        hosted.setattr(processors, "settings", lambda: settings.read_settings(os.environ))
        assert processors.misplaced() == ()
        assert sum(service.ours for service in processors.services()) == 1  # mail
        said = await edges.services_are_where_section_3_says(None)
    assert said.startswith("1 of 4 services")


@pytest.mark.promise("3.0", "3.1", "3.2", "3.4", "3.5")
@pytest.mark.parametrize(
    ("name", "address", "host"),
    [
        ("REDIS_URL", "rediss://:x@cache.example.com", "cache.example.com"),
        ("SENTRY_DSN", "https://public@errors.example.com/1", "errors.example.com"),
        ("SMTP_URL", "smtps://mail.example.com", "mail.example.com"),
        ("UPSTREAM_BASE_URL", "https://models.example.com/v1", "models.example.com"),
        ("STRIPE_API_BASE", "https://stripe.example.com", "stripe.example.com"),
        ("SENTRY_DSN", "https://public@evil-sentry.io/1", "evil-sentry.io"),
        ("REDIS_URL", "rediss://:x@upstash.io.example.com", "upstash.io.example.com"),
    ],
)
async def test_a_service_at_a_company_that_the_policy_does_not_name_shows(setting, name, address, host):
    setting(**{name: address})
    assert await broken(edges.services_are_where_section_3_says) == f"{name} names {host}, which section 3 does not."


@pytest.mark.parametrize(
    ("host", "ours"),
    [("127.0.0.1", True), ("10.1.2.3", True), ("::1", True), ("localhost", True), ("postgres", True),
     ("db.internal", True), ("198.41.0.4", False), ("db.example.com", False)],
)  # fmt: skip
def test_only_machines_of_our_own_network_are_ours(host, ours):
    assert processors.Service("X_URL", "3.0", None, host).ours is ours


@pytest.mark.promise("3.5")
async def test_a_column_that_went_to_sentry_would_show(house, monkeypatch):
    assert await finding(edges.sentry_receives_no_column) == "none is"
    monkeypatch.setattr(edges, "received_by", lambda _: ("user.contact.email",))
    assert await broken(edges.sentry_receives_no_column) == "Sentry is marked as receiving user.contact.email."


@pytest.mark.promise("8.1")
async def test_section_8_names_the_countries_of_the_registry(house, monkeypatch):
    assert await finding(edges.countries_are_those_of_the_registry) == "United States"
    monkeypatch.setattr(edges, "countries", lambda: ("Ireland", "United States"))
    assert await finding(edges.countries_are_those_of_the_registry) == "Ireland, United States"
    narrow = replace(policy.CURRENT, sections=policy.CURRENT.sections)
    monkeypatch.setattr(type(narrow), "sentence", lambda *_: "Your data may be processed in the United States.")
    assert "does not speak of" in await broken(edges.countries_are_those_of_the_registry)


@pytest.mark.promise("8.2")
async def test_no_company_outside_the_adequate_countries_goes_without_a_safeguard(house, monkeypatch):
    assert "each with its safeguard" in await finding(edges.every_transfer_has_its_safeguard)
    with pytest.raises(ValueError, match="is in United States: name the safeguard"):
        replace(processors.PROCESSORS[0], safeguard=" ")
    at_home = replace(processors.PROCESSORS[0], country="Ireland", safeguard="")
    bare = replace(processors.PROCESSORS[0], safeguard="A handshake")
    monkeypatch.setattr(edges, "PROCESSORS", (at_home,))
    assert await finding(edges.every_transfer_has_its_safeguard)
    monkeypatch.setattr(edges, "PROCESSORS", (at_home, bare))
    assert "without Standard Contractual Clauses" in await broken(edges.every_transfer_has_its_safeguard)


@pytest.mark.promise("5.1")
async def test_a_connection_that_leaves_without_encryption_shows(setting, monkeypatch):
    assert await finding(edges.connections_that_leave_are_encrypted) == "none leaves the machine"
    setting(REDIS_URL="rediss://:x@brave-1.upstash.io")
    assert await finding(edges.connections_that_leave_are_encrypted) == "1 leave the machine, all encrypted"
    setting(REDIS_URL="redis://:x@brave-1.upstash.io")
    assert "REDIS_URL speaks to brave-1.upstash.io" in await broken(edges.connections_that_leave_are_encrypted)
    database = processors.Service("DATABASE_URL", "3.1", "supabase", "db.supabase.co")
    monkeypatch.setattr(edges, "services", lambda: (database,))
    assert "to the database is not encrypted" in await broken(edges.connections_that_leave_are_encrypted)


@pytest.mark.promise("5.1")
async def test_an_api_that_is_served_elsewhere_over_tls_1_2_turns_the_sentence_red(setting, tmp_path):
    pages, api, certificate = free_port(), free_port(), tls.certify(tmp_path)
    setting(PUBLIC_URL=f"https://127.0.0.1:{pages}", API_URL=f"https://localhost:{api}")
    with (
        tls.in_front_of(free_port(), pages, certificate),
        tls.in_front_of(free_port(), api, certificate, oldest=ssl.TLSVersion.TLSv1_2),
    ):
        assert await broken(edges.our_address_speaks_tls_1_3_only) == "localhost accepts TLS 1.2."


@pytest.mark.promise("5.1")
async def test_an_address_that_still_speaks_tls_1_2_shows(setting, tmp_path):
    assert "development" in await finding(edges.our_address_speaks_tls_1_3_only)
    port, certificate = free_port(), tls.certify(tmp_path)
    setting(PUBLIC_URL=f"https://127.0.0.1:{port}")
    assert await broken(edges.our_address_speaks_tls_1_3_only) == "Our address does not answer over TLS 1.3."
    with tls.in_front_of(free_port(), port, certificate):
        assert await finding(edges.our_address_speaks_tls_1_3_only) == "1.2 is refused, 1.3 is answered"
    with tls.in_front_of(free_port(), port, certificate, oldest=ssl.TLSVersion.TLSv1_2):
        assert await broken(edges.our_address_speaks_tls_1_3_only) == "Our address accepts TLS 1.2."
