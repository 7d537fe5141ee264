"""What IMAP demands of a session: which command when, what a client has been told, what matches; pure."""
