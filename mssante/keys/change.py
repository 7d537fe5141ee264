"""A change to the key store: rows are written with their proof, and the register goes on with them.

Invariants: every row of people and of grants is written here and nowhere else; the register is locked before
any row is read, so that two hosts change one after the other; rows and register are of one transaction.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Table, bindparam, delete, insert, select, update

from mssante.crypto.keys import NotAuthentic
from mssante.keys import tables
from mssante.keys.proof import Register, RowProof

_r = tables.register.c
READ_REGISTER = select(_r.counter, _r.sealed)
_LOCK_REGISTER = READ_REGISTER.with_for_update()  # SQLite has one writer, and knows no such words
_NEW_REGISTER = insert(tables.register)
_MOVE_REGISTER = update(tables.register).values(
    counter=bindparam("new_counter"), sealed=bindparam("new_sealed")
)
_TABLES = {"person": tables.person, "access": tables.access}
_KEYS = {"person": tables.person.c.person, "access": tables.access.c.id}
READ_PROVED = {name: select(table) for name, table in _TABLES.items()}
_INSERT = {name: insert(table) for name, table in _TABLES.items()}
_DELETE = {name: delete(table).where(_KEYS[name] == bindparam("the_key")) for name, table in _TABLES.items()}


def _rewritten(name: str, table: Table) -> Any:
    values: dict[str, Any] = {column.name: bindparam(f"new_{column.name}") for column in table.c}
    return update(table).where(_KEYS[name] == bindparam("the_key")).values(values)


_UPDATE = {name: _rewritten(name, table) for name, table in _TABLES.items()}


class ProvedChange:
    """Made by `changing`. `version` is what the register's counter becomes if anything is changed; `counter`
    is what it has become."""

    def __init__(self, connection: Connection, proof: RowProof, register: Register) -> None:
        self.connection = connection
        self.proof = proof
        self.version = register.counter + 1
        self._total = register.total
        self._settled = register.settled
        self._touched = False

    @property
    def counter(self) -> int:
        return self.version if self._touched else self.version - 1

    def insert(self, table: str, values: Mapping[str, Any]) -> None:
        """Adds a row. Raises Conflict."""
        row = self._proved(table, values)
        self.connection.execute(_INSERT[table], row)
        self._total += self.proof.share(row["mac"])

    def update(self, table: str, row: Mapping[Any, Any], **new: Any) -> None:
        """Changes a row that holds."""
        changed = self._proved(table, {**row, **new})
        self.connection.execute(
            _UPDATE[table],
            {"the_key": row[_KEYS[table].name], **{f"new_{name}": value for name, value in changed.items()}},
        )
        self._total += self.proof.share(changed["mac"]) - self.proof.share(bytes(row["mac"]))

    def drop(self, table: str, row: Mapping[Any, Any]) -> None:
        """Deletes a row that was not ours, and so is not in the sum."""
        self.connection.execute(_DELETE[table], {"the_key": row[_KEYS[table].name]})
        self._touched = True

    def touch(self) -> None:
        """Says that something of the key store changed that has no proof of its own: a mailbox, an epoch."""
        self._touched = True

    def settle(self) -> None:
        """Says that mailboxes of older versions are signed, and that the mail database has its mark."""
        self._settled = self._touched = True

    def finish(self) -> None:
        if self._touched:
            register = Register(self.version, self._total, self._settled)
            _write(self.connection, self.proof, register)

    def _proved(self, table: str, values: Mapping[str, Any]) -> dict[str, Any]:
        self._touched = True
        row = {column.name: values.get(column.name) for column in _TABLES[table].c}
        row["version"] = self.version
        row["mac"] = self.proof.mac(table, row)
        return row


@contextmanager
def changing(connection: Connection, proof: RowProof) -> Iterator[ProvedChange]:
    """A change inside the caller's transaction. Raises NotAuthentic if the register is not ours."""
    change = ProvedChange(connection, proof, read_register(connection, proof, lock=True))
    yield change
    change.finish()


def read_register(connection: Connection, proof: RowProof, *, lock: bool = False) -> Register:
    """Raises NotAuthentic if there is none, or it is not ours."""
    row = connection.execute(_LOCK_REGISTER if lock else READ_REGISTER).first()
    if row is None:
        raise NotAuthentic
    return proof.opened(row.counter, row.sealed)


def write_anew(connection: Connection, proof: RowProof, register: Register) -> None:
    """Begins the register, or begins it again."""
    if connection.execute(READ_REGISTER).first() is None:
        sealed = proof.closed(register)
        connection.execute(_NEW_REGISTER, {"id": 1, "counter": register.counter, "sealed": sealed})
    else:
        _write(connection, proof, register)


def prove_all(connection: Connection, proof: RowProof, version: int) -> int:
    """Gives every row a proof, whatever it says, and returns their sum."""
    total = 0
    for table, statement in READ_PROVED.items():
        for found in connection.execute(statement).mappings().all():
            row = {**found, "version": version}
            row["mac"] = proof.mac(table, row)
            connection.execute(
                _UPDATE[table],
                {"the_key": row[_KEYS[table].name], **{f"new_{name}": value for name, value in row.items()}},
            )
            total += proof.share(row["mac"])
    return total


def _write(connection: Connection, proof: RowProof, register: Register) -> None:
    closed = {"new_counter": register.counter, "new_sealed": proof.closed(register)}
    connection.execute(_MOVE_REGISTER, closed)
