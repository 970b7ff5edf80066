"""Chat completions, whole and streamed.

request(body, offer) -> Ask                           checks what we rely on; everything else passes through
"""

from dataclasses import replace
from functools import partial
from typing import Any

from assisters_app.gateway import checks, tokens
from assisters_app.gateway.calls import Bound, Usage
from assisters_app.gateway.catalog import Offer
from assisters_app.gateway.checks import wrong
from assisters_app.gateway.families import answers
from assisters_app.gateway.families.answers import Tally
from assisters_app.gateway.families.ask import Ask

PATH = "/chat/completions"
MOST_CHOICES = 16
LIMITS = ("max_completion_tokens", "max_tokens")  # one of them is sent: an upstream that reads the other is bounded too
KNOWN = frozenset({"model", "messages", "stream_options", *tokens.COUNTED, *LIMITS})


def request(body: dict[str, Any], offer: Offer) -> Ask:
    """Check a request and make it bounded; raise Refused with the parameter at fault.

    The most output is what the caller asked for, or the model's own most: a cap is a cap only for what is bounded.
    """
    body = checks.at_list_price(body)
    _check_messages(body.get("messages"))
    stream = checks.flag(body, "stream")
    options = checks.thing(body, "stream_options")
    if options is not None and not stream:
        raise wrong("stream_options", "is only allowed when `stream` is true")
    if body.get("modalities") not in (None, ["text"]):
        raise wrong("modalities", 'may be `["text"]` only: nothing else has a price here')
    for name, kind in (("tools", list), ("response_format", dict), ("functions", list)):
        if body.get(name) is not None and not isinstance(body[name], kind):
            raise wrong(name, "has the wrong type")
    checks.only_functions(body)
    choices = checks.number(body, "n", MOST_CHOICES) or 1
    limit_name = "max_completion_tokens" if body.get("max_completion_tokens") is not None else "max_tokens"
    limit = min(checks.number(body, limit_name) or offer.max_output_tokens, offer.max_output_tokens)
    sent = {name: value for name, value in body.items() if name not in LIMITS} | {limit_name: limit}
    if stream:
        counts = {"continuous_usage_stats": True} if offer.place and offer.place.continuous_usage else {}
        sent["stream_options"] = {**(options or {}), "include_usage": True, **counts}
    shows_usage = bool(options and options.get("include_usage"))
    shows_each = bool(options and options.get("continuous_usage_stats"))
    bound_by_bytes, counted = checks.weight(sent), tokens.of_chat(body)
    expected = checks.with_margin(counted + tokens.of_the_rest(body, KNOWN))
    most_input = offer.context_tokens if tokens.has_media(body) else min(bound_by_bytes, offer.context_tokens)
    bound = Bound(expected + limit * choices, most_input, limit * choices)
    follower = partial(Tally, input_tokens=counted, shows_usage=shows_usage, shows_each=shows_each) if stream else None
    return Ask(PATH, sent, bound, partial(_used, counted), follower=follower)


def _used(counted: int, answer: dict[str, Any]) -> Usage:
    """Return what an answer has used: as the upstream told, or counted by us where it told of no output."""
    told = answers.usage_of(answer.get("usage"))
    if told is not None and told.output_tokens:
        return told
    said = "".join(answers.spoken(answers.choices_of(answer)))
    return replace(told or Usage(counted), output_tokens=tokens.count(said), estimated=True).produced


def _check_messages(messages: Any) -> None:  # noqa: ANN401 (any JSON)
    if not isinstance(messages, list) or not messages:
        raise wrong("messages", "must be a list with at least one message")
    if not all(isinstance(one, dict) and isinstance(one.get("role"), str) for one in messages):
        raise wrong("messages", "must hold objects that each have a `role`")
