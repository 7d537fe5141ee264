"""The values that the store takes and returns, with a file for each noun.

Invariants: what ends in `_ct` is sealed before it comes here and leaves sealed; times are whole seconds since
1970, days are days since 1970.
"""

from mssante.store.records.accounts import MailboxRow
from mssante.store.records.folders import Changes, Folder, FolderCounts, FolderName, Keyword
from mssante.store.records.journal import JournalEntry, JournalKind, JournalMark
from mssante.store.records.messages import (
    SECONDS_PER_DAY,
    FlagMask,
    FlagsMode,
    FlagsRow,
    FlagsRows,
    MessageNumber,
    Place,
    SealedDek,
    SealedMessage,
    Uids,
)
from mssante.store.records.queue import (
    DueRecipient,
    QueuedEnvelope,
    QueuedMessage,
    QueuedRecipient,
    RecipientId,
    RecipientState,
    WaitingShare,
)
from mssante.store.records.reception import (
    Acceptance,
    Accepted,
    Deposit,
    Outbound,
    Placed,
    QueueRecipientNew,
    Settled,
)
from mssante.store.records.upkeep import BrokenInvariant, Swept

__all__ = [
    "SECONDS_PER_DAY",
    "Acceptance",
    "Accepted",
    "BrokenInvariant",
    "Changes",
    "Deposit",
    "DueRecipient",
    "FlagMask",
    "FlagsMode",
    "FlagsRow",
    "FlagsRows",
    "Folder",
    "FolderCounts",
    "FolderName",
    "JournalEntry",
    "JournalKind",
    "JournalMark",
    "Keyword",
    "MailboxRow",
    "MessageNumber",
    "Outbound",
    "Place",
    "Placed",
    "QueueRecipientNew",
    "QueuedEnvelope",
    "QueuedMessage",
    "QueuedRecipient",
    "RecipientId",
    "RecipientState",
    "SealedDek",
    "SealedMessage",
    "Settled",
    "Swept",
    "Uids",
    "WaitingShare",
]
