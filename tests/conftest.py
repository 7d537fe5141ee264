"""Fixtures every test may use."""

from tests.support.databases import database_url, postgres

__all__ = ["database_url", "postgres"]
