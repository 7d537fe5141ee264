"""The mail store: it keeps every message, folder and queue row sealed, sees no plaintext and holds no key.

`MailStore` is where to begin: it has one object for each noun (`accounts`, `folders`, `messages`, `queue`,
`journal`, `index`). `records` are the values that their methods take and return.
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
