"""Assisters: a developer platform whose privacy policy is true because the software makes it true."""
