"""How statements are run where it must be quick, and the one INSERT for which SQLAlchemy has no common word.

Every statement of the stores is written in SQLAlchemy Core over the tables, values as bound parameters only
(K15): docs/decisions/0013-sql-in-one-way.md. Those of the delivery path are compiled once for each dialect
(`Bulk`, `Among`), then handed to the driver: a message takes some fifteen, and SQLAlchemy's own handling of
their parameters cost more than SQLite's work on them (0.4 against 0.15 ms a message). SQLite's cursor is
used as it is: its errors hold no value, and `database.faults` knows them.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

from sqlalchemy import Connection, Insert, Select, Table, Update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql.compiler import SQLCompiler


class Bulk:
    """A statement run for many rows at once. `names` are its parameters, in the order of a row's values."""

    def __init__(self, statement: Insert | Update, *names: str) -> None:
        self._statement = statement
        self._names = names
        self._compiled: dict[str, tuple[str, tuple[int, ...]]] = {}

    def run(self, connection: Connection, rows: Sequence[tuple[Any, ...]]) -> None:
        """Each row's values in the order of `names`; nothing for no rows."""
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
    """A SELECT of some of many: `many` names its one expanding parameter."""

    def __init__(self, statement: Select[*tuple[Any, ...]], many: str) -> None:
        self._statement = statement
        self._many = many
        self._compiled: dict[tuple[str, int], tuple[str, tuple[str, ...]]] = {}

    def run(self, connection: Connection, values: Sequence[Any], **fixed: Any) -> Sequence[Sequence[Any]]:
        """The rows found. `values` must not be empty."""
        size = 1 << (len(values) - 1).bit_length()  # few different texts: the last value fills up
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
    """Adds a row of `table`, or does nothing if there is one with its key."""
    return _insert_unless_there(connection.dialect.name, table)


@cache
def _insert_unless_there(dialect: str, table: Table) -> Insert:
    if dialect == "sqlite":
        return sqlite.insert(table).on_conflict_do_nothing()
    return postgresql.insert(table).on_conflict_do_nothing()
