"""What one person may have at the same time on all IMAP ports together: connections, heavy commands, memory.

Invariants: all three are counted over all ports that share one Persons; a command waits for its turn no
longer than IMAP_HEAVY_WAIT_SECONDS_MAX; one person's heavy commands do not keep anybody else waiting.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import AbstractAsyncContextManager
from weakref import WeakValueDictionary

from mssante.imap.grammar import commands
from mssante.imap.grammar.need import Need
from mssante.imap.rules.matching import need_of
from mssante.limits import (
    IMAP_HEAVY_AT_ONCE,
    IMAP_HEAVY_BODIES,
    IMAP_HEAVY_ROWS,
    IMAP_PERSON_MEMORY_OCTETS_MAX,
)
from mssante.loans import MemoryShare
from mssante.mailbox.turns import Turn, turn


class Persons:
    """Counts the connections of each person, from the sign-in to the end."""

    def __init__(self) -> None:
        self._connections: Counter[str] = Counter()
        self._turns: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()
        self._memory: WeakValueDictionary[str, MemoryShare] = WeakValueDictionary()

    def connections(self, person: str) -> int:
        """How many `person` has."""
        return self._connections[person]

    def arrived(self, person: str) -> None:
        """One more connection of `person`, who has signed in."""
        self._connections[person] += 1

    def left(self, person: str) -> None:
        """One connection less."""
        self._connections[person] -= 1
        if self._connections[person] <= 0:
            del self._connections[person]

    def memory(self, person: str) -> MemoryShare:
        """What all the person's commands may hold together."""
        return self._memory.setdefault(person, MemoryShare(IMAP_PERSON_MEMORY_OCTETS_MAX))

    def heavy(self, person: str) -> AbstractAsyncContextManager[Turn]:
        """Waits for one of the person's turns. Raises as `turn`."""
        turns = self._turns.get(person) or asyncio.Semaphore(IMAP_HEAVY_AT_ONCE)
        self._turns[person] = turns
        return turn(turns, "too many heavy commands at once")


def is_heavy(command: commands.Command, messages: int) -> bool:
    """Whether the command opens the contents of many messages, or sorts or changes many; `messages`: how many
    it names at most."""
    match command:
        case commands.Fetch(items=items):
            return items.need is Need.BODY and messages > IMAP_HEAVY_BODIES
        case commands.Sort() | commands.Thread():
            return messages > IMAP_HEAVY_BODIES
        case commands.Search(query=query):
            return messages > IMAP_HEAVY_BODIES and need_of(query.key) >= Need.HEADER
        case commands.Store() | commands.Copy() | commands.Expunge() | commands.Close():
            return messages > IMAP_HEAVY_ROWS
        case commands.Delete() | commands.Rename():
            return True  # how many messages and folders it is about, is known only when it is done
        case _:
            return False
