"""The search index: sealed segments, and which message is in which."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


Number = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    op.create_table(
        "index_segment",
        sa.Column("id", Number, nullable=False, autoincrement=False),
        sa.Column(
            "mailbox_id",
            sa.LargeBinary,
            sa.ForeignKey("mailbox.id", name="index_segment_mailbox_id_fk"),
            nullable=False,
        ),
        sa.Column("epoch", Number, nullable=False),
        sa.Column("messages", Number, nullable=False),
        sa.Column("ct", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("id", name="index_segment_pk"),
    )
    op.create_index("index_segment_mailbox_id_index", "index_segment", ["mailbox_id"])
    op.create_table(
        "index_entry",
        sa.Column(
            "message_number",
            Number,
            sa.ForeignKey("message.number", name="index_entry_message_number_fk"),
            nullable=False,
            autoincrement=False,
        ),
        sa.Column(
            "segment_id",
            Number,
            sa.ForeignKey("index_segment.id", name="index_entry_segment_id_fk"),
            nullable=False,
        ),
        sa.PrimaryKeyConstraint("message_number", name="index_entry_pk"),
    )
    op.create_index("index_entry_segment_id_index", "index_entry", ["segment_id"])
