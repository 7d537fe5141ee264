"""The dedup keys name the letter that is kept, so that one whose letter is expunged is believed no more.

Keys of before name none. Those of submissions and of our own queue go on being believed; those of peers are
made otherwise now, so none of them is found again, and the sweep takes them away.
"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    op.add_column("dedup", sa.Column("message_id", sa.LargeBinary))
