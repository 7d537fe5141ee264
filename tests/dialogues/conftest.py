"""Fixtures of the dialogues."""

from tests.support.imap_house import house

__all__ = ["house"]
