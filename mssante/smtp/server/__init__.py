"""The SMTP ports: aiosmtpd behind its guard, one file for each part of a conversation."""
