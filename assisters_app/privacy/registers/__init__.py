"""What is written down for those who look later."""
