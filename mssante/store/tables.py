"""The tables of the mail database. Everything that a correspondent wrote is sealed before it comes here.

Invariants: the only plaintext is the addresses of our own mailboxes, days, classes of sizes, counters (K5),
and the times that the queue works by; docs/at-rest.md says of each column why it is sealed or clear, and a
test compares; a number is never used twice (AUTOINCREMENT, sequences); migrations build the same schema (a
test compares).
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    text,
)

metadata = MetaData(
    naming_convention={
        "pk": "%(table_name)s_pk",
        "uq": "%(table_name)s_%(column_0_N_name)s_key",
        "ix": "%(table_name)s_%(column_0_N_name)s_index",
        "fk": "%(table_name)s_%(column_0_name)s_fk",
    }
)

# SQLite accepts AUTOINCREMENT only on a column of type INTEGER, which has 64 bits there.
Number = BigInteger().with_variant(Integer, "sqlite")

mailbox = Table(
    "mailbox",
    metadata,
    Column("id", LargeBinary, primary_key=True),
    Column("address_key", Text, unique=True),  # null for the queue, which has no address
    Column("address", Text),
    Column("kind", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("created_at", Number, nullable=False),
    Column("quota_kib", Number),  # null: no quota
    Column("used_kib", Number, nullable=False),
    Column("places", Number, nullable=False, server_default="0"),  # rows of placement in its folders
    Column("modseq", Number, nullable=False),
    Column("journal_n", Number, nullable=False),
    Column("journal_at", Number, nullable=False),
    Column("journal_head", LargeBinary, nullable=False),
)

# `signature` is the broker's, over the mailbox's address, id and kind and this key (crypto.statement). A row
# without it, or whose signature is of something else, takes no letter in.
mailbox_key = Table(
    "mailbox_key",
    metadata,
    Column("mailbox_id", LargeBinary, ForeignKey("mailbox.id"), primary_key=True),
    Column("epoch", Number, primary_key=True, autoincrement=False),
    Column("suite", Number, nullable=False),
    Column("public", LargeBinary, nullable=False),
    Column("signature", LargeBinary),
)

# A folder without a sealed name is called after its role, so that delivery and `bal create` need no key.
# name_tag is a keyed hash of the name: it keeps names unique without showing them.
folder = Table(
    "folder",
    metadata,
    Column("id", Number, primary_key=True),
    Column("mailbox_id", LargeBinary, ForeignKey("mailbox.id"), nullable=False),
    Column("role", Text),
    Column("name_tag", LargeBinary),
    Column("name_ct", LargeBinary),
    Column("uidvalidity", Number, nullable=False),
    Column("uidnext", Number, nullable=False),
    Column("recent_uid", Number, nullable=False, server_default="0"),  # some session knows the UIDs up to it
    Column("subscribed", Boolean, nullable=False),
    Column("modseq", Number, nullable=False),
    UniqueConstraint("mailbox_id", "role"),
    UniqueConstraint("mailbox_id", "name_tag"),
    sqlite_autoincrement=True,
)

keyword = Table(
    "keyword",
    metadata,
    Column("mailbox_id", LargeBinary, ForeignKey("mailbox.id"), primary_key=True),
    Column("number", Number, primary_key=True, autoincrement=False),  # flag bit 8 + number
    Column("name_tag", LargeBinary, nullable=False),
    Column("name_ct", LargeBinary, nullable=False),
    UniqueConstraint("mailbox_id", "name_tag"),
)

# Subscribed names whose folder is gone (RFC 3501 §6.3.9).
subscription = Table(
    "subscription",
    metadata,
    Column("mailbox_id", LargeBinary, ForeignKey("mailbox.id"), primary_key=True),
    Column("name_tag", LargeBinary, primary_key=True),
    Column("name_ct", LargeBinary, nullable=False),
)

message = Table(
    "message",
    metadata,
    Column("number", Number, primary_key=True),  # by arrival: a listing reads neighbouring rows
    Column("id", LargeBinary, nullable=False, unique=True),
    Column("mailbox_id", LargeBinary, ForeignKey("mailbox.id"), nullable=False),
    Column("blob_id", LargeBinary, nullable=False),
    Column("day", Number, nullable=False),
    Column("size_kib", Number, nullable=False),
    Column("chunks", Number, nullable=False),
    Column("summary_ct", LargeBinary, nullable=False),
    Column("listing_epoch", Number),  # of the key that summary_ct is under; null: its own DEK
    Index("message_mailbox_id_index", "mailbox_id"),
    sqlite_autoincrement=True,
)

# Not a column of message: a listing reads only summaries, and without headers five of them fit on a page.
header = Table(
    "header",
    metadata,
    Column("message_number", Number, ForeignKey("message.number"), primary_key=True, autoincrement=False),
    Column("ct", LargeBinary, nullable=False),
)

dek = Table(
    "dek",
    metadata,
    Column("message_number", Number, ForeignKey("message.number"), primary_key=True, autoincrement=False),
    Column("epoch", Number, nullable=False),
    Column("suite", Number, nullable=False),
    Column("form", Text, nullable=False),
    Column("ct", LargeBinary, nullable=False),
)

chunk = Table(
    "chunk",
    metadata,
    Column("blob_id", LargeBinary, primary_key=True),
    Column("n", Number, primary_key=True, autoincrement=False),
    Column("ct", LargeBinary, nullable=False),
)

# A blob has a row here only while it is being received. Nobody can read its chunks until its message is kept.
blob = Table(
    "blob",
    metadata,
    Column("blob_id", LargeBinary, primary_key=True),
    Column("started_at", Number, nullable=False),
)

placement = Table(
    "placement",
    metadata,
    Column("folder_id", Number, ForeignKey("folder.id"), primary_key=True, autoincrement=False),
    Column("uid", Number, primary_key=True, autoincrement=False),
    Column("message_number", Number, ForeignKey("message.number"), nullable=False),
    Column("flags", Number, nullable=False),
    Column("modseq", Number, nullable=False),
    Column("saved_day", Number, nullable=False),
    Column("size_kib", Number, nullable=False),  # the message's, so that STATUS reads one table
    Index("placement_message_number_index", "message_number"),
    Index("placement_folder_id_modseq_index", "folder_id", "modseq"),
    sqlite_with_rowid=False,
)

# What a COPY that takes several transactions has placed so far: `low` to `high` are the new UIDs of one of
# them. The last one deletes these rows; if it never comes, the places are taken back (store/long_copies).
copied_slice = Table(
    "copied_slice",
    metadata,
    Column("copy_id", Number, primary_key=True, autoincrement=False),  # random
    Column("low", Number, primary_key=True, autoincrement=False),
    Column("high", Number, nullable=False),
    Column("folder_id", Number, ForeignKey("folder.id"), nullable=False),
    Column("at", Number, nullable=False),
    Index("copied_slice_folder_id_index", "folder_id"),
)

# Other sessions learn from it which messages are gone. It would also serve QRESYNC (RFC 7162 §3.2.7). Its
# folder may be deleted already: its rows are then being deleted too (`deleted_folder`).
expunged = Table(
    "expunged",
    metadata,
    Column("folder_id", Number, primary_key=True, autoincrement=False),
    Column("uid", Number, primary_key=True, autoincrement=False),
    Column("modseq", Number, nullable=False),
    Index("expunged_folder_id_modseq_index", "folder_id", "modseq"),
    sqlite_with_rowid=False,
)

# Deleted folders of which `expunged` still has rows.
deleted_folder = Table(
    "deleted_folder", metadata, Column("folder_id", Number, primary_key=True, autoincrement=False)
)

# The words of some hundred messages, sealed under the mailbox's own key, for SEARCH to look in. Nothing
# depends on it: messages that are not in it are indexed again by the session that searches.
index_segment = Table(
    "index_segment",
    metadata,
    Column("id", Number, primary_key=True, autoincrement=False),  # random; the sealed content is bound to it
    Column("mailbox_id", LargeBinary, ForeignKey("mailbox.id"), nullable=False),
    Column("epoch", Number, nullable=False),
    Column("messages", Number, nullable=False),
    Column("ct", LargeBinary, nullable=False),
    Index("index_segment_mailbox_id_index", "mailbox_id"),
)

index_entry = Table(
    "index_entry",
    metadata,
    Column("message_number", Number, ForeignKey("message.number"), primary_key=True, autoincrement=False),
    Column("segment_id", Number, ForeignKey("index_segment.id"), nullable=False),
    Index("index_entry_segment_id_index", "segment_id"),
)

# The keys of the journal's lines: one for each process and day, sealed to the audit key (crypto.audit).
journal_key = Table(
    "journal_key",
    metadata,
    Column("id", Number, primary_key=True, autoincrement=False),  # random; what it sealed names it
    Column("suite", Number, nullable=False),
    Column("ct", LargeBinary, nullable=False),
)

# `at` is the first second of the day; the second itself is sealed with the detail. A line that an earlier
# version left in clear has no key until a sweep seals it.
journal = Table(
    "journal",
    metadata,
    Column("mailbox_id", LargeBinary, ForeignKey("mailbox.id"), primary_key=True),
    Column("n", Number, primary_key=True, autoincrement=False),
    Column("at", Number, nullable=False),
    Column("kind", Text, nullable=False),
    Column("message_id", LargeBinary),
    Column("folder_id", Number),
    Column("uid", Number),
    Column("key_id", Number, ForeignKey("journal_key.id")),
    Column("detail", LargeBinary, nullable=False),
    Column("hash", LargeBinary, nullable=False),
    Index(
        "journal_clear",
        "mailbox_id",
        "n",
        sqlite_where=text("key_id IS NULL"),
        postgresql_where=text("key_id IS NULL"),
    ),
    sqlite_with_rowid=False,
)

# Letters that came before (store/dedup). No foreign key: a key may outlive its letter.
dedup = Table(
    "dedup",
    metadata,
    Column("key", LargeBinary, primary_key=True),
    Column("day", Number, nullable=False),
    Column("message_id", LargeBinary),  # the letter kept; null in a row of before
    sqlite_with_rowid=False,
)

outbound = Table(
    "outbound",
    metadata,
    Column("message_number", Number, ForeignKey("message.number"), primary_key=True, autoincrement=False),
    Column("envelope_ct", LargeBinary, nullable=False),
    Column("created_at", Number, nullable=False),
    Column("person_tag", LargeBinary),  # whose letter it is: a MAC, so that what each has waiting is counted
    Column("sender_tag", LargeBinary),  # and from which mailbox
    Index("outbound_person_tag_index", "person_tag"),
    Index("outbound_sender_tag_index", "sender_tag"),
)

queue_recipient = Table(
    "queue_recipient",
    metadata,
    Column("id", Number, primary_key=True),
    Column("message_number", Number, ForeignKey("outbound.message_number"), nullable=False),
    Column("destination_tag", LargeBinary, nullable=False),
    Column("address_ct", LargeBinary, nullable=False),
    Column("state", Text, nullable=False),
    Column("attempts", Number, nullable=False),
    Column("next_at", Number, nullable=False),
    Column("leased_until", Number),
    Column("leased_by", Number),  # whose session it is bound to; 0: a process of an earlier version
    Column("reply_ct", LargeBinary),
    Index("queue_recipient_message_number_index", "message_number"),
    Index("queue_recipient_state_next_at_index", "state", "next_at"),
    sqlite_autoincrement=True,
)

# One row: how far the key store had come. It shows when an older copy of the key store is put in its place.
key_floor = Table(
    "key_floor",
    metadata,
    Column("id", Number, primary_key=True, autoincrement=False),
    Column("counter", Number, nullable=False),
    Column("mac", LargeBinary, nullable=False),
)
