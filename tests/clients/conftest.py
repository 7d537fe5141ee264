"""Fixtures of the real clients."""

from tests.support.imap_house import house

__all__ = ["house"]
