"""Billing: plans, prices, the double-entry ledger, the wallet, and Stripe."""
