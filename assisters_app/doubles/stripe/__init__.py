"""A stateful test stand-in for Stripe: no money moves, every page says so; development and tests only.

    python -m assisters_app.doubles.stripe --port P --webhook-url URL --webhook-secret-env NAME

The official client talks to it with `base_addresses={"api": "http://127.0.0.1:P"}`. Parameters are checked against the
client's own types, so a misspelt one is refused as Stripe would. `serving.served` runs it in a thread for tests;
`control` describes the faults it can be told to make.
"""
