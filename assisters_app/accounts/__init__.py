"""Accounts: signing up, signing in, sessions, identity and organizations."""
