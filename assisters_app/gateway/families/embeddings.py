"""Embeddings, as floats or base64.

request(body, offer) -> Ask                           checks what we rely on; everything else passes through
"""

from typing import Any

from assisters_app.gateway import checks, tokens
from assisters_app.gateway.calls import Bound, Usage
from assisters_app.gateway.catalog import Offer
from assisters_app.gateway.checks import wrong
from assisters_app.gateway.families import answers
from assisters_app.gateway.families.ask import Ask

PATH = "/embeddings"
MOST_INPUTS = 2_048
KNOWN = frozenset({"model", "input", "encoding_format"})


def request(body: dict[str, Any], offer: Offer) -> Ask:
    """Check a request; raise Refused with the parameter at fault."""
    sent = checks.at_list_price(body)
    _check_input(sent.get("input"))
    checks.among(sent, "encoding_format", ("float", "base64"))
    checks.number(sent, "dimensions", offer.dimensions or 1)
    bound_by_bytes, counted = checks.weight(sent), tokens.of_embeddings(sent["input"])
    bound = Bound(checks.with_margin(counted + tokens.of_the_rest(sent, KNOWN)), bound_by_bytes)

    def used(answer: dict[str, Any]) -> Usage:
        return answers.usage_of(answer.get("usage")) or Usage(counted, estimated=True)

    return Ask(PATH, sent, bound, used)


def _check_input(given: Any) -> None:  # noqa: ANN401 (any JSON)
    if not isinstance(given, str | list) or not given:
        raise wrong("input", "must be a text, or a list of texts or tokens, and not empty")
    if isinstance(given, str):
        return
    kinds = {type(one) for one in given}
    sound = kinds in ({str}, {int}) or (kinds == {list} and all(_are_tokens(one) for one in given))
    if not sound or (kinds == {str} and not all(given)):
        raise wrong("input", "must hold only texts or only tokens, none of them empty")
    if kinds != {int} and len(given) > MOST_INPUTS:
        raise wrong("input", f"may hold at most {MOST_INPUTS} entries")


def _are_tokens(one: Any) -> bool:  # noqa: ANN401 (as above)
    return bool(one) and all(type(token) is int for token in one)
