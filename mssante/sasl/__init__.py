"""How a client proves who it is (RFC 4422): the messages of SASL, read the same way for IMAP and SMTP."""
