"""Where a request comes from is what a proxy of ours says, never what the stranger says."""

from datetime import timedelta

import pytest
from cast import ADA
from sqlalchemy import text

from assisters_app.accounts.client import NEEDED, Client, client_of, forwarded_for, shorten_addresses
from assisters_app.base import clock, settings
from assisters_app.base.db import transaction

PROXY, CLOUD, MALLORY = "10.0.0.5", "172.16.9.9", "203.0.113.66"


@pytest.fixture
def proxies(house, monkeypatch):
    monkeypatch.setenv("TRUSTED_PROXIES", "10.0.0.0/8, 172.16.0.0/12, fd00::/8")
    settings.settings.cache_clear()


@pytest.mark.promise("1.7")
@pytest.mark.parametrize(
    ("peer", "forwarded", "is_"),
    [
        (MALLORY, "", MALLORY),
        (MALLORY, "198.51.100.1", MALLORY),  # a stranger's word is not believed
        (PROXY, "198.51.100.1", "198.51.100.1"),
        (PROXY, f"8.8.8.8, {MALLORY}", MALLORY),  # what stands left of our proxy's word is the stranger's
        (PROXY, f"8.8.8.8, {MALLORY}, {CLOUD}", MALLORY),
        (PROXY, CLOUD, CLOUD),
        (PROXY, "nonsense", PROXY),
        (PROXY, f"{MALLORY}, nonsense", PROXY),
        (PROXY, "", PROXY),
        ("fd00::1", "2001:db8::7", "2001:db8::7"),
        ("::ffff:10.0.0.5", "198.51.100.1", "198.51.100.1"),
        ("", "198.51.100.1", ""),
        ("a socket's name", "198.51.100.1", ""),
    ],
)
def test_the_address_is_the_first_that_no_proxy_of_ours_vouches_for(proxies, peer, forwarded, is_):
    assert client_of(peer, forwarded).ip == is_


def test_a_proxy_may_say_it_in_a_header_of_its_own_below_the_strangers(proxies):
    sent = [(b"x-forwarded-for", b"8.8.8.8"), (b"host", b"assisters.example"), (b"x-forwarded-for", MALLORY.encode())]
    assert client_of(PROXY, forwarded_for(sent)).ip == MALLORY


def test_whoever_has_a_network_of_ipv6_is_one_place():
    assert Client("2001:db8:0:7::1").place == Client("2001:db8:0:7:ffff::2").place
    assert Client("2001:db8:0:7::1").place != Client("2001:db8:0:8::1").place
    assert Client(MALLORY).place == MALLORY
    assert Client().place == ""


def test_without_proxies_of_ours_nobody_is_believed(house):
    assert client_of("127.0.0.1", "198.51.100.1").ip == "127.0.0.1"


def test_what_a_browser_calls_itself_is_kept_short_and_plain(house):
    assert client_of("127.0.0.1", "", "Fire\r\nfox\x00" + "x" * 500).user_agent == ("Firefox" + "x" * 500)[:300]


@pytest.mark.promise("1.7")
async def test_addresses_are_shortened_once_security_no_longer_needs_them(joins):
    """Promise 1.7: truncated after security need."""
    await joins(ADA)

    async def kept():
        async with transaction() as tx:
            both = "SELECT ip FROM session UNION SELECT ip FROM trail_entry WHERE ip <> '' ORDER BY ip"
            return (await (await tx.connection()).execute(text(both))).scalars().all()

    async with transaction() as tx:
        six = "UPDATE trail_entry SET ip = '2001:db8:1:2::7' WHERE action = 'account:signed-up'"
        await (await tx.connection()).execute(text(six))
    with clock.frozen(clock.now() + NEEDED - timedelta(hours=1)):
        await shorten_addresses()
    assert await kept() == ["192.0.2.7", "2001:db8:1:2::7"]
    with clock.frozen(clock.now() + NEEDED + timedelta(hours=1)):
        await shorten_addresses()
        await shorten_addresses()
    assert await kept() == ["192.0.2.0", "2001:db8:1::"]
