"""Usage: what was called, counted once, and the reports over it."""
