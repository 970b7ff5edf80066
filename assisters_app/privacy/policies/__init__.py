"""The privacy policy and its versions."""
