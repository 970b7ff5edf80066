"""What travels: Stripe's nested form encoding in, checked against the official client's types, and its errors out."""

import functools
import re
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints
from urllib.parse import parse_qsl

from stripe._request_options import RequestOptions
from typing_extensions import is_typeddict

Thing = dict[str, Any]  # one of Stripe's objects, or the parameters of a call

ENVELOPE = frozenset(RequestOptions.__annotations__)  # options of the client, never sent
NAMES = {"StripeContext": object, "Mapping": Mapping}  # what the client's types name but do not import
KEY = re.compile(r"^([^\[\]]+)((?:\[[^\[\]]*\])*)$")


class WrongError(Exception):
    """What Stripe answers instead of an object: its error body, and the HTTP status."""

    def __init__(
        self,
        message: str,
        *,
        status: int = 400,
        kind: str = "invalid_request_error",
        code: str | None = None,
        param: str | None = None,
        **more: Any,  # noqa: ANN401 (decline_code, payment_intent … as Stripe has them)
    ) -> None:
        super().__init__(message)
        self.status = status
        fields = {"message": message, "type": kind, "code": code, "param": param, **more}
        self.error = {name: value for name, value in fields.items() if value is not None}


def parameters(raw: str, kind: type) -> Thing:
    """Return the nested parameters in a form or query string; raise WrongError as Stripe would of a bad one."""
    return _record(_nested(raw), kind, "")


def _nested(raw: str) -> Thing:
    tree: Thing = {}
    for name, value in parse_qsl(raw, keep_blank_values=True):
        match = KEY.match(name)
        if match is None:
            raise WrongError(f"Invalid parameter name: {name}", param=name)
        steps = [match[1], *re.findall(r"\[([^\[\]]*)\]", match[2])]
        _plant(tree, steps, value)
    return tree


def _plant(tree: Thing, steps: list[str], value: str) -> None:
    for step in steps[:-1]:
        tree = tree.setdefault(step or str(len(tree)), {})
    tree[steps[-1] or str(len(tree))] = value


@functools.cache
def _fields(kind: type) -> dict[str, Any]:
    return {name: hint for name, hint in get_type_hints(kind, localns=NAMES).items() if name not in ENVELOPE}


def _record(given: object, kind: Any, where: str) -> Thing:  # noqa: ANN401 (a TypedDict class)
    if not isinstance(given, dict):
        raise WrongError("Invalid object", param=where)
    fields, read = _fields(kind), {}
    for name, value in given.items():
        path = f"{where}[{name}]" if where else name
        if name not in fields:
            raise WrongError(f"Received unknown parameter: {path}", code="parameter_unknown", param=path)
        read[name] = _value(value, fields[name], path)
    for name in sorted(kind.__required_keys__ - set(given)):
        path = f"{where}[{name}]" if where else name
        raise WrongError(f"Missing required param: {path}.", code="parameter_missing", param=path)
    return read


def _value(given: Any, hint: Any, where: str) -> Any:  # noqa: ANN401 (one line for each shape)
    options = _options(hint)
    if given == "" and any(get_origin(option) is Literal and "" in get_args(option) for option in options):
        return ""
    if isinstance(given, dict):
        return _nest(given, options, where)
    if bool in options and given in ("true", "false"):
        return given == "true"
    literals = [word for option in options if get_origin(option) is Literal for word in get_args(option) if word]
    if literals and given not in literals:
        raise WrongError(f"Invalid {where}: must be one of {', '.join(literals)}", param=where)
    if literals or str in options:
        return given
    if int in options:
        return _number(given, int, where)
    if bool in options:
        raise WrongError(f"Invalid boolean: {given}", param=where)
    if Decimal in options or float in options:
        return str(_number(given, Decimal, where))
    raise WrongError("Invalid object", param=where)


def _options(hint: Any) -> list[Any]:  # noqa: ANN401
    return list(get_args(hint)) if get_origin(hint) in (Union, UnionType) else [hint]


def _nest(given: Thing, options: list[Any], where: str) -> Any:  # noqa: ANN401
    for option in options:
        if is_typeddict(option):
            return _record(given, option, where)
        if get_origin(option) is list:
            items = sorted(given.items(), key=lambda item: int(item[0]) if item[0].isdigit() else 0)
            return [_value(value, get_args(option)[0], f"{where}[{index}]") for index, value in items]
        if get_origin(option) is dict:
            return {name: _value(value, get_args(option)[1], f"{where}[{name}]") for name, value in given.items()}
    raise WrongError(f"Invalid value for {where}", param=where)


def _number(given: str, kind: type[int] | type[Decimal], where: str) -> int | Decimal:
    try:
        return kind(given)
    except (ValueError, InvalidOperation):
        raise WrongError(f"Invalid integer: {given}", code="parameter_invalid_integer", param=where) from None
