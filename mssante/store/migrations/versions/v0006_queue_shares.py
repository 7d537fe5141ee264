"""Whose letters wait in the queue: tags of person and mailbox, to bound what each keeps there.

Letters that were queued before have neither, and count for nobody.
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    for name in ("person_tag", "sender_tag"):
        op.add_column("outbound", sa.Column(name, sa.LargeBinary))
        op.create_index(f"outbound_{name}_index", "outbound", [name])
