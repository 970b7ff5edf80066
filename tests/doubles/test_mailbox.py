"""Mail that development sends is caught, and can be read in a browser on this machine only."""

from email.message import EmailMessage

import aiohttp
import aiosmtplib
import pytest
from cast import ADA, BOB

from assisters_app.base import mail
from assisters_app.doubles import mailbox

WELCOME = mail.Message(
    "Confirm", ("Hello <b>Ada</b>.",), action=("Confirm", "http://localhost:3000/verify?token=t&x=1")
)


@pytest.fixture
async def opened():
    async with mailbox.opened() as (box, smtp, page), aiohttp.ClientSession(page) as browser:
        yield box, smtp, browser


async def post(smtp, letter):
    await aiosmtplib.send(letter, hostname="127.0.0.1", port=int(smtp.rpartition(":")[2]))


async def test_ada_finds_her_link_in_the_letter_that_was_caught(house, opened):
    box, smtp, browser = opened
    await post(smtp, mail.compose(ADA, WELCOME))
    await post(smtp, mail.compose(BOB, WELCOME))
    (letter,) = box.to("Ada@Example.com")
    assert letter.links == ("http://localhost:3000/verify?token=t&x=1",)
    async with browser.get("/letters.json", params={"to": ADA}) as answer:
        (listed,) = await answer.json()
    assert (listed["subject"], listed["links"], listed["number"]) == ("Confirm", list(letter.links), letter.number)
    async with browser.get("/") as answer:
        page = await answer.text()
    assert ADA in page
    assert BOB in page
    async with browser.get(f"/letters/{letter.number}") as answer:
        page = await answer.text()
    assert '<a href="http://localhost:3000/verify?token=t&amp;x=1">' in page


async def test_a_letter_cannot_run_in_the_readers_browser(opened):
    _, smtp, browser = opened
    evil = EmailMessage()
    evil["Subject"], evil["From"], evil["To"] = "<script>alert(1)</script>", "mallory@example.net", ADA
    evil.set_content("<script>alert(2)</script>")
    evil.add_alternative('"><script>alert(3)</script>', subtype="html")
    await post(smtp, evil)
    for path in ("/", "/letters/1"):
        async with browser.get(path) as answer:
            assert "<script" not in await answer.text()
            assert "default-src 'none'" in answer.headers["Content-Security-Policy"]


async def test_a_letter_that_does_not_exist_is_said_so(opened):
    *_, browser = opened
    async with browser.get("/letters/9") as answer:
        assert answer.status == 404


async def test_a_name_that_mallory_pointed_here_is_refused(opened):
    *_, browser = opened
    async with browser.get("/letters.json", headers={"Host": "mallory.example.net"}) as answer:
        assert answer.status == 421
