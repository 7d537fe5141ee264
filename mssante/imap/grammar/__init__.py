"""IMAP as octets and values (RFC 3501, RFC 9051): commands read, responses written; pure."""
