"""API keys: issue, list, rotate, revoke, verify."""
