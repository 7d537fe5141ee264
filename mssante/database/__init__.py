"""The layer under the stores: one writer with group commit, several readers, on SQLite or PostgreSQL.

What stands above writes synchronous functions over `sqlalchemy.Connection`; the same code serves both.
"""

from mssante.database.database import Database
from mssante.database.faults import (
    AlreadyOpen,
    CannotOpen,
    Conflict,
    SchemaTooNew,
    StatementFailed,
    UnsafeFile,
    UnsafeServer,
)
from mssante.database.writer import Announcement

__all__ = [
    "AlreadyOpen",
    "Announcement",
    "CannotOpen",
    "Conflict",
    "Database",
    "SchemaTooNew",
    "StatementFailed",
    "UnsafeFile",
    "UnsafeServer",
]
