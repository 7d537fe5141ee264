"""Alembic: the mail database's schema, one version after the other; a version never changes once out."""
