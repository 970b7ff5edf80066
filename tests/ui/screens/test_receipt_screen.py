"""A receipt of an erasure on its page, and a file of one that anybody holds."""

import json

import pytest
from cast import ADA
from test_closing_screen import carried_out, close

from assisters_app.accounts.tables import Organization
from assisters_app.base import settings
from assisters_app.base.db import transaction
from assisters_app.privacy.erasing import receipts
from assisters_app.privacy.erasing.tables import ErasureReceipt
from assisters_app.ui.check_receipt import CheckState
from assisters_app.ui.receipt import ReceiptState


async def file_of(handle):
    async with transaction() as tx:
        receipt = await receipts.shown(tx, handle)
    return {"body": receipt.body, "signature": receipt.signature, "public_key": receipt.public_key}


async def erased(ada):
    answer = await close(ada, ADA, "now")
    handle = answer.json()["next"].rpartition("/")[2]
    await carried_out()
    return handle


async def verdict(tab, text):
    return (await tab().send(CheckState.check, sent={"file": text})).of(CheckState)["verdict"]


@pytest.mark.promise("6.3", "11.3")
async def test_whoever_holds_a_receipt_can_see_whether_we_signed_exactly_this(ada, tab):
    handle = await erased(ada)
    file = await file_of(handle)
    shown = (await tab().send(CheckState.check, sent={"file": json.dumps(file)})).of(CheckState)
    assert (shown["verdict"], shown["handle"]) == ("genuine", handle)
    assert await verdict(tab, json.dumps({**file, "body": file["body"].replace('"goes":1', '"goes":2')})) == "altered"
    assert await verdict(tab, "{}") == "unreadable"
    assert await verdict(tab, "[" * 100_000) == "unreadable"
    body = file["body"].replace('"number":1,', '"number":1e999,')
    assert body != file["body"]
    signature = receipts.base64.b64encode(receipts.crypto.signing_key().sign(body.encode())).decode()
    assert await verdict(tab, json.dumps({**file, "body": body, "signature": signature})) == "unreadable"


async def test_a_receipt_that_somebody_signed_themselves_is_not_ours(ada, tab, monkeypatch):
    file = await file_of(await erased(ada))
    monkeypatch.setenv("ASSISTERS_PEPPER", "YW5vdGhlciBwZXBwZXIgZm9yIHRlc3RzLCAzMiBieXRlcyBs")
    settings.settings.cache_clear()
    key = receipts.crypto.signing_key()
    signature = receipts.base64.b64encode(key.sign(file["body"].encode())).decode()
    forged = {**file, "signature": signature, "public_key": receipts.public_key()}
    assert await verdict(tab, json.dumps(forged)) == "foreign"
    assert await verdict(tab, json.dumps(file)) == "genuine"  # though the pepper is another now: its key is known


async def test_a_receipt_with_our_signature_that_is_not_in_the_chain_is_strange(ada, tab):
    handle = await erased(ada)
    file = await file_of(handle)
    async with transaction() as tx:
        await tx.delete(await tx.get_one(ErasureReceipt, 1))
    assert await verdict(tab, json.dumps(file)) == "unknown"


async def test_the_page_says_what_is_still_pending_at_stripe(ada, tab):
    async with transaction() as tx:
        (await tx.get_one(Organization, ada.person.organization_id)).stripe_customer_id = "cus_1"
    shown = (await tab().send(ReceiptState.load, path=f"/receipts/{await erased(ada)}")).of(ReceiptState)
    (later,) = shown["later"]
    assert (later.processor, later.finished) == ("Stripe", "")
    assert "tried again until it is done" in later.outcome
    assert shown["genuine"] is True
