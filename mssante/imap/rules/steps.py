"""Long work in steps of some milliseconds: a generator that yields between them, so that its caller can let
other tasks run.

Invariants: how long a step takes does not depend on the texts a peer sent. It depends only on the number of
messages, and grows slowly with it: the last merge of 100,000 takes some ten milliseconds.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from typing import TypeVar

from mssante.limits import IMAP_SORTED_IN_ONE_STEP

_Value = TypeVar("_Value")
_Item = TypeVar("_Item")
Steps = Generator[None, None, _Value]


def sorted_in_steps(
    items: Sequence[_Item], key: Callable[[_Item], int | str], *, reverse: bool = False
) -> Steps[list[_Item]]:
    """The same result as `sorted`, by merging sorted runs. list.sort recognises parts that are in order
    already, so that sorting two sorted runs, one behind the other, costs it one merge."""
    runs = []
    for start in range(0, len(items), IMAP_SORTED_IN_ONE_STEP):
        runs.append(sorted(items[start : start + IMAP_SORTED_IN_ONE_STEP], key=key, reverse=reverse))
        yield
    while len(runs) > 1:
        for at in range(0, len(runs) - 1, 2):
            runs[at] += runs[at + 1]
            runs[at].sort(key=key, reverse=reverse)
            yield
        runs = runs[::2]
    return runs[0] if runs else []
