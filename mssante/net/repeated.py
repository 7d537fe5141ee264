"""Reports a repeated event once and then as a sum, so that a flood of refusals does not flood the log.

Invariants: the first event of a kind is reported at once; those that follow within the window are counted,
and their number is reported when the window ends; only so many kinds are remembered, and the events of all
further kinds are counted together.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from mssante.limits import REPEATED_KINDS_MAX, REPEATED_SECONDS

K = TypeVar("K", bound=Hashable)


def _later(seconds: float, call: Callable[[], None]) -> object:
    return asyncio.get_running_loop().call_later(seconds, call)


class Repeated(Generic[K]):
    """`tell` reports a kind and how often it happened; `later` calls a function after so many seconds; `rest`
    is the kind under which events are counted when too many kinds are remembered."""

    def __init__(
        self,
        tell: Callable[[K, int], None],
        *,
        rest: K,
        later: Callable[[float, Callable[[], None]], object] = _later,
    ) -> None:
        self._tell = tell
        self._rest = rest
        self._later = later
        self._counted: dict[K, int] = {}

    def happened(self, kind: K) -> None:
        if kind not in self._counted and len(self._counted) >= REPEATED_KINDS_MAX:
            kind = self._rest
        if kind in self._counted:
            self._counted[kind] += 1
            return
        self._counted[kind] = 0
        self._tell(kind, 1)
        self._later(REPEATED_SECONDS, lambda: self._over(kind))

    def _over(self, kind: K) -> None:
        if times := self._counted.pop(kind):
            self._tell(kind, times)
