"""Every feature's tables in one place, for alembic, the marks and the tests."""

import importlib

from sqlmodel import SQLModel

FEATURES = (
    "accounts",
    "base",
    "billing",
    "gateway",
    "gateway.content",
    "keys",
    "privacy.choices",
    "privacy.erasing",
    "privacy.keeping",
    "privacy.policies",
    "privacy.registers",
    "privacy.rights",
    "support",
    "usage",
)
for feature in FEATURES:
    importlib.import_module(f"assisters_app.{feature}.tables")

metadata = SQLModel.metadata
