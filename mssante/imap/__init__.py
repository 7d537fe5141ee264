"""The IMAP core: bytes in, commands out, responses to bytes. Pure: no socket, no clock, no store."""
