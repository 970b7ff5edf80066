"""Where the people of the account tests sit."""

from assisters_app.accounts.client import Client

HERE = Client("192.0.2.7", "Firefox")
ELSEWHERE = Client("198.51.100.20", "A telephone")
