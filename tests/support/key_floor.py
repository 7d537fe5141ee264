"""Where a key broker of a test keeps its mark."""

from __future__ import annotations

from dataclasses import dataclass

from mssante.database import Database
from mssante.keys import FloorKeeper
from mssante.store.key_floor import KeyFloorDoor


def floor_in(mail: Database) -> FloorKeeper:
    """In a mail database, as `serve` does."""
    door = KeyFloorDoor(mail)
    return FloorKeeper(door.read, door.keep)


@dataclass
class FloorInMemory:
    """For a broker without a mail database."""

    mark: tuple[int, bytes] | None = None

    async def read(self) -> tuple[object, object] | None:
        return self.mark

    async def keep(self, counter: int, mac: bytes) -> None:
        self.mark = counter, mac

    @property
    def keeper(self) -> FloorKeeper:
        return FloorKeeper(self.read, self.keep)
