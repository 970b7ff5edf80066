"""How long things stay."""
