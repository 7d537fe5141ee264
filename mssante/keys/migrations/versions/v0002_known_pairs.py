"""From where people have signed in, as keyed hashes."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "known_pair",
        sa.Column("person_mark", sa.LargeBinary(16), primary_key=True),
        sa.Column("place_mark", sa.LargeBinary(16), primary_key=True),
        sa.Column("day", sa.Integer, nullable=False),
        sa.Column("proof", sa.LargeBinary(32), nullable=False),
    )
    op.create_index("known_pair_day", "known_pair", ["day"])
