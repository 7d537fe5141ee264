"""The errors of a database, translated from those of the drivers into ours.

Invariants: no error that leaves this package holds a parameter or the content of a row (the text of a
driver's error does: PostgreSQL quotes the conflicting key); trouble of the storage becomes Passing and is
never a refusal.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

from sqlalchemy import exc

from mssante.reasons import Passing, Reason


class CannotOpen(Exception):
    """A database or a key file cannot be used safely, so the server does not start (exit 78)."""


class UnsafeFile(CannotOpen):
    """A file is a symbolic link, belongs to another user, or is readable by others (K14)."""


class AlreadyOpen(CannotOpen):
    """Another process has this SQLite database open, and only one process may."""


class SchemaTooNew(CannotOpen):
    """The schema was written by a newer version of this program."""


class UnsafeServer(CannotOpen):
    """The PostgreSQL server is set up to acknowledge a commit before it is safe on disk."""


class Conflict(Exception):
    """A statement broke a unique, foreign key, not-null or check constraint. `constraint` is its name on
    PostgreSQL and its columns on SQLite, never a value."""

    def __init__(self, constraint: str) -> None:
        super().__init__(constraint)
        self.constraint = constraint


class StatementFailed(Exception):
    """One of our statements is wrong, which is a bug. `args` are class names and codes only."""


# https://www.sqlite.org/rescode.html: the primary codes for trouble of the storage, not of a statement.
_SQLITE_STORAGE = {
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_INTERRUPT,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_PROTOCOL,
    sqlite3.SQLITE_NOTADB,
}
_SQLITE_SYNC = {sqlite3.SQLITE_IOERR_FSYNC, sqlite3.SQLITE_IOERR_DIR_FSYNC}
# PostgreSQL, appendix A. The classes are, in this order: connection, transaction rollback, resources, object
# not in the needed state, operator intervention, system error, corruption. 25006: the server is read-only.
_POSTGRESQL_STORAGE = ("08", "40", "53", "55", "57", "58", "XX", "25006")


def translated(error: Exception) -> Exception:
    """The error that callers see instead of a driver's: a new object that does not link to its cause, since
    the cause may quote content. An error that does not come from the database is returned unchanged."""
    if isinstance(error, exc.TimeoutError) or (
        isinstance(error, OSError) and not isinstance(error, sqlite3.Error)
    ):
        return Passing(Reason.STORAGE_UNAVAILABLE, type(error).__name__)
    if isinstance(error, exc.DBAPIError):
        return _sqlite(error.orig) if isinstance(error.orig, sqlite3.Error) else _postgresql(error)
    if isinstance(error, sqlite3.Error):
        return _sqlite(error)
    if isinstance(error, exc.StatementError):
        return StatementFailed(type(error).__name__, type(error.orig).__name__)
    return error


def sync_failed(error: BaseException) -> bool:
    """Whether the kernel failed to sync. The writer must then stop: data the kernel had accepted may be lost,
    and a second sync would wrongly succeed, because the kernel has marked the pages as clean."""
    return any(
        isinstance(link, sqlite3.Error) and getattr(link, "sqlite_errorcode", None) in _SQLITE_SYNC
        for link in _chain(error)
    )


def undone_for_another(error: BaseException) -> bool:
    """Whether PostgreSQL rolled the transaction back in favour of another one (class 40: a deadlock between
    hosts, a conflict of snapshots), so that it may succeed when it is run again."""
    return any(str(getattr(link, "sqlstate", None) or "").startswith("40") for link in _chain(error))


def _sqlite(error: sqlite3.Error) -> Exception:
    code = getattr(error, "sqlite_errorcode", None)
    name = getattr(error, "sqlite_errorname", type(error).__name__)
    primary = code & 0xFF if code is not None else None
    if primary == sqlite3.SQLITE_FULL:
        return Passing(Reason.STORAGE_FULL, name)
    if primary in _SQLITE_STORAGE:
        return Passing(Reason.STORAGE_UNAVAILABLE, name)
    if primary == sqlite3.SQLITE_CONSTRAINT:
        # "UNIQUE constraint failed: message.dedup": SQLite names columns, never values.
        return Conflict(str(error).rpartition(": ")[2])
    return StatementFailed(type(error).__name__, name)


def _postgresql(error: exc.DBAPIError) -> Exception:
    links = list(_chain(error))
    state = next((str(s) for s in (getattr(link, "sqlstate", None) for link in links) if s), "")
    if state == "53100":
        return Passing(Reason.STORAGE_FULL, state)
    if state.startswith(_POSTGRESQL_STORAGE):
        return Passing(Reason.STORAGE_UNAVAILABLE, state)
    if state.startswith("23"):
        names = (
            getattr(link, "constraint_name", None) or getattr(link, "column_name", None) for link in links
        )
        return Conflict(next((str(name) for name in names if name), state))
    if error.connection_invalidated or not state:
        return Passing(Reason.STORAGE_UNAVAILABLE, type(error.orig).__name__)
    return StatementFailed(type(error).__name__, state)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        original = getattr(error, "orig", None)
        error = original if isinstance(original, BaseException) else error.__cause__ or error.__context__
