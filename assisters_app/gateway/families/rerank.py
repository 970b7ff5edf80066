"""Rerank: documents ordered by how well they answer a query.

request(body, offer) -> Ask                           checks what we rely on; everything else passes through

Sold by the document: one that is PIECE tokens long at most, the query included; a longer one counts once for each PIECE
tokens begun. The count follows from the request alone, so what is held is what is charged.
"""

from typing import Any

import orjson

from assisters_app.gateway import checks, tokens
from assisters_app.gateway.calls import Bound, Usage
from assisters_app.gateway.catalog import Offer
from assisters_app.gateway.checks import wrong
from assisters_app.gateway.families import answers
from assisters_app.gateway.families.ask import Ask

PATH = "/rerank"
MOST_DOCUMENTS = 1_000
MOST_QUERY = 32_000  # characters
PIECE = 512  # tokens of query and document together that count as one document


def request(body: dict[str, Any], _offer: Offer) -> Ask:
    """Check a request; raise Refused with the parameter at fault."""
    sent = checks.at_list_price(body)
    query = checks.text(sent, "query", MOST_QUERY)
    said = [_said(document) for document in _documents(sent.get("documents"))]
    checks.number(sent, "top_n")
    checks.flag(sent, "return_documents")
    bound_by_bytes, asked = checks.weight(sent), tokens.count(query)
    lengths = [asked + tokens.count(one) for one in said]
    counted, units = sum(lengths), sum(-(-length // PIECE) for length in lengths)
    bound = Bound(checks.with_margin(counted), max(bound_by_bytes, checks.with_margin(counted)), 0, units)

    def used(answer: dict[str, Any]) -> Usage:
        told = answers.usage_of(answer.get("usage"))
        return Usage(told.input_tokens if told else counted, units=units, estimated=told is None)

    return Ask(PATH, sent, bound, used)


def _said(document: str | dict[str, Any]) -> str:
    """Return all that a document says: an upstream may read its other fields too."""
    if isinstance(document, str):
        return document
    return " ".join(value if isinstance(value, str) else orjson.dumps(value).decode() for value in document.values())


def _documents(given: Any) -> list[str | dict[str, Any]]:  # noqa: ANN401 (any JSON)
    if not isinstance(given, list) or not given:
        raise wrong("documents", "must be a list with at least one document")
    if len(given) > MOST_DOCUMENTS:
        raise wrong("documents", f"may hold at most {MOST_DOCUMENTS} entries")
    if not all(isinstance(one, str) or (isinstance(one, dict) and isinstance(one.get("text"), str)) for one in given):
        raise wrong("documents", "must hold texts, or objects that each have a `text`")
    return given
