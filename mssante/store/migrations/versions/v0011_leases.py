"""A lease says whose it is, so that it ends with its process. Leases of before belong to nobody."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


Number = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    op.add_column("queue_recipient", sa.Column("leased_by", Number))
    recipient = sa.table("queue_recipient", sa.column("state"), sa.column("leased_by"))
    op.execute(sa.update(recipient).where(recipient.c.state == "in_flight").values(leased_by=0))
