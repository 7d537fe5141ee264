"""What a client proves itself with (RFC 4422), read once for IMAP and SMTP alike."""
