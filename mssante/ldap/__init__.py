"""LDAP: the directories that are read."""
