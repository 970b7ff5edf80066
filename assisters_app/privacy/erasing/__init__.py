"""The end of an account: decided, carried out, proven."""
