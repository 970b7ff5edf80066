"""The face for people: one module per screen."""
