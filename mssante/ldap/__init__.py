"""LDAP, to read directories: grammar (filters and values) and client."""
