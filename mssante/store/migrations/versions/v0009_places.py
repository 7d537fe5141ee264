"""Places counted for each mailbox, and what long commands leave to be finished.

What remembers expunged UIDs may outlive its folder by some transactions, so it names none by foreign key.
"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


Number = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    op.add_column("mailbox", sa.Column("places", Number, nullable=False, server_default="0"))
    _count_places()
    op.create_table(
        "copied_slice",
        sa.Column("copy_id", Number, nullable=False, autoincrement=False),
        sa.Column("low", Number, nullable=False, autoincrement=False),
        sa.Column("high", Number, nullable=False),
        sa.Column(
            "folder_id",
            Number,
            sa.ForeignKey("folder.id", name="copied_slice_folder_id_fk"),
            nullable=False,
        ),
        sa.Column("at", Number, nullable=False),
        sa.PrimaryKeyConstraint("copy_id", "low", name="copied_slice_pk"),
    )
    op.create_index("copied_slice_folder_id_index", "copied_slice", ["folder_id"])
    op.create_table(
        "deleted_folder",
        sa.Column("folder_id", Number, nullable=False, autoincrement=False),
        sa.PrimaryKeyConstraint("folder_id", name="deleted_folder_pk"),
    )
    if op.get_bind().dialect.name == "postgresql":
        op.drop_constraint("expunged_folder_id_fk", "expunged", type_="foreignkey")
    else:
        _make_expunged_again()


def _count_places() -> None:
    mailbox = sa.table("mailbox", sa.column("id"), sa.column("places"))
    folder = sa.table("folder", sa.column("id"), sa.column("mailbox_id"))
    placement = sa.table("placement", sa.column("folder_id"))
    counted = (
        sa.select(sa.func.count())
        .select_from(placement.join(folder, folder.c.id == placement.c.folder_id))
        .where(folder.c.mailbox_id == mailbox.c.id)
    )
    op.execute(sa.update(mailbox).values(places=counted.scalar_subquery()))


def _make_expunged_again() -> None:
    """SQLite drops no constraint of a table, so the rows move to a new one."""
    op.rename_table("expunged", "expunged_before")
    op.drop_index("expunged_folder_id_modseq_index", "expunged_before")
    made = op.create_table(
        "expunged",
        sa.Column("folder_id", Number, nullable=False, autoincrement=False),
        sa.Column("uid", Number, nullable=False, autoincrement=False),
        sa.Column("modseq", Number, nullable=False),
        sa.PrimaryKeyConstraint("folder_id", "uid", name="expunged_pk"),
        sqlite_with_rowid=False,
    )
    before = sa.table("expunged_before", sa.column("folder_id"), sa.column("uid"), sa.column("modseq"))
    op.execute(sa.insert(made).from_select(["folder_id", "uid", "modseq"], sa.select(*before.c)))
    op.drop_table("expunged_before")
    op.create_index("expunged_folder_id_modseq_index", "expunged", ["folder_id", "modseq"])
