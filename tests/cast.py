"""The people of the tests: Ada and Bob are developers, Mallory means harm, Grace is staff."""

ADA = "ada@example.com"
BOB = "bob@example.org"
MALLORY = "mallory@example.net"
GRACE = "grace@assisters.example"
PASSWORD = "correct horse battery staple 7"
