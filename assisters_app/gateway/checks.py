"""Checking what callers send: the few fields that metering relies on; everything else passes through."""

import math
from typing import Any

import orjson

from assisters_app.base.errors import Refused

TEMPLATE = 512  # tokens that an upstream may write around what it is given
TOOLS = ("function", "custom")  # those that the caller runs
UNPRICED = frozenset(  # what makes an upstream dearer than the prices that are held for and charged
    {
        "audio",
        "best_of",
        "fallbacks",
        "inference_geo",
        "models",
        "n_predict",  # llama.cpp takes it for the most output, whatever `max_tokens` says
        "plugins",
        "prediction",  # what is rejected of it is paid for like output, and not bounded by it
        "provider",
        "route",
        "speed",
        "web_search_options",
    }
)


def at_list_price(body: dict[str, Any], *, also: frozenset[str] = UNPRICED) -> dict[str, Any]:
    """Return a request without its `service_tier`; raise Refused when it asks for what has no price here."""
    tier = body.get("service_tier")
    if tier not in (None, "auto", "default"):
        raise unpriced("service_tier", "leave it out, or send `default`")
    for name in sorted(also & body.keys()):
        if body[name] is not None:
            raise unpriced(name, "leave it out")
    return {name: value for name, value in body.items() if name != "service_tier"}


def only_functions(body: dict[str, Any]) -> None:
    """Raise Refused (400) for a tool that runs at the upstream: such a search, or a machine, is paid for by the use."""
    for tool in body.get("tools") or ():
        if not isinstance(tool, dict) or tool.get("type", "function") not in TOOLS:
            raise unpriced("tools", "name functions of your own only")


def weight(body: dict[str, Any]) -> int:
    """Return the most tokens that what a request says can be: one for each byte, and what is written around it.

    Raises Refused (400) for a body that is nested too deeply to be handed on.
    """
    try:
        return len(orjson.dumps(body)) + TEMPLATE
    except TypeError:
        raise Refused("The body of your request is nested too deeply.", code="invalid_json") from None


def with_margin(counted: int) -> int:
    """Return how many tokens an input may be for an upstream that counts otherwise than we do."""
    return math.ceil(counted * 1.25) + 16


def text(body: dict[str, Any], name: str, most: int) -> str:
    """Return a text that must be there, of at most so many characters."""
    value = body.get(name)
    if not isinstance(value, str) or not value:
        raise wrong(name, "must be a text, and not empty")
    if len(value) > most:
        raise wrong(name, f"may be at most {most} characters long; yours is {len(value)}")
    return value


def flag(body: dict[str, Any], name: str) -> bool:
    """Return whether something was asked for."""
    value = body.get(name)
    if value is not None and not isinstance(value, bool):
        raise wrong(name, "must be true or false")
    return bool(value)


def thing(body: dict[str, Any], name: str) -> dict[str, Any] | None:
    """Return an object, None when it is missing."""
    value = body.get(name)
    if value is not None and not isinstance(value, dict):
        raise wrong(name, "must be an object")
    return value


def number(body: dict[str, Any], name: str, most: int = 2**31) -> int | None:
    """Return a whole number of at least 1, None when it is missing."""
    value = body.get(name)
    if value is None:
        return None
    if type(value) is not int or not 1 <= value <= most:
        raise wrong(name, f"must be a whole number from 1 to {most}")
    return value


def among(body: dict[str, Any], name: str, allowed: tuple[str, ...]) -> str | None:
    """Return one of the words that are allowed, None when it is missing."""
    value = body.get(name)
    if value is not None and value not in allowed:
        raise wrong(name, f"must be one of {', '.join(f'`{word}`' for word in allowed)}")
    return value


def wrong(name: str, what: str) -> Refused:
    """Return what a caller is told about a parameter: `name` `what`."""
    return Refused(f"`{name}` {what}.", code="invalid_value", field=name)


def unpriced(name: str, instead: str) -> Refused:
    """Return what a caller is told about a parameter that has no price, and what to do instead."""
    return Refused(
        f"`{name}` changes what a call costs, and has no price here: {instead}.",
        code="unsupported_parameter",
        field=name,
    )
