"""What people choose: consents, cookies, signals of their browser, mail they do not want."""
