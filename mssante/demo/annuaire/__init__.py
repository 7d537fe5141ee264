"""The development directory: its schema, its data, and a real slapd to serve them. A project format.

Invariants: nothing here is read by a server in service unless its configuration names it; the code
that reads a directory is `mssante.annuaire`. The format is described in `annuaire/README.md`.
"""

from __future__ import annotations

from pathlib import Path

BASE_DN = "dc=annuaire,dc=test"

_HERE = Path(__file__).resolve().parent


def dev_ldif_path() -> Path:
    """Where `dev.ldif` is, in a checkout or an installed package."""
    return _HERE / "dev.ldif"


def schema_path() -> Path:
    """Where the schema is (an OpenLDAP cn=config entry)."""
    return _HERE / "schema" / "mssante.ldif"
