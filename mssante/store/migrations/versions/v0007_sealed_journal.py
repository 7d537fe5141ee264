"""The journal's details are sealed, and times are days.

What lies there in clear stays until the next sweep, which has the key to seal it with (store.journal).
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


Number = sa.BigInteger().with_variant(sa.Integer, "sqlite")
DAY = 86_400


def upgrade() -> None:
    op.create_table(
        "journal_key",
        sa.Column("id", Number, nullable=False, autoincrement=False),
        sa.Column("suite", Number, nullable=False),
        sa.Column("ct", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("id", name="journal_key_pk"),
    )
    if op.get_bind().dialect.name == "sqlite":
        _rebuild()
    else:
        op.add_column("journal", sa.Column("key_id", Number))
        op.create_foreign_key("journal_key_id_fk", "journal", "journal_key", ["key_id"], ["id"])
        op.alter_column(
            "journal",
            "detail",
            type_=sa.LargeBinary,
            postgresql_using="convert_to(detail, 'UTF8')",
        )
    op.create_index(
        "journal_clear",
        "journal",
        ["mailbox_id", "n"],
        sqlite_where=sa.text("key_id IS NULL"),
        postgresql_where=sa.text("key_id IS NULL"),
    )
    mailbox = sa.table("mailbox", sa.column("created_at", Number), sa.column("journal_at", Number))
    created, last = mailbox.c.created_at, mailbox.c.journal_at
    op.execute(mailbox.update().values(created_at=created - created % DAY, journal_at=last - last % DAY))


def _rebuild() -> None:
    """SQLite changes no column's type, so the table is made anew and filled."""
    op.create_table(
        "journal_of_now",
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
        sa.Column("key_id", Number, sa.ForeignKey("journal_key.id", name="journal_key_id_fk")),
        sa.Column("detail", sa.LargeBinary, nullable=False),
        sa.Column("hash", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("mailbox_id", "n", name="journal_pk"),
        sqlite_with_rowid=False,
    )
    op.execute(
        sa.text(
            "INSERT INTO journal_of_now SELECT mailbox_id, n, at, kind, message_id, folder_id, uid,"
            " NULL, CAST(detail AS BLOB), hash FROM journal"
        )
    )
    op.drop_table("journal")
    op.rename_table("journal_of_now", "journal")
