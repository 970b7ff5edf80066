"""Tokens are counted as the encoder would make them."""

import pytest

from assisters_app.gateway import tokens

TEXTS = ["", "Hello", "Ærlig talt: 你好, мир! 👩🏽‍🚀", "lone \ud800 surrogate", "word " * 30_000]


@pytest.mark.parametrize("text", TEXTS, ids=["nothing", "ascii", "many scripts", "a lone surrogate", "long"])
def test_a_caller_s_text_counts_as_many_tokens_as_the_encoder_makes_of_it(text):
    sound = text.encode("utf-8", "replace").decode()
    slices = [sound[start : start + tokens.SLICE] for start in range(0, len(sound), tokens.SLICE)]
    assert tokens.count(text) == sum(len(tokens.encoding().encode_ordinary(one)) for one in slices)


def test_a_role_counts_like_any_other_text():
    body = {"messages": [{"role": role, "content": "Hi"} for role in ("system", "user", "r" * 40)]}
    texts = ["system", "user", "r" * 40, "Hi", "Hi", "Hi"]
    assert tokens.of_chat(body) == 3 * tokens.PER_MESSAGE + tokens.PER_REPLY + sum(map(tokens.count, texts))
