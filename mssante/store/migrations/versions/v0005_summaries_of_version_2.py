"""No table changes: summaries are written as values from here on (mime/summary, version 2).

A program that knows no such step would call them damaged, so it must refuse the database instead.
"""

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Nothing: an earlier summary is written anew at its first reading, with the mailbox's keys."""
