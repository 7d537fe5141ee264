"""Signatures on mailboxes' public keys, and the mark of how far the key store has come."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"

_NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    op.add_column("mailbox_key", sa.Column("signature", sa.LargeBinary))
    op.create_table(
        "key_floor",
        sa.Column("id", _NUMBER, autoincrement=False, nullable=False),
        sa.Column("counter", _NUMBER, nullable=False),
        sa.Column("mac", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("id", name="key_floor_pk"),
    )
