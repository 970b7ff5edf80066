"""Stateful stand-ins for outside services that cannot run here; development and tests only."""
