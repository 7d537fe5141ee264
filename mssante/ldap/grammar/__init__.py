"""What is asked and answered in LDAP (RFC 4511, RFC 4515), as values: pure."""
