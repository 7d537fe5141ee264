"""Letters, and a reference to them."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "letter",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("tag", sa.String, nullable=False, unique=True),
        sa.Column("content", sa.LargeBinary, nullable=False),
    )
