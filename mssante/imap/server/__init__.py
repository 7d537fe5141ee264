"""The IMAP ports: a conversation, the session behind it, and one file for each family of commands."""
