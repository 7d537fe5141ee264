"""What each Reason says: to SMTP, to IMAP, in a notice."""
