"""Migrations (Alembic), run when a database is opened: all in one transaction, so that all apply or none.

Invariants: a schema written by a newer program is refused and never touched; when several hosts open one
PostgreSQL database at the same time, they migrate one after the other.
"""

from __future__ import annotations

import asyncio
import weakref
import zlib
from importlib import import_module

from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.script.revision import ResolutionError
from alembic.util.exc import CommandError
from sqlalchemy import Connection, text

from mssante.database.faults import SchemaTooNew

_locks: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock] = weakref.WeakKeyDictionary()


def one_at_a_time() -> asyncio.Lock:
    """A lock so that two databases are never migrated at once: Alembic's `op` is global to the process."""
    return _locks.setdefault(asyncio.get_running_loop(), asyncio.Lock())


def migrate(connection: Connection, *, package: str, purpose: str) -> None:
    """Brings the schema to the head of `package`'s `versions/`, inside the caller's transaction.
    The version is kept in the table `<purpose>_version`. Raises SchemaTooNew."""
    script = ScriptDirectory(import_module(package).__path__[0])
    table = f"{purpose}_version"
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:n)"), {"n": zlib.crc32(table.encode())})
    current = MigrationContext.configure(connection, opts={"version_table": table}).get_current_heads()
    for revision in current:
        if not _known(script, revision):
            raise SchemaTooNew(
                f"the {purpose} database is at {revision}, unknown to this program: upgrade it"
            )
    if set(current) == set(script.get_heads()):
        return

    def steps(revision: object, _context: object) -> object:
        return script._upgrade_revs("heads", revision)  # type: ignore[arg-type]  # as alembic.command.upgrade does

    with EnvironmentContext(Config(), script, fn=steps, destination_rev="heads") as environment:
        environment.configure(connection=connection, version_table=table)
        environment.run_migrations()


def _known(script: ScriptDirectory, revision: str) -> bool:
    try:
        return script.get_revision(revision) is not None
    except (CommandError, ResolutionError):
        return False
