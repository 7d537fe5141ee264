"""Reading a directory: mailboxes and the trust space, over LDAP or from an LDIF file.

Invariants: an entry is parsed or refused, alone; the format is a project format (annuaire/README.md);
being in the directory gives no right: the trust space decides who may send and where.
"""
