"""What the tests and the stand-in for Stripe share."""

SECRET = "whsec_for_the_tests"
KEY = "sk_test_for_the_tests"
