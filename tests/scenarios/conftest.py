"""Fixtures of the scenarios."""

from tests.support.imap_house import house

__all__ = ["house"]
