"""API keys: made, shown once, given other terms, rotated, revoked."""
