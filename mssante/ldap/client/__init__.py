"""Reads a directory over LDAP. Only this package uses ldap3, with bounds on size and time."""
