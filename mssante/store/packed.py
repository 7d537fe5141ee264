"""Passing many numbers to and from the database in few values: sets as runs, columns as arrays.

Reading 100,000 rows takes a driver 110 ms; the same numbers in three aggregates take 50 ms. 100,000 UIDs as
bound parameters are more than a statement may have; as a list or a stretch they are one or two parameters.
This file holds the only SQL that is written twice, for SQLite and for PostgreSQL, as two constructs that
statements use like any other of SQLAlchemy's.
"""

from __future__ import annotations

import json
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from sqlalchemy import BigInteger, Boolean, ColumnElement, Select, Subquery, Text, bindparam, select
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.sql.operators import OperatorType

_LOW, _HIGH = bindparam("lo", type_=BigInteger), bindparam("hi", type_=BigInteger)
_NUMBERS = bindparam("numbers", type_=Text)


class _ListedIn(FunctionElement[bool]):
    """The condition that a column is one of the numbers in one parameter, a JSON list. Both databases then
    build the set once and look it up by hash or tree, whatever their planner estimates. (A join with 10,000
    stretches took PostgreSQL a minute.)"""

    name = "listed_in"
    type = Boolean()
    inherit_cache = True

    def self_group(self, against: OperatorType | None = None) -> _ListedIn:
        return self  # it is a condition as it is; otherwise SQLAlchemy compares it with 1 on SQLite


@compiles(_ListedIn, "sqlite")
def _(element: _ListedIn, compiler: SQLCompiler, **kw: Any) -> str:
    column, numbers = (compiler.process(clause, **kw) for clause in element.clauses)
    return f"{column} IN (SELECT value FROM json_each({numbers}))"


@compiles(_ListedIn, "postgresql")
def _(element: _ListedIn, compiler: SQLCompiler, **kw: Any) -> str:
    column, numbers = (compiler.process(clause, **kw) for clause in element.clauses)
    listed = f"SELECT CAST(value AS bigint) FROM json_array_elements_text(CAST({numbers} AS json))"
    return f"{column} IN ({listed})"


class _Whole(FunctionElement[Any]):
    """Every number of a column as one value, in the order of a second column."""

    name = "whole"
    inherit_cache = True


@compiles(_Whole, "sqlite")
def _(element: _Whole, compiler: SQLCompiler, **kw: Any) -> str:
    column, _ = (compiler.process(clause, **kw) for clause in element.clauses)
    return f"json_group_array({column})"  # in the order in which the rows come


@compiles(_Whole, "postgresql")
def _(element: _Whole, compiler: SQLCompiler, **kw: Any) -> str:
    column, order = (compiler.process(clause, **kw) for clause in element.clauses)
    return f"array_agg({column} ORDER BY {order})"


class Form(Enum):
    """How a statement asks for a set of numbers. It is built once for each form (`functools.cache`)."""

    STRETCH = auto()  # everything between two numbers
    LIST = auto()

    def includes(self, column: ColumnElement[int]) -> ColumnElement[bool]:
        """The condition that `column` is in a set of this form; its parameters are `Runs.parameters`."""
        if self is Form.STRETCH:
            return column.between(_LOW, _HIGH)
        return _ListedIn(column, _NUMBERS)


@dataclass(frozen=True, slots=True)
class Runs:
    """A set of numbers as stretches (low, high), both included, in ascending order and with gaps between."""

    stretches: tuple[tuple[int, int], ...]

    @classmethod
    def of(cls, numbers: Sequence[int]) -> Runs:
        """The set of `numbers`, which may be in any order and repeat. A range is not walked through."""
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
    def count(self) -> int:
        """How many numbers are in the set."""
        return sum(high - low + 1 for low, high in self.stretches)

    @property
    def form(self) -> Form:
        """The form of statement that asks for this set."""
        return Form.STRETCH if len(self.stretches) == 1 else Form.LIST

    @property
    def parameters(self) -> dict[str, Any]:
        """What a statement of this form is run with."""
        if len(self.stretches) == 1:
            return {"lo": self.stretches[0][0], "hi": self.stretches[0][1]}
        numbers = [number for low, high in self.stretches for number in range(low, high + 1)]
        return {"numbers": json.dumps(numbers, separators=(",", ":"))}

    def __str__(self) -> str:
        """As a sequence set of RFC 3501: 1:5,9."""
        return ",".join(str(low) if low == high else f"{low}:{high}" for low, high in self.stretches)


def columns(rows: Select[*tuple[Any, ...]], *, order: str) -> Select[*tuple[Any, ...]]:
    """A statement that returns one row: each column of `rows` as one value, sorted by the column `order`."""
    # SQLite's aggregate takes rows as they come, so the subquery puts them in order.
    ordered: Subquery = rows.order_by(rows.selected_columns[order]).subquery("rows_in_order")
    return select(*(_Whole(column, ordered.c[order]) for column in ordered.c))


def unpacked(row: Iterable[Any]) -> tuple[array[int], ...]:
    """The values of one row selected by `columns`, as arrays."""
    return tuple(array("Q", _numbers(value)) for value in row)


def _numbers(value: Any) -> list[int]:
    if value is None:  # what PostgreSQL's aggregate returns when there is no row
        return []
    numbers: list[int] = json.loads(value) if isinstance(value, str) else value  # SQLite gives JSON
    return numbers
