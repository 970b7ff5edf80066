"""Calls that were made, as events."""

from datetime import datetime

from assisters_app.base.clock import now
from assisters_app.base.ids import new_id
from assisters_app.usage.events import Event


def call(organization_id, key_id, at: datetime | None = None, **more) -> Event:
    """Return the event of one ordinary call, with `more` changed."""
    ordinary = {
        "mode": "live",
        "endpoint": "chat/completions",
        "model": "assisters-chat-v1",
        "status": 200,
        "outcome": "completed",
        "input_tokens": 10,
        "output_tokens": 5,
        "cost_nano": 7_000,
        "price_version": 1,
        "duration_ms": 120,
        "ip": "203.0.113.9",
        "user_agent": "openai-python",
    }
    return Event(new_id(), at or now(), organization_id, key_id, **{**ordinary, **more})
