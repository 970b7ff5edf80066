"""What Ada may ask for when she gives a key its terms, and how it is kept."""

import ipaddress
from datetime import UTC, datetime, timedelta

import pytest
from customers import customer
from hypothesis import given
from hypothesis import strategies as some
from pydantic import ValidationError

from assisters_app.base.db import transaction
from assisters_app.base.errors import NotFound, Refused
from assisters_app.keys import keys, terms
from assisters_app.keys.keys import NewKey
from assisters_app.keys.terms import Terms, Window


def test_without_a_word_a_key_calls_and_reads_without_limits():
    assert Terms().scopes == ("chat", "read")
    assert not any(getattr(Terms(), name) for name in Terms.model_fields if name != "scopes")


@pytest.mark.parametrize(
    ("given_", "kept"),
    [
        ("203.0.113.7", "203.0.113.7/32"),
        ("203.0.113.7/24", "203.0.113.0/24"),
        ("2001:DB8::1/32", "2001:db8::/32"),
        ("::ffff:203.0.113.7", "203.0.113.7/32"),
        ("::ffff:203.0.113.0/120", "203.0.113.0/24"),
        ("0.0.0.0/0", "0.0.0.0/0"),
    ],
)
def test_networks_are_kept_in_one_form(given_, kept):
    assert Terms(networks=given_).networks == (kept,)


@pytest.mark.parametrize("wrong", ["203.0.113", "203.0.113.0/33", "example.com", "1.2.3.4-5", "::/129", "010.0.0.1"])
def test_what_is_no_network_is_refused_in_words(wrong):
    with pytest.raises(ValidationError) as problem:
        Terms(networks=[wrong])
    refused = terms.refusal(problem.value)
    assert (refused.field, refused.code) == ("networks", "bad_networks")
    assert wrong in str(refused)


@pytest.mark.parametrize(
    ("given_", "kept"),
    [
        ("Example.COM", "example.com"),
        ("example.com.", "example.com"),
        ("*.example.com", "*.example.com"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("localhost", "localhost"),
        ("203.0.113.7", "203.0.113.7"),
    ],
)
def test_domains_are_kept_as_browsers_send_them(given_, kept):
    assert Terms(domains=given_).domains == (kept,)


@pytest.mark.parametrize(
    "wrong",
    ["*", "*.", "a.*.com", "https://example.com", "example.com:443", "example.com/x", "-a.com", "a..com", "a_b.com"],
)
def test_what_is_no_domain_is_refused(wrong):
    with pytest.raises(ValidationError):
        Terms(domains=[wrong])


@given(some.ip_addresses())
def test_an_address_is_in_its_own_network_and_in_no_neighbours(address):
    own = (ipaddress.ip_network(Terms(networks=[str(address)]).networks[0]),)
    plain = getattr(address, "ipv4_mapped", None) or address  # as `client_of` reads it
    assert terms.may_come_from(own, str(plain))
    assert not terms.may_come_from(own, "")
    other = plain + 1 if int(plain) % 2 == 0 else plain - 1
    assert not terms.may_come_from(own, str(other))


def test_too_many_entries_are_refused():
    with pytest.raises(ValidationError) as problem:
        Terms(domains=[f"a{n}.example.com" for n in range(51)])
    assert str(terms.refusal(problem.value)) == "A key may have at most 50 domains."


@given(some.datetimes(timezones=some.just(UTC), min_value=datetime(2000, 1, 1), max_value=datetime(2100, 1, 1)))  # noqa: DTZ001 (hypothesis adds the zone)
def test_every_moment_lies_in_its_windows_and_the_next_ones_follow(at):
    around = Window.of(at)
    for span in terms.SPANS:
        begins, ends = around.begins(span), around.ends(span)
        assert begins <= at < ends
        assert Window.of(ends).begins(span) == ends
    assert around.begins("week").isoweekday() == 1
    assert around.begins("month").day == around.ends("month").day == 1
    assert around.ends("day") - around.begins("day") == timedelta(days=1)


async def test_terms_are_kept_changed_and_nobody_elses(house):
    ada, mallory = await customer(), await customer("mallory@example.net")
    asked = Terms(scopes=["read"], models=["assisters-chat-v1"], budget_day=5, networks=["10.0.0.0/8"], concurrency=2)
    async with transaction() as tx:
        issued = await keys.issue(tx, ada, NewKey(name="Key", **asked.model_dump()))
    assert issued.key.terms == asked
    async with transaction() as tx:
        assert (await keys.restrict(tx, ada, issued.key.handle, Terms())).terms == Terms()
    async with transaction() as tx:
        with pytest.raises(NotFound):
            await keys.restrict(tx, mallory, issued.key.handle, Terms())
        await keys.revoke(tx, ada, issued.key.handle)
        with pytest.raises(Refused) as refused:
            await keys.restrict(tx, ada, issued.key.handle, asked)
    assert refused.value.code == "key_ended"


def test_a_name_is_one_line_of_what_can_be_read():
    assert NewKey(name=" My\n\x00 key\r\nSubject: x ").name == "My key Subject: x"
