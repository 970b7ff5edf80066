"""Who we are and where to write to (policy section 10): the one place that pages, mails and receipts read it from."""

COMPANY = "Assisters, LLC"
ADDRESS = ("1111B S Governors Ave STE 44806", "Dover, DE 19904", "United States")  # a line each
EMAIL = "legal@assisters.io"
ON_ONE_LINE = ", ".join((COMPANY, *ADDRESS))
