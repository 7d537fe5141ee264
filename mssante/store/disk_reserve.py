"""The part of the disk that new letters may not fill, so that there is room to delete, read and mend.

Deleting needs room itself: SQLite writes a deletion to its log first, with all the octets that it overwrites.
On a disk that is quite full, people could not even make room. What they delete leaves the database's file as
large as it is, with free pages inside, so these count as room.

Invariants: below the reserve nothing new comes in, whatever the way (a peer, a person, APPEND, COPY, the
queue's deliveries); what makes room, reads or only changes flags is never asked; crossing the line is
reported once each way.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from mssante.limits import MIB
from mssante.observe.event import report
from mssante.observe.events import DiskHasRoomAgain, DiskShort
from mssante.reasons import Passing, Reason


@dataclass(frozen=True, slots=True)
class DiskRoom:
    """Octets: of the whole disk, free on it, and free inside the database's file."""

    total: int
    free: int
    inside: int


class DiskReserve:
    """`folder` is where the database's file lies; None when it lies elsewhere (PostgreSQL), and then nothing
    is looked at. `inside` tells how many octets are free in the database's file."""

    def __init__(self, folder: Path | None, octets: int, inside: Callable[[], Awaitable[int]]) -> None:
        self._folder = folder
        self._inside = inside
        self._short = False
        self.octets = octets

    async def require(self) -> None:
        """Returns if something new may come in. Raises Passing(STORAGE_FULL) otherwise."""
        if self._folder is None:
            return
        # A few microseconds. Only below the reserve is the database asked too.
        room = None if _free(self._folder)[1] >= self.octets else await self.room()
        short = room is not None and self.is_short(room)
        self._note(room if short else None)
        if room is not None and short:
            raise Passing(Reason.STORAGE_FULL, f"{room.free // MIB} MiB free")

    async def room(self) -> DiskRoom | None:
        """What there is now; None when the disk is not ours to look at."""
        if self._folder is None:
            return None
        total, free = _free(self._folder)
        return DiskRoom(total, free, await self._inside())

    def is_short(self, room: DiskRoom) -> bool:
        """Room inside the file serves letters, but the log of writes always needs some of the disk."""
        return room.free + room.inside < self.octets or room.free < self.octets // 4

    def _note(self, short: DiskRoom | None) -> None:
        if short is not None and not self._short:
            report(DiskShort(free_mib=short.free // MIB, reserve_mib=self.octets // MIB))
        elif short is None and self._short:
            report(DiskHasRoomAgain())
        self._short = short is not None


def _free(folder: Path) -> tuple[int, int]:
    found = os.statvfs(folder)
    return found.f_blocks * found.f_frsize, found.f_bavail * found.f_frsize
