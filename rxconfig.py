"""What Reflex is told: no themed components, our own tokens, one origin, state in Valkey."""

import os

import reflex as rx

from assisters_app.ui.words import BASE

_here = os.environ.get("PUBLIC_URL", f"http://localhost:{os.environ.get('PORT', '3000')}").rstrip("/")
_names = ("canvas", "surface", "raised", "line", "strong", "ink", "muted", "faint")
_tones = ("accent", "accent-soft", "good", "good-soft", "warn", "warn-soft", "bad", "bad-soft", "inverse")

config = rx.Config(
    app_name="assisters_app",
    api_url=BASE,
    deploy_url=BASE,
    # The socket answers these origins only; over plain http (development) also the loopback address by number.
    cors_allowed_origins=[_here, _here.replace("//localhost", "//127.0.0.1")] if "//localhost" in _here else [_here],
    redis_url=os.environ.get("REDIS_URL"),
    redis_token_expiration=3600,
    telemetry_enabled=False,
    show_built_with_reflex=False,
    default_color_mode="system",
    frontend_compression_formats=["brotli", "gzip"],  # in this order: the first of equals is sent
    frontend_lazy_bundled_libraries=True,
    plugins=[
        rx.plugins.TailwindV4Plugin(
            {
                "darkMode": "class",
                "theme": {
                    "extend": {
                        "colors": {name: f"var(--{name})" for name in (*_names, *_tones)},
                        "fontFamily": {"sans": "var(--sans)", "mono": "var(--mono)"},
                        "boxShadow": {"card": "var(--shadow-card)", "over": "var(--shadow-over)"},
                    }
                },
                "plugins": [],
            }
        )
    ],
    disable_plugins=[rx.plugins.SitemapPlugin],
)
