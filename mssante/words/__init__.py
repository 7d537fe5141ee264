"""What each Reason says: to SMTP, to IMAP, in a notice and to an operator."""
