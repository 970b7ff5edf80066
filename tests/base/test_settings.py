"""A wrong setting stops the start with a sentence; nothing in production falls back to a stand-in."""

import base64

import pytest

from assisters_app.base.settings import SettingsError, read_settings

PEPPER = base64.b64encode(b"p" * 32).decode()
PRODUCTION = {
    "ASSISTERS_ENV": "production",
    "PUBLIC_URL": "https://assisters.example",
    "DATABASE_URL": "postgresql://u:p@db.example/app",
    "REDIS_URL": "rediss://default:p@cache.example:6379",
    "SMTP_URL": "smtps://u:p@mail.example:465",
    "ASSISTERS_PEPPER": PEPPER,
}


def test_a_complete_production_starts_with_every_optional_service_off():
    found = read_settings(PRODUCTION)
    assert not found.development
    assert found.https
    assert found.stripe_api_key is None
    assert found.oauth_clients == ()


def test_each_upstream_has_its_own_address_and_credential():
    named = {"UPSTREAM_BASE_URL": "https://a.example/v1", "UPSTREAM_API_KEY": "of-a", "UPSTREAMS": "vllm, other"}
    named |= {"UPSTREAM_VLLM_BASE_URL": "http://10.0.0.7/v1/", "UPSTREAM_VLLM_CONTINUOUS_USAGE": "1"}
    named |= {"UPSTREAM_OTHER_BASE_URL": "https://b.example/v1", "UPSTREAM_OTHER_API_KEY": "of-b"}
    found = read_settings({**PRODUCTION, **named}).upstreams
    assert {name: (one.base_url, one.api_key, one.continuous_usage) for name, one in found.items()} == {
        "": ("https://a.example/v1", "of-a", False),
        "vllm": ("http://10.0.0.7/v1", None, True),
        "other": ("https://b.example/v1", "of-b", False),
    }
    assert "of-a" not in repr(found)
    assert read_settings(PRODUCTION).upstreams == {}
    with pytest.raises(SettingsError, match="UPSTREAM_VLLM_BASE_URL is missing"):
        read_settings({**PRODUCTION, "UPSTREAMS": "vllm"})


@pytest.mark.parametrize("missing", ["DATABASE_URL", "REDIS_URL", "SMTP_URL", "ASSISTERS_PEPPER"])
def test_production_does_not_start_without_what_it_stands_on(missing):
    with pytest.raises(SettingsError, match=f"{missing} is missing"):
        read_settings({name: value for name, value in PRODUCTION.items() if name != missing})


@pytest.mark.parametrize("name", [*PRODUCTION, "STRIPE_API_KEY", "SENTRY_DSN", "UPSTREAM_BASE_URL", "PORT"])
def test_a_setting_that_is_set_but_empty_stops_the_start(name):
    with pytest.raises(SettingsError, match=f"{name} is set but empty"):
        read_settings({**PRODUCTION, name: " "})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_URL", "mysql://db"),
        ("REDIS_URL", "cache.example:6379"),
        ("REDIS_URL", "redis://cache.example:notaport"),
        ("SMTP_URL", "mail.example"),
        ("PUBLIC_URL", "http://assisters.example"),
        ("PORT", "70000"),
        ("PORT", "3000x"),
        ("ASSISTERS_PEPPER", "not base64!"),
        ("ASSISTERS_PEPPER", base64.b64encode(b"short").decode()),
        ("ASSISTERS_ENV", "staging"),
        ("TRUSTED_PROXIES", "10.0.0.0/8, everyone"),
        ("STRIPE_API_KEY", "sk_live_without_its_webhook_secret"),
        ("SUPABASE_URL", "https://project.supabase.example"),
        ("GITHUB_CLIENT_ID", "without its secret"),
        ("UPSTREAMS", "vLLM"),
        ("UPSTREAMS", "one,one"),
        ("UPSTREAM_BASE_URL", "ftp://models.example"),
    ],
)
def test_a_malformed_setting_stops_the_start_with_a_sentence(name, value):
    with pytest.raises(SettingsError) as refused:
        read_settings({**PRODUCTION, name: value})
    sentence = str(refused.value)
    assert sentence.endswith((".", "32"))
    assert name.split("_", maxsplit=1)[0] in sentence


def test_a_printed_settings_object_shows_no_secret():
    found = read_settings({**PRODUCTION, "STRIPE_API_KEY": "sk_live_x", "STRIPE_WEBHOOK_SECRET": "whsec_y"})
    assert "sk_live" not in repr(found)
    assert PEPPER not in repr(found)
