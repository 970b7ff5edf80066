"""Counting tokens where the upstream does not tell: in the sandbox, before admission, and after a cut connection.

The counts follow OpenAI's o200k encoding and its documented overhead per message; an upstream's own usage always wins.
"""

import functools
import warnings
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

import orjson

SLICE = 50_000  # characters encoded at once; the encoder refuses a million
PER_MESSAGE = 3  # what OpenAI adds for each message
PER_NAME = 1
LONGEST_ROLE = 16  # characters; there are half a dozen roles, counted once
PER_REPLY = 3  # what primes the answer
PER_IMAGE = 1_105  # a picture of 1024 by 1024 dots in high detail
MEDIA = frozenset({"image_url", "file_id", "file_url", "file_data"})  # how a Responses request names what is not text
TEXTS = ("text", "refusal")  # the parts of a message that are nothing but text
COUNTED = ("tools", "functions", "response_format")  # what a chat request says besides its messages


@functools.cache
def encoding() -> Any:  # noqa: ANN401 (the encoder carries no types)
    """Return the o200k encoding, read at first use (a fifth of a second)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # it opens its data in an old way
        import bpe_openai

        return bpe_openai.get_encoding("o200k_base")


def count(text: str) -> int:
    """Return how many tokens `text` is."""
    sound = text if text.isascii() else _sound(text)
    if len(sound) <= SLICE:
        return _counter()(sound)
    return sum(_counter()(sound[start : start + SLICE]) for start in range(0, len(sound), SLICE))


@functools.cache
def _counter() -> Callable[[str], int]:
    """Return what counts without making a list of the tokens: the tokenizer has it, its wrapper does not hand it on."""
    counter: Callable[[str], int] = encoding()._backend.count  # noqa: SLF001 (a test compares it with the encoder)
    return counter


@functools.lru_cache(maxsize=64)
def _of_role(role: str) -> int:
    return count(role)


def first(text: str, most: int) -> str:
    """Return the beginning of `text` that is at most `most` tokens long."""
    tokens = encoding().encode_ordinary(_sound(text))
    return text if len(tokens) <= most else str(encoding().decode(tokens[:most]))


def pieces(text: str) -> list[str]:
    """Return `text` cut at token borders that are also character borders."""
    cut: list[str] = []
    pending: list[int] = []
    for token in encoding().encode_ordinary(_sound(text)):
        pending.append(token)
        piece = encoding().decode_bytes(pending)
        try:
            cut.append(piece.decode())
        except UnicodeDecodeError:
            continue
        pending = []
    return cut


def of_chat(body: Mapping[str, Any]) -> int:
    """Return the input tokens of a chat request: messages, tools and the format asked for."""
    total = PER_REPLY + sum(_of_message(message) for message in body["messages"])
    return total + sum(_of_json(body[name]) for name in COUNTED if body.get(name))


def of_response(body: Mapping[str, Any]) -> int:
    """Return the input tokens of a Responses request: instructions, items, tools and the format asked for."""
    given = body["input"]
    items = [{"role": "user", "content": given}] if isinstance(given, str) else given
    told = [{"role": "system", "content": body["instructions"]}] if body.get("instructions") else []
    total = PER_REPLY + sum(_of_message(item) for item in (*told, *items))
    return total + sum(_of_json(body[name]) for name in ("tools", "text") if body.get(name))


def holds_media(given: Any) -> bool:  # noqa: ANN401 (any JSON)
    """Say whether an input holds anything but text, however deep: its tokens only the upstream can count."""
    if isinstance(given, list):
        return any(holds_media(one) for one in given)
    if not isinstance(given, dict):
        return False
    kind = given.get("type")
    is_media = isinstance(kind, str) and kind.startswith("input_") and kind != "input_text"
    return is_media or not MEDIA.isdisjoint(given) or any(holds_media(one) for one in given.values())


def of_the_rest(body: Mapping[str, Any], known: Collection[str]) -> int:
    """Return how many tokens the fields besides `known` could add: some upstreams write documents or templates in."""
    return sum(
        _of_json(value) for name, value in body.items() if name not in known and isinstance(value, str | list | dict)
    )


def of_embeddings(given: Any) -> int:  # noqa: ANN401 (a text, texts, tokens, or lists of tokens)
    """Return the input tokens of an embeddings request, whose input has been checked."""
    return sum(count(one) if isinstance(one, str) else len(one) for one in inputs(given))


def of_moderation(given: Any) -> int:  # noqa: ANN401 (a text, texts, or parts)
    """Return the input tokens of a moderation request, whose input has been checked."""
    return sum(_of_parts([given] if isinstance(given, str) else given))


def has_media(body: Mapping[str, Any]) -> bool:
    """Say whether a chat holds anything but text: its tokens are known only once the upstream has counted them."""
    contents = (message.get("content") for message in body["messages"])
    parts = (part for content in contents if isinstance(content, list) for part in content)
    return any(not isinstance(part, dict) or part.get("type") not in TEXTS for part in parts)


def inputs(given: Any) -> list[Any]:  # noqa: ANN401 (as above)
    """Return the inputs of an embeddings request as a list: of texts, or of lists of tokens."""
    if isinstance(given, str) or (given and isinstance(given[0], int)):
        return [given]
    return list(given)


def _of_message(message: Mapping[str, Any]) -> int:
    total = PER_MESSAGE + (PER_NAME if message.get("name") else 0)
    for key, value in message.items():
        if key == "role" and isinstance(value, str) and len(value) <= LONGEST_ROLE:
            total += _of_role(value)
        elif isinstance(value, str):
            total += count(value)
        elif key == "content" and isinstance(value, list):
            total += sum(_of_parts(value))
        elif value:
            total += _of_json(value)
    return total


def _of_parts(parts: Iterable[Any]) -> Iterable[int]:
    for part in parts:
        if not isinstance(part, dict):
            yield _of_json(part)  # a text, usually
        elif part.get("type") in ("image_url", "input_image"):
            yield PER_IMAGE
        elif isinstance(part.get("text"), str):
            yield count(part["text"])
        else:
            yield _of_json(part)


def _of_json(value: Any) -> int:  # noqa: ANN401 (any JSON)
    return count(value if isinstance(value, str) else orjson.dumps(value).decode())


def _sound(text: str) -> str:
    """Return `text` without lone surrogates, which no encoding knows."""
    return text.encode("utf-8", "replace").decode()
