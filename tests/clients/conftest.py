"""Fixtures of the real clients."""

from tests.support.imap.house import house

__all__ = ["house"]
