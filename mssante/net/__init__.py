"""Every mail socket: the stream, the ports, SMTP both ways, IMAP, and the words of our answers."""
