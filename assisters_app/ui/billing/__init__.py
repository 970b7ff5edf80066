"""Billing: what is left, how to add to it, this month's bill as it grows, and every movement of money."""
