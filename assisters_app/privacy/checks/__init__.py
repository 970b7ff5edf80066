"""Checks of promises that no room of the privacy engine keeps by itself: edges, custody, the meter."""
