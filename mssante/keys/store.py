"""Opening the key store: its root key is proved, its service keys are there.

Invariants: a wrong root key is found at start, not at the first letter that does not open.
"""

from __future__ import annotations

import struct
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy import Connection

from mssante.crypto.keys import LABEL_PREFIX, NotAuthentic, random_key
from mssante.database import CannotOpen
from mssante.keys.root_key import RootKey
from mssante.keys.tables import milliseconds, root_key, service_key

MIGRATIONS = "mssante.keys.migrations"
PURPOSE = "keys"
_PROBE = b"mssop/v1/probe"


class WrongRootKey(CannotOpen):
    """The key store was closed with another root key."""


def prove_root_key(connection: Connection, root: RootKey, *, now: datetime) -> None:
    """Raises WrongRootKey. The first root key of an empty store is taken as its own."""
    rows = connection.execute(sa.select(root_key)).all()
    if not rows:
        connection.execute(
            sa.insert(root_key).values(
                rk_id=root.id, probe=root.wrap(_PROBE, _aad(b"probe", root.id)), created=milliseconds(now)
            )
        )
        return
    known = {row.rk_id: bytes(row.probe) for row in rows}
    if root.id not in known:
        raise WrongRootKey(f"the key store does not know root key {root.id}")
    try:
        root.unwrap(known[root.id], _aad(b"probe", root.id))
    except NotAuthentic:
        raise WrongRootKey(f"this is not the root key {root.id} the key store was closed with") from None


def service_key_named(connection: Connection, root: RootKey, name: str) -> bytes:
    """A key of the operator's own, drawn at first use. Raises WrongRootKey."""
    label = b"service" + name.encode()
    row = connection.execute(sa.select(service_key).where(service_key.c.name == name)).first()
    if row is None:
        key = random_key()
        wrapped = root.wrap(key, _aad(label, root.id))
        connection.execute(sa.insert(service_key).values(name=name, rk_id=root.id, wrapped=wrapped))
        return key
    try:
        return root.unwrap(bytes(row.wrapped), _aad(label, row.rk_id))
    except NotAuthentic:
        raise WrongRootKey(f"the service key {name} does not open with root key {root.id}") from None


def _aad(label: bytes, rk_id: int) -> bytes:
    return LABEL_PREFIX + label + struct.pack(">I", rk_id)
