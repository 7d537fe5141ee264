"""Many numbers in few objects: sets of numbers as runs, columns of numbers as arrays.

Why: 100,000 rows cost a driver 110 ms, the same numbers in three aggregates 50 ms; 100,000 UIDs as
bound parameters exceed what a statement may have, as runs they are one. The only SQL that differs
between SQLite and PostgreSQL lies here.
"""

from __future__ import annotations

import json
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

# The numbers of one parameter, a JSON list: in both, the set is made once and looked up by hash or tree,
# whatever the planner thinks of it (a join with stretches took PostgreSQL a minute for 10,000 of them).
_NUMBERS_OF = {
    "sqlite": "SELECT value FROM json_each(:numbers)",
    "postgresql": "SELECT CAST(value AS bigint) FROM json_array_elements_text(CAST(:numbers AS json))",
}
_COLUMN = {"sqlite": "json_group_array({0})", "postgresql": "array_agg({0} ORDER BY {1})"}


@dataclass(frozen=True, slots=True)
class Runs:
    """A set of numbers as stretches (low, high), both included, ascending and apart."""

    stretches: tuple[tuple[int, int], ...]

    @classmethod
    def of(cls, numbers: Sequence[int]) -> Runs:
        """Any order, repetitions allowed. A range costs nothing, however long."""
        if isinstance(numbers, range) and numbers.step == 1:
            return cls(((numbers.start, numbers.stop - 1),) if numbers else ())
        stretches: list[tuple[int, int]] = []
        low = high = None
        for number in sorted(numbers):
            if low is None or high is None:
                low = high = number
            elif number <= high + 1:
                high = number
            else:
                stretches.append((low, high))
                low = high = number
        if low is not None and high is not None:
            stretches.append((low, high))
        return cls(tuple(stretches))

    def __bool__(self) -> bool:
        return bool(self.stretches)

    @property
    def parameters(self) -> dict[str, Any]:
        """What a statement with the condition below is run with."""
        if len(self.stretches) == 1:
            return {"lo": self.stretches[0][0], "hi": self.stretches[0][1]}
        numbers = [number for low, high in self.stretches for number in range(low, high + 1)]
        return {"numbers": json.dumps(numbers, separators=(",", ":"))}

    def include(self, connection: Connection, column: str) -> str:
        """The condition that `column` is in this set."""
        if len(self.stretches) == 1:
            return f"{column} BETWEEN :lo AND :hi"
        return f"{column} IN ({_NUMBERS_OF[connection.dialect.name]})"

    def __str__(self) -> str:
        """As a sequence set of RFC 3501: 1:5,9."""
        return ",".join(str(low) if low == high else f"{low}:{high}" for low, high in self.stretches)


def columns(connection: Connection, names: Sequence[str], *, order: str) -> str:
    """What to SELECT to have each of `names` whole, as one value, in the order of `order` (ascending).
    On SQLite the rows must already come in that order: aggregate over an ordered subquery."""
    return ", ".join(_COLUMN[connection.dialect.name].format(name, order) for name in names)


def unpacked(row: Iterable[Any]) -> tuple[array[int], ...]:
    """The values of one row selected by `columns`, as arrays."""
    return tuple(array("Q", _numbers(value)) for value in row)


def _numbers(value: Any) -> list[int]:
    if value is None:  # PostgreSQL's aggregate of no row
        return []
    numbers: list[int] = json.loads(value) if isinstance(value, str) else value  # SQLite gives JSON
    return numbers
