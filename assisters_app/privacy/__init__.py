"""The privacy engine: inventory, access, export, erasure, retention, consents, requests, policy."""
