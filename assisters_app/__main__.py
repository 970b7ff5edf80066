"""Lets `python -m assisters_app` be the commands."""

import sys

from assisters_app.cli import main

if __name__ == "__main__":
    sys.exit(main())
