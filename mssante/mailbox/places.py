"""What a client may know of a message in its folder besides the message: EMAILID and SAVEDATE.

Invariants: an EMAILID is the message's random id, so it reveals nothing, stays the same in other folders (a
copy is one more placement of the same message) and is never used again; a save date is kept and told as a
day only (K5), in UTC.
"""

from __future__ import annotations

from datetime import UTC, date, datetime

from mssante.store.records import SECONDS_PER_DAY, Place


class KnownPlace:
    """A store's Place as the protocol sees it."""

    __slots__ = ("_place",)

    def __init__(self, place: Place) -> None:
        self._place = place

    @property
    def email_id(self) -> str:
        """RFC 8474 §5.1."""
        return f"M{self._place.message_id.hex()}"

    @property
    def saved_at(self) -> datetime:
        """RFC 8514 §3, at midnight UTC."""
        return datetime.fromtimestamp(self._place.saved_day * SECONDS_PER_DAY, UTC)

    @property
    def saved(self) -> date:
        return self.saved_at.date()
