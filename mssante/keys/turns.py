"""Whose password is checked next: who was right there before, then strangers, network by network.

Turns go round the kinds of callers that wait. A person who signed in from this address before has every
other turn, so at most one stranger's check is begun between two of theirs. Strangers of networks where no
password was wrong lately share the rest with those of networks where one was. Within a kind the networks
take turns, so that a hundred guesses from one cost another network one turn.

Invariants: no kind can take the places of another; within a kind that is full, the network that has the most
waiting loses its last one, so that one network never keeps another out; a cancelled caller is passed over.
"""

from __future__ import annotations

from asyncio import Future
from collections import OrderedDict, deque
from enum import Enum

from mssante.limits import PASSWORD_CHECKS_QUEUED_MAX


class Caller(Enum):
    """Who asks for a check."""

    KNOWN = "known"  # signed in from this address before, or is the operator's own command
    NEW = "new"  # a stranger of a network where no password was wrong lately
    FAILED = "failed"  # a stranger of a network where one was


_ROUND = (Caller.KNOWN, Caller.NEW, Caller.KNOWN, Caller.FAILED)


class Crowded(Exception):
    """There is no place for one more of this kind and network."""


class Turns:
    """The callers who wait, each as a future that is given a result when its turn comes."""

    def __init__(self) -> None:
        self._waiting: dict[Caller, OrderedDict[str, deque[Future[None]]]] = {
            kind: OrderedDict() for kind in Caller
        }
        self._counts = dict.fromkeys(Caller, 0)
        self._next = 0  # in _ROUND

    def __len__(self) -> int:
        return sum(self._counts.values())

    def wait(self, turn: Future[None], kind: Caller, network: str) -> None:
        """Puts a caller at the end of its network's line. Raises Crowded, or ends another's wait with it."""
        lines = self._waiting[kind]
        if self._counts[kind] >= PASSWORD_CHECKS_QUEUED_MAX:
            longest = max(lines, key=lambda each: len(lines[each]))
            if len(lines[longest]) <= len(lines.get(network, ())) + 1:
                raise Crowded
            last = lines[longest].pop()
            self._counts[kind] -= 1
            if not last.done():
                last.set_exception(Crowded())
        lines.setdefault(network, deque()).append(turn)
        self._counts[kind] += 1

    def leave(self, turn: Future[None], kind: Caller, network: str) -> None:
        """Forgets a caller who gave up."""
        line = self._waiting[kind].get(network)
        if line is None or turn not in line:
            return
        line.remove(turn)
        self._counts[kind] -= 1
        if not line:
            del self._waiting[kind][network]

    def give(self) -> bool:
        """Gives the next turn. False when nobody waits."""
        while len(self):
            kind = _ROUND[self._next]
            self._next = (self._next + 1) % len(_ROUND)
            lines = self._waiting[kind]
            if not lines:
                continue
            network, line = lines.popitem(last=False)
            turn = line.popleft()
            self._counts[kind] -= 1
            if line:
                lines[network] = line  # behind the others
            if not turn.done():
                turn.set_result(None)
                return True
        return False
