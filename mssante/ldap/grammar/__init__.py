"""LDAP's questions and answers as values (RFC 4511, RFC 4515). Pure: no socket."""
