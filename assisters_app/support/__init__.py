"""Support: people write to us in the dashboard, and we answer there (policy 2.6)."""
