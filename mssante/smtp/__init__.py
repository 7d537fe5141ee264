"""SMTP cores, pure: the end of data, addresses and parameters, replies, sending."""
