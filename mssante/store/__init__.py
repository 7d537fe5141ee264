"""The mail store: every message, folder and queue row, sealed; never sees plaintext, holds no key.

`MailStore` is the house, with a door for each noun (`accounts`, `folders`, `messages`, `queue`, `journal`,
`index`); `records` are the values that go through them.
"""

from mssante.store.mail_store import MailStore
from mssante.store.records import (
    Acceptance,
    Accepted,
    Deposit,
    FlagsMode,
    FolderName,
    MailboxRow,
    Outbound,
    QueueRecipientNew,
    RecipientState,
)

__all__ = [
    "Acceptance",
    "Accepted",
    "Deposit",
    "FlagsMode",
    "FolderName",
    "MailStore",
    "MailboxRow",
    "Outbound",
    "QueueRecipientNew",
    "RecipientState",
]
