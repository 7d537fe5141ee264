"""Proofs of rows, and the register of all of them. The broker fills them in at its first start: it has the
root key."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.add_column("service_key", sa.Column("public", sa.LargeBinary))
    for table in ("person", "access"):
        op.add_column(table, sa.Column("version", sa.BigInteger))
        op.add_column(table, sa.Column("mac", sa.LargeBinary))
    op.create_table(
        "register",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("counter", sa.BigInteger, nullable=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
    )
