"""SMTP as octets and values (RFC 5321): pure."""
