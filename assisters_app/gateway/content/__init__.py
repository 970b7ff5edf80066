"""Request content: kept for a key that asks for it, sealed, and unreadable for everyone within 24 hours."""
