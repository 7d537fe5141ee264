"""Subscriptions that outlive their folder; which messages are recent."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


Number = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    op.add_column("folder", sa.Column("recent_uid", Number, nullable=False, server_default="0"))
    op.create_table(
        "subscription",
        sa.Column(
            "mailbox_id",
            sa.LargeBinary,
            sa.ForeignKey("mailbox.id", name="subscription_mailbox_id_fk"),
            nullable=False,
        ),
        sa.Column("name_tag", sa.LargeBinary, nullable=False),
        sa.Column("name_ct", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("mailbox_id", "name_tag", name="subscription_pk"),
    )
