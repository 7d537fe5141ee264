"""Fixtures of the dialogues."""

from tests.support.imap.house import house

__all__ = ["house"]
