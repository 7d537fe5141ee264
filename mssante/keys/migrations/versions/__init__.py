"""Alembic versions of the key store. A version already released is never edited."""
