"""Opening the key store: proving that we have its root key, and reading or making its service keys.

Invariants: a wrong root key is noticed at start, and not only when the first letter does not open.
"""

from __future__ import annotations

import struct
from datetime import datetime

from sqlalchemy import Connection, bindparam, insert, select, update

from mssante.crypto.keys import LABEL_PREFIX, NotAuthentic, octets_of, random_key
from mssante.database import CannotOpen
from mssante.keys import tables
from mssante.keys.labels import ServiceKey
from mssante.keys.root_key import RootKey
from mssante.keys.tables import milliseconds

MIGRATIONS = "mssante.keys.migrations"
PURPOSE = "keys"
_PROBE = b"mssop/v1/probe"

_ROOT_KEYS = select(tables.root_key)
_NEW_ROOT_KEY = insert(tables.root_key)
_SERVICE_KEY = select(tables.service_key).where(tables.service_key.c.name == bindparam("name"))
_SERVICE_KEYS = select(tables.service_key.c.name, tables.service_key.c.public)
_NEW_SERVICE_KEY = insert(tables.service_key)
_PUBLISH = (
    update(tables.service_key)
    .where(tables.service_key.c.name == bindparam("the_name"))
    .values(public=bindparam("new_public"))
)


class WrongRootKey(CannotOpen):
    """The secrets in the key store were wrapped with another root key."""


def prove_root_key(connection: Connection, root: RootKey, *, now: datetime) -> None:
    """Raises WrongRootKey unless `root` is the store's root key. An empty store takes the first one it is
    given."""
    rows = connection.execute(_ROOT_KEYS).all()
    if not rows:
        probe = root.wrap(_PROBE, _aad(b"probe", root.id))
        row = {"rk_id": root.id, "probe": probe, "created": milliseconds(now)}
        connection.execute(_NEW_ROOT_KEY, row)
        return
    known = {row.rk_id: octets_of(row.probe) for row in rows}
    if root.id not in known:
        raise WrongRootKey(f"the key store does not know root key {root.id}")
    try:
        root.unwrap(known[root.id], _aad(b"probe", root.id))
    except NotAuthentic:
        raise WrongRootKey(f"this is not the root key {root.id} the key store was closed with") from None


def service_keys(connection: Connection) -> dict[str, bytes]:
    """The names of the service keys that were drawn, with the halves that are no secret."""
    rows = connection.execute(_SERVICE_KEYS)
    return {row.name: octets_of(row.public) for row in rows}


def publish(connection: Connection, name: ServiceKey, public: bytes) -> None:
    """Puts the half that is no secret beside a service key."""
    connection.execute(_PUBLISH, {"the_name": name, "new_public": public})


def service_key_named(connection: Connection, root: RootKey, name: ServiceKey) -> bytes:
    """A key that the operator's own services use, drawn at its first use. Raises WrongRootKey."""
    label = b"service" + name.encode()
    row = connection.execute(_SERVICE_KEY, {"name": name}).first()
    if row is None:
        key = random_key()
        wrapped = root.wrap(key, _aad(label, root.id))
        connection.execute(_NEW_SERVICE_KEY, {"name": name, "rk_id": root.id, "wrapped": wrapped})
        return key
    try:
        return root.unwrap(octets_of(row.wrapped), _aad(label, row.rk_id))
    except NotAuthentic:
        raise WrongRootKey(f"the service key {name} does not open with root key {root.id}") from None


def _aad(label: bytes, rk_id: int) -> bytes:
    return LABEL_PREFIX + label + struct.pack(">I", rk_id)
