"""What people ask for: a readable copy, an export, and the register of requests."""
