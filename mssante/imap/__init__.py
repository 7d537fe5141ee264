"""The IMAP wing: grammar (octets and values), rules (what a session demands), server (the ports)."""
