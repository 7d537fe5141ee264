"""Summaries under a listing key: which epoch's."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.add_column("message", sa.Column("listing_epoch", sa.BigInteger().with_variant(sa.Integer, "sqlite")))
