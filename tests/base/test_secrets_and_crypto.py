"""Secrets cannot slip into text, and what is sealed opens only for what it was sealed for."""

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assisters_app.base import crypto
from assisters_app.base.secrets import Secret, random_token


@pytest.fixture(autouse=True)
def pepper(monkeypatch):
    monkeypatch.setattr(crypto, "settings", type("Run", (), {"pepper": b"p" * 32, "peppers_before": ()}))


def test_a_secret_prints_formats_and_pickles_as_nothing():
    secret = Secret("ask_very_secret")
    assert "very" not in f"{secret} {secret!r} {secret!s} {secret:>40}" + str([secret]) + str({"a": secret})
    with pytest.raises(TypeError):
        pickle.dumps(secret)


def test_two_random_tokens_differ():
    assert random_token() != random_token()


@given(st.text())
def test_what_is_sealed_opens_again(text):
    assert crypto.unseal("mail", crypto.seal("mail", text)) == text


def test_what_is_sealed_for_mail_does_not_open_for_anything_else():
    with pytest.raises(ValueError, match="does not open"):
        crypto.unseal("sessions", crypto.seal("mail", "hello"))


def test_a_changed_byte_is_noticed():
    sealed = bytearray(crypto.seal("mail", "hello"))
    sealed[-1] ^= 1
    with pytest.raises(ValueError, match="does not open"):
        crypto.unseal("mail", bytes(sealed))


def test_another_pepper_gives_other_hashes(monkeypatch):
    first = crypto.keyed_hash("email", "ada@example.com")
    monkeypatch.setattr(crypto, "settings", type("Run", (), {"pepper": b"q" * 32, "peppers_before": ()}))
    assert crypto.keyed_hash("email", "ada@example.com") != first
