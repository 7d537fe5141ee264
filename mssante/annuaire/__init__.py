"""Reads a directory (annuaire): mailboxes and the trust space, over LDAP or from an LDIF file.

Invariants: each entry is parsed or refused by itself; the format is a format of this project
(annuaire/README.md); being in the directory gives no right, because the trust space decides who may send and
where.
"""
