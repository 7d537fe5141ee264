"""The key store's tables (project format). Times are milliseconds since 1970, UTC.

Invariants: without the root key nothing here opens anything; a grant that ended keeps its row, with the time
it ended; a destroyed epoch keeps its row and loses its secrets; rows of `person` and `access` bear a proof
(keys.proof) without which they open nothing. A test compares these tables with the
migrations.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import sqlalchemy as sa

metadata = sa.MetaData()

root_key = sa.Table(
    "root_key",
    metadata,
    sa.Column("rk_id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("probe", sa.LargeBinary, nullable=False),  # a known text, wrapped: shows if a key is right
    sa.Column("created", sa.BigInteger, nullable=False),
)

service_key = sa.Table(
    "service_key",
    metadata,
    sa.Column("name", sa.String(64), primary_key=True),
    sa.Column("rk_id", sa.Integer, sa.ForeignKey("root_key.rk_id"), nullable=False),
    sa.Column("wrapped", sa.LargeBinary, nullable=False),
    sa.Column("public", sa.LargeBinary),  # the half that is no secret, if the key is one of a pair
)

# One row: how far the key store has come (keys.proof).
register = sa.Table(
    "register",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("counter", sa.BigInteger, nullable=False),
    sa.Column("sealed", sa.LargeBinary, nullable=False),
)

mailbox = sa.Table(
    "mailbox",
    metadata,
    sa.Column("mailbox_id", sa.LargeBinary(16), primary_key=True),
    sa.Column("queue", sa.Boolean, nullable=False),  # the operator's own outbox: no person opens it
    sa.Column("created", sa.BigInteger, nullable=False),
)

epoch = sa.Table(
    "epoch",
    metadata,
    sa.Column("mailbox_id", sa.LargeBinary(16), sa.ForeignKey("mailbox.mailbox_id"), primary_key=True),
    sa.Column("epoch", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("rk_id", sa.Integer, sa.ForeignKey("root_key.rk_id"), nullable=False),
    sa.Column("wrapped_mek", sa.LargeBinary),
    sa.Column("suite", sa.Integer, nullable=False),
    sa.Column("public", sa.LargeBinary, nullable=False),
    sa.Column("wrapped_kem_secret", sa.LargeBinary),
    sa.Column("created", sa.BigInteger, nullable=False),
    sa.Column("destroyed", sa.BigInteger),
    sa.Column("reason", sa.String(200)),
)

person = sa.Table(
    "person",
    metadata,
    sa.Column("person", sa.String(320), primary_key=True),
    sa.Column("password_hash", sa.String(255), nullable=False),
    sa.Column("status", sa.String(16), nullable=False),
    sa.Column("created", sa.BigInteger, nullable=False),
    sa.Column("password_changed", sa.BigInteger, nullable=False),
    sa.Column("version", sa.BigInteger),  # the register's counter when the row was written
    sa.Column("mac", sa.LargeBinary),
)

access = sa.Table(
    "access",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("person", sa.String(320), sa.ForeignKey("person.person"), nullable=False),
    sa.Column("mailbox_id", sa.LargeBinary(16), sa.ForeignKey("mailbox.mailbox_id"), nullable=False),
    sa.Column("role", sa.String(16), nullable=False),
    sa.Column("since", sa.BigInteger, nullable=False),
    sa.Column("until", sa.BigInteger),
    sa.Column("revoked", sa.BigInteger),
    sa.Column("version", sa.BigInteger),
    sa.Column("mac", sa.LargeBinary),
    sa.Index(
        "one_grant",
        "person",
        "mailbox_id",
        unique=True,
        sqlite_where=sa.text("revoked IS NULL"),
        postgresql_where=sa.text("revoked IS NULL"),
    ),
    sa.Index("access_mailbox", "mailbox_id"),
)

known_pair = sa.Table(
    "known_pair",
    metadata,
    sa.Column("person_mark", sa.LargeBinary(16), primary_key=True),  # a keyed hash of the login
    sa.Column(
        "place_mark", sa.LargeBinary(16), primary_key=True
    ),  # a keyed hash of the login and the address
    sa.Column("day", sa.Integer, nullable=False),  # of the last right password, counted from 1970
    sa.Column("proof", sa.LargeBinary(32), nullable=False),  # a MAC of the three: the day cannot be moved
    sa.Index("known_pair_day", "day"),
)

_EPOCH_START = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


def milliseconds(at: datetime) -> int:
    return (at - _EPOCH_START) // _MILLISECOND


def day_number(at: datetime) -> int:
    return (at - _EPOCH_START).days


def moment(at: int) -> datetime:
    return _EPOCH_START + at * _MILLISECOND
