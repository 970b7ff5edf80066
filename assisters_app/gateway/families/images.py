"""Images, as addresses or in base64.

request(body, offer) -> Ask                           checks what we rely on; everything else passes through

Sold by the image that came back. There is one price, so there is one kind: SIZES in ordinary quality.
"""

from typing import Any

from assisters_app.gateway import checks
from assisters_app.gateway.calls import Bound, Usage
from assisters_app.gateway.catalog import Offer
from assisters_app.gateway.checks import unpriced, wrong
from assisters_app.gateway.families.ask import Ask

PATH = "/images/generations"
MOST_IMAGES = 10
LONGEST = 32_000  # characters of a prompt
LARGEST = "1024x1024"
SIZES = ("256x256", "512x512", LARGEST, "auto")
UNPRICED = checks.UNPRICED | {  # other names that upstreams have for more, larger or finer pictures
    "batch_size",
    "height",
    "image_size",
    "num_images",
    "num_inference_steps",
    "partial_images",
    "steps",
    "width",
}
QUALITIES = ("standard", "low", "medium", "auto")


def request(body: dict[str, Any], _offer: Offer) -> Ask:
    """Check a request; raise Refused with the parameter at fault."""
    sent = checks.at_list_price(body, also=UNPRICED)
    checks.text(sent, "prompt", LONGEST)
    checks.among(sent, "response_format", ("url", "b64_json"))
    if checks.flag(sent, "stream"):
        raise wrong("stream", "is not possible for images")
    for name, priced in (("size", SIZES), ("quality", QUALITIES)):
        if sent.get(name) is not None and sent[name] not in priced:
            raise unpriced(name, f"send one of {', '.join(priced)}")
    if sent.get("size") in (None, "auto"):
        sent["size"] = LARGEST  # or the upstream might choose a dearer one
    if sent.get("quality") == "auto":
        del sent["quality"]
    checks.weight(sent)
    most = checks.number(sent, "n", MOST_IMAGES) or 1

    def used(answer: dict[str, Any]) -> Usage:
        drawn = answer.get("data")
        return Usage(units=len(drawn) if isinstance(drawn, list) else 0)

    return Ask(PATH, sent, Bound(units=most), used)
