"""Octets of memory lent to whoever holds something for a person, a peer or a port, and given back.

Whoever must hold octets until they are used asks for a loan first. Where none is given, what is held goes
elsewhere (into the database), or the work is refused until others have given back theirs.

Invariants: never more is lent than the share has; a loan is given back once, and whole.
"""

from __future__ import annotations

from mssante.reasons import Passing, Reason


class MemoryShare:
    """`octets_max` of memory, for all the work of one person, peer or port together."""

    def __init__(self, octets_max: int) -> None:
        self._octets_max = octets_max
        self._lent = 0

    @property
    def lent(self) -> int:
        """How many octets are lent now."""
        return self._lent

    def loan(self) -> Loan:
        """A loan of nothing yet."""
        return Loan(self)

    def _exchange(self, old: int, new: int) -> bool:
        """Whether `new` octets can be lent in place of `old`. Less than before can always."""
        if new > old and self._lent - old + new > self._octets_max:
            return False
        self._lent += new - old
        return True


class Loan:
    """What one piece of work has from its share."""

    def __init__(self, share: MemoryShare) -> None:
        self._share = share
        self._octets = 0

    def hold(self, octets: int) -> bool:
        """Asks to hold `octets` in all from now on: more than before, or less. False, and nothing changes,
        when the share has not so many left."""
        if not self._share._exchange(self._octets, octets):
            return False
        self._octets = octets
        return True

    def require(self, octets: int) -> None:
        """As `hold`, but raises Passing(LIMIT_REACHED) where it says False."""
        if not self.hold(octets):
            raise Passing(Reason.LIMIT_REACHED, "too much in memory at once")

    def end(self) -> None:
        """Gives everything back. May be called several times."""
        self.hold(0)
