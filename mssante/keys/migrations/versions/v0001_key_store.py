"""The key store's first tables."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "root_key",
        sa.Column("rk_id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("probe", sa.LargeBinary, nullable=False),
        sa.Column("created", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "service_key",
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("rk_id", sa.Integer, sa.ForeignKey("root_key.rk_id"), nullable=False),
        sa.Column("wrapped", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "mailbox",
        sa.Column("mailbox_id", sa.LargeBinary(16), primary_key=True),
        sa.Column("queue", sa.Boolean, nullable=False),
        sa.Column("created", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "epoch",
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
    op.create_table(
        "person",
        sa.Column("person", sa.String(320), primary_key=True),
        sa.Column("password_hash", sa.String(255), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("created", sa.BigInteger, nullable=False),
        sa.Column("password_changed", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "access",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("person", sa.String(320), sa.ForeignKey("person.person"), nullable=False),
        sa.Column("mailbox_id", sa.LargeBinary(16), sa.ForeignKey("mailbox.mailbox_id"), nullable=False),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("since", sa.BigInteger, nullable=False),
        sa.Column("until", sa.BigInteger),
        sa.Column("revoked", sa.BigInteger),
    )
    op.create_index(
        "one_grant",
        "access",
        ["person", "mailbox_id"],
        unique=True,
        sqlite_where=sa.text("revoked IS NULL"),
        postgresql_where=sa.text("revoked IS NULL"),
    )
    op.create_index("access_mailbox", "access", ["mailbox_id"])
