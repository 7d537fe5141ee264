"""The mail database's first tables. Why each is as it is: mssante/store/tables.py."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

Number = sa.BigInteger().with_variant(sa.Integer, "sqlite")
WITHOUT_ROWID = {"sqlite_with_rowid": False}
AUTOINCREMENT = {"sqlite_autoincrement": True}


def upgrade() -> None:
    _mailboxes()
    _folders()
    _messages()
    _content()
    _places()
    _queue()


def _mailboxes() -> None:
    op.create_table(
        "mailbox",
        sa.Column("id", sa.LargeBinary, nullable=False),
        sa.Column("address_key", sa.Text),
        sa.Column("address", sa.Text),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("created_at", Number, nullable=False),
        sa.Column("quota_kib", Number),
        sa.Column("used_kib", Number, nullable=False),
        sa.Column("modseq", Number, nullable=False),
        sa.Column("journal_n", Number, nullable=False),
        sa.Column("journal_at", Number, nullable=False),
        sa.Column("journal_head", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("id", name="mailbox_pk"),
        sa.UniqueConstraint("address_key", name="mailbox_address_key_key"),
    )
    op.create_table(
        "mailbox_key",
        sa.Column(
            "mailbox_id",
            sa.LargeBinary,
            sa.ForeignKey("mailbox.id", name="mailbox_key_mailbox_id_fk"),
            nullable=False,
        ),
        sa.Column("epoch", Number, nullable=False),
        sa.Column("suite", Number, nullable=False),
        sa.Column("public", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("mailbox_id", "epoch", name="mailbox_key_pk"),
    )


def _folders() -> None:
    op.create_table(
        "folder",
        sa.Column("id", Number, nullable=False),
        sa.Column(
            "mailbox_id",
            sa.LargeBinary,
            sa.ForeignKey("mailbox.id", name="folder_mailbox_id_fk"),
            nullable=False,
        ),
        sa.Column("role", sa.Text),
        sa.Column("name_tag", sa.LargeBinary),
        sa.Column("name_ct", sa.LargeBinary),
        sa.Column("uidvalidity", Number, nullable=False),
        sa.Column("uidnext", Number, nullable=False),
        sa.Column("subscribed", sa.Boolean, nullable=False),
        sa.Column("modseq", Number, nullable=False),
        sa.PrimaryKeyConstraint("id", name="folder_pk"),
        sa.UniqueConstraint("mailbox_id", "name_tag", name="folder_mailbox_id_name_tag_key"),
        sa.UniqueConstraint("mailbox_id", "role", name="folder_mailbox_id_role_key"),
        **AUTOINCREMENT,
    )
    op.create_table(
        "keyword",
        sa.Column(
            "mailbox_id",
            sa.LargeBinary,
            sa.ForeignKey("mailbox.id", name="keyword_mailbox_id_fk"),
            nullable=False,
        ),
        sa.Column("number", Number, nullable=False),
        sa.Column("name_tag", sa.LargeBinary, nullable=False),
        sa.Column("name_ct", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("mailbox_id", "number", name="keyword_pk"),
        sa.UniqueConstraint("mailbox_id", "name_tag", name="keyword_mailbox_id_name_tag_key"),
    )


def _messages() -> None:
    op.create_table(
        "message",
        sa.Column("number", Number, nullable=False),
        sa.Column("id", sa.LargeBinary, nullable=False),
        sa.Column(
            "mailbox_id",
            sa.LargeBinary,
            sa.ForeignKey("mailbox.id", name="message_mailbox_id_fk"),
            nullable=False,
        ),
        sa.Column("blob_id", sa.LargeBinary, nullable=False),
        sa.Column("day", Number, nullable=False),
        sa.Column("size_kib", Number, nullable=False),
        sa.Column("chunks", Number, nullable=False),
        sa.Column("summary_ct", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("number", name="message_pk"),
        sa.UniqueConstraint("id", name="message_id_key"),
        **AUTOINCREMENT,
    )
    op.create_index("message_mailbox_id_index", "message", ["mailbox_id"])
    op.create_table(
        "header",
        sa.Column(
            "message_number",
            Number,
            sa.ForeignKey("message.number", name="header_message_number_fk"),
            nullable=False,
        ),
        sa.Column("ct", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("message_number", name="header_pk"),
    )
    op.create_table(
        "dek",
        sa.Column(
            "message_number",
            Number,
            sa.ForeignKey("message.number", name="dek_message_number_fk"),
            nullable=False,
        ),
        sa.Column("epoch", Number, nullable=False),
        sa.Column("suite", Number, nullable=False),
        sa.Column("form", sa.Text, nullable=False),
        sa.Column("ct", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("message_number", name="dek_pk"),
    )


def _content() -> None:
    op.create_table(
        "chunk",
        sa.Column("blob_id", sa.LargeBinary, nullable=False),
        sa.Column("n", Number, nullable=False),
        sa.Column("ct", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("blob_id", "n", name="chunk_pk"),
    )
    op.create_table(
        "blob",
        sa.Column("blob_id", sa.LargeBinary, nullable=False),
        sa.Column("started_at", Number, nullable=False),
        sa.PrimaryKeyConstraint("blob_id", name="blob_pk"),
    )


def _places() -> None:
    op.create_table(
        "placement",
        sa.Column(
            "folder_id", Number, sa.ForeignKey("folder.id", name="placement_folder_id_fk"), nullable=False
        ),
        sa.Column("uid", Number, nullable=False),
        sa.Column(
            "message_number",
            Number,
            sa.ForeignKey("message.number", name="placement_message_number_fk"),
            nullable=False,
        ),
        sa.Column("flags", Number, nullable=False),
        sa.Column("modseq", Number, nullable=False),
        sa.Column("saved_day", Number, nullable=False),
        sa.Column("size_kib", Number, nullable=False),
        sa.PrimaryKeyConstraint("folder_id", "uid", name="placement_pk"),
        **WITHOUT_ROWID,
    )
    op.create_index("placement_folder_id_modseq_index", "placement", ["folder_id", "modseq"])
    op.create_index("placement_message_number_index", "placement", ["message_number"])
    op.create_table(
        "expunged",
        sa.Column(
            "folder_id", Number, sa.ForeignKey("folder.id", name="expunged_folder_id_fk"), nullable=False
        ),
        sa.Column("uid", Number, nullable=False),
        sa.Column("modseq", Number, nullable=False),
        sa.PrimaryKeyConstraint("folder_id", "uid", name="expunged_pk"),
        **WITHOUT_ROWID,
    )
    op.create_index("expunged_folder_id_modseq_index", "expunged", ["folder_id", "modseq"])
    op.create_table(
        "journal",
        sa.Column(
            "mailbox_id",
            sa.LargeBinary,
            sa.ForeignKey("mailbox.id", name="journal_mailbox_id_fk"),
            nullable=False,
        ),
        sa.Column("n", Number, nullable=False),
        sa.Column("at", Number, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("message_id", sa.LargeBinary),
        sa.Column("folder_id", Number),
        sa.Column("uid", Number),
        sa.Column("detail", sa.Text, nullable=False),
        sa.Column("hash", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("mailbox_id", "n", name="journal_pk"),
        **WITHOUT_ROWID,
    )
    op.create_table(
        "dedup",
        sa.Column("key", sa.LargeBinary, nullable=False),
        sa.Column("day", Number, nullable=False),
        sa.PrimaryKeyConstraint("key", name="dedup_pk"),
        **WITHOUT_ROWID,
    )


def _queue() -> None:
    op.create_table(
        "outbound",
        sa.Column(
            "message_number",
            Number,
            sa.ForeignKey("message.number", name="outbound_message_number_fk"),
            nullable=False,
        ),
        sa.Column("envelope_ct", sa.LargeBinary, nullable=False),
        sa.Column("created_at", Number, nullable=False),
        sa.PrimaryKeyConstraint("message_number", name="outbound_pk"),
    )
    op.create_table(
        "queue_recipient",
        sa.Column("id", Number, nullable=False),
        sa.Column(
            "message_number",
            Number,
            sa.ForeignKey("outbound.message_number", name="queue_recipient_message_number_fk"),
            nullable=False,
        ),
        sa.Column("destination_tag", sa.LargeBinary, nullable=False),
        sa.Column("address_ct", sa.LargeBinary, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("attempts", Number, nullable=False),
        sa.Column("next_at", Number, nullable=False),
        sa.Column("leased_until", Number),
        sa.Column("reply_ct", sa.LargeBinary),
        sa.PrimaryKeyConstraint("id", name="queue_recipient_pk"),
        **AUTOINCREMENT,
    )
    op.create_index("queue_recipient_message_number_index", "queue_recipient", ["message_number"])
    op.create_index("queue_recipient_state_next_at_index", "queue_recipient", ["state", "next_at"])
