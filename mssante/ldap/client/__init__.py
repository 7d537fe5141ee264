"""Reading a directory over LDAP: ldap3 behind one door, bounded."""
