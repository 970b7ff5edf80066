"""The screens for staff: each handler asks for the role, and so does each function behind it."""
