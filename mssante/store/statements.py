"""Running statements where it must be quick, and the one INSERT that SQLAlchemy writes per dialect.

Every statement of the stores is written in SQLAlchemy Core over the tables, with values only as bound
parameters (K15): docs/decisions/0013-sql-in-one-way.md. The statements of the delivery path are compiled once
for each dialect (`Bulk`, `Among`) and then handed to the driver. A message takes some fifteen of them, and
SQLAlchemy's own handling of their parameters took longer than SQLite's work on them (0.4 against 0.15 ms a
message). On SQLite the driver's cursor is used directly: its errors hold no value, and `database.faults`
translates them.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

from sqlalchemy import Connection, Insert, Select, Table, Update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql.compiler import SQLCompiler


class Bulk:
    """A statement that is run for many rows at once. `names` are its parameters, in the order of a row's
    values."""

    def __init__(self, statement: Insert | Update, *names: str) -> None:
        self._statement = statement
        self._names = names
        self._compiled: dict[str, tuple[str, tuple[int, ...]]] = {}

    def run(self, connection: Connection, rows: Sequence[tuple[Any, ...]]) -> None:
        """Runs the statement for each row, whose values are in the order of `names`. Does nothing without
        rows."""
        if not rows:
            return
        sql, order = self._compiled.get(connection.dialect.name) or self._compile(connection)
        if order != tuple(range(len(order))):
            rows = [tuple(row[i] for i in order) for row in rows]
        if connection.dialect.name == "sqlite":
            connection.connection.cursor().executemany(sql, rows)
        else:
            connection.exec_driver_sql(sql, list(rows))

    def _compile(self, connection: Connection) -> tuple[str, tuple[int, ...]]:
        compiled = self._statement.compile(dialect=connection.dialect, column_keys=list(self._names))
        assert isinstance(compiled, SQLCompiler)
        assert compiled.positiontup is not None
        order = tuple(self._names.index(name) for name in compiled.positiontup)
        self._compiled[connection.dialect.name] = str(compiled), order
        return self._compiled[connection.dialect.name]


class Among:
    """A SELECT with a list of values: `many` is the name of its one expanding parameter."""

    def __init__(self, statement: Select[*tuple[Any, ...]], many: str) -> None:
        self._statement = statement
        self._many = many
        self._compiled: dict[tuple[str, int], tuple[str, tuple[str, ...]]] = {}

    def run(self, connection: Connection, values: Sequence[Any], **fixed: Any) -> Sequence[Sequence[Any]]:
        """The rows found. `values` must not be empty."""
        size = 1 << (len(values) - 1).bit_length()  # repeats the last value: few texts to compile
        padded = [*values, *(values[-1],) * (size - len(values))]
        known = self._compiled.get((connection.dialect.name, size))
        sql, order = known or self._compile(connection, padded, fixed)
        asked = {f"{self._many}_{i}": value for i, value in enumerate(padded, 1)} | fixed
        bound = tuple(asked[name] for name in order)
        if connection.dialect.name == "sqlite":
            cursor = connection.connection.cursor()
            cursor.execute(sql, bound)
            return cursor.fetchall()
        return connection.exec_driver_sql(sql, bound).fetchall()

    def _compile(
        self, connection: Connection, padded: list[Any], fixed: dict[str, Any]
    ) -> tuple[str, tuple[str, ...]]:
        compiled = self._statement.params({self._many: padded, **fixed}).compile(
            dialect=connection.dialect, compile_kwargs={"render_postcompile": True}
        )
        assert isinstance(compiled, SQLCompiler)
        assert compiled.positiontup is not None
        key = connection.dialect.name, len(padded)
        self._compiled[key] = str(compiled), tuple(compiled.positiontup)
        return self._compiled[key]


def insert_unless_there(connection: Connection, table: Table) -> Insert:
    """An INSERT into `table` that does nothing if there is a row with the same key."""
    return _insert_unless_there(connection.dialect.name, table)


@cache
def _insert_unless_there(dialect: str, table: Table) -> Insert:
    if dialect == "sqlite":
        return sqlite.insert(table).on_conflict_do_nothing()
    return postgresql.insert(table).on_conflict_do_nothing()
