"""Fixtures of the scenarios."""

from tests.support.imap.house import house

__all__ = ["house"]
