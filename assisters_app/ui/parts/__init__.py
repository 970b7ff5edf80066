"""The small components that screens are built from."""
