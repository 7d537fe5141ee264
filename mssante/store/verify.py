"""Checking the invariants on what is stored (docs/findings.md, invariants): `doctor --verify-data`, every
tear-down, the simulator.

Invariants: reads only, on one snapshot; says what is broken and where, never repairs. 8 (nonces) needs
keys and is crypto's; whether chunks open is the reader's to find.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from sqlalchemy import Connection, Row, RowMapping, text

from mssante.model import MailboxId
from mssante.store.chain import START, ChainBroken, check_link
from mssante.store.journal import all_entries
from mssante.store.records import BrokenInvariant, JournalEntry, JournalKind, JournalMark, RecipientState
from mssante.store.sweeping import ORPHAN_SECONDS

# Each row a query answers is a finding: columns mailbox, message, folder as far as they are known.
_QUERIES: tuple[tuple[int, str, str], ...] = (
    (
        1,
        "a message lies in no folder and not in the queue",
        "SELECT m.mailbox_id AS mailbox, m.id AS message FROM message AS m WHERE NOT EXISTS"
        " (SELECT 1 FROM placement AS p WHERE p.message_number = m.number) AND NOT EXISTS"
        " (SELECT 1 FROM outbound AS o WHERE o.message_number = m.number)",
    ),
    (
        1,
        "a placement without its message",
        "SELECT p.folder_id AS folder FROM placement AS p"
        " LEFT JOIN message AS m ON m.number = p.message_number WHERE m.number IS NULL",
    ),
    (
        1,
        "a placement in another mailbox's folder",
        "SELECT m.mailbox_id AS mailbox, m.id AS message, p.folder_id AS folder FROM placement AS p"
        " JOIN message AS m ON m.number = p.message_number JOIN folder AS f ON f.id = p.folder_id"
        " WHERE f.mailbox_id <> m.mailbox_id",
    ),
    (
        2,
        "a message without its DEK",
        "SELECT m.mailbox_id AS mailbox, m.id AS message FROM message AS m"
        " LEFT JOIN dek AS d ON d.message_number = m.number WHERE d.message_number IS NULL",
    ),
    (
        2,
        "a message without its header",
        "SELECT m.mailbox_id AS mailbox, m.id AS message FROM message AS m"
        " LEFT JOIN header AS h ON h.message_number = m.number WHERE h.message_number IS NULL",
    ),
    (
        2,
        "a message without all its chunks",
        "SELECT m.mailbox_id AS mailbox, m.id AS message FROM message AS m LEFT JOIN"
        " (SELECT blob_id, count(*) AS many, min(n) AS low, max(n) AS high FROM chunk GROUP BY blob_id) AS c"
        " ON c.blob_id = m.blob_id WHERE coalesce(c.many, 0) <> m.chunks"
        " OR (m.chunks > 0 AND (c.low <> 0 OR c.high <> m.chunks - 1))",
    ),
    (
        2,
        "two messages with one content",
        "SELECT blob_id AS message FROM message GROUP BY blob_id HAVING count(*) > 1",
    ),
    (
        3,
        "a DEK without its message",
        "SELECT d.message_number AS number FROM dek AS d"
        " LEFT JOIN message AS m ON m.number = d.message_number WHERE m.number IS NULL",
    ),
    (
        3,
        "chunks of no message and of none being received",
        "SELECT DISTINCT c.blob_id AS message FROM chunk AS c"
        " WHERE c.blob_id NOT IN (SELECT blob_id FROM message)"
        " AND c.blob_id NOT IN (SELECT blob_id FROM blob)",
    ),
    (
        3,
        "a message in another mailbox's index",
        "SELECT m.mailbox_id AS mailbox, m.id AS message FROM index_entry AS e"
        " JOIN index_segment AS s ON s.id = e.segment_id"
        " LEFT JOIN message AS m ON m.number = e.message_number"
        " WHERE m.number IS NULL OR m.mailbox_id <> s.mailbox_id",
    ),
    (
        9,
        "an abandoned reception older than an hour",
        "SELECT blob_id AS message FROM blob WHERE started_at <= :orphaned",
    ),
    (
        4,
        "a UID the folder has not given out yet",
        "SELECT f.mailbox_id AS mailbox, f.id AS folder FROM folder AS f WHERE f.uidnext <="
        " (SELECT coalesce(max(uid), 0) FROM placement AS p WHERE p.folder_id = f.id) OR f.uidnext <="
        " (SELECT coalesce(max(uid), 0) FROM expunged AS e WHERE e.folder_id = f.id)",
    ),
    (
        4,
        "a UID both present and expunged",
        "SELECT p.folder_id AS folder FROM placement AS p JOIN expunged AS e"
        " ON e.folder_id = p.folder_id AND e.uid = p.uid",
    ),
    (
        4,
        "a change newer than its folder",
        "SELECT f.mailbox_id AS mailbox, f.id AS folder FROM folder AS f WHERE f.modseq <"
        " (SELECT coalesce(max(modseq), 0) FROM placement AS p WHERE p.folder_id = f.id) OR f.modseq <"
        " (SELECT coalesce(max(modseq), 0) FROM expunged AS e WHERE e.folder_id = f.id)",
    ),
    (
        4,
        "a folder newer than its mailbox",
        "SELECT b.id AS mailbox, f.id AS folder FROM folder AS f JOIN mailbox AS b ON b.id = f.mailbox_id"
        " WHERE f.modseq > b.modseq",
    ),
    (
        4,
        "sizes that do not add up to what is used",
        "SELECT b.id AS mailbox FROM mailbox AS b WHERE b.used_kib <>"
        " (SELECT coalesce(sum(m.size_kib), 0) FROM message AS m WHERE m.mailbox_id = b.id)",
    ),
    (
        6,
        "a recipient in no known state",
        "SELECT message_number AS number FROM queue_recipient"
        " WHERE state NOT IN ('pending', 'in_flight', 'delivered', 'bounced', 'expired')"
        " OR (state = 'in_flight') <> (leased_until IS NOT NULL)",
    ),
    (
        6,
        "a remote answer that was not kept",
        "SELECT message_number AS number FROM queue_recipient"
        " WHERE state IN ('delivered', 'bounced') AND reply_ct IS NULL",
    ),
    (
        6,
        "a queued message with nobody left to reach",
        "SELECT m.mailbox_id AS mailbox, m.id AS message FROM outbound AS o"
        " JOIN message AS m ON m.number = o.message_number WHERE NOT EXISTS"
        " (SELECT 1 FROM queue_recipient AS q WHERE q.message_number = o.message_number"
        " AND q.state IN ('pending', 'in_flight'))",
    ),
)
_TRACE_OF_A_PEER = ("list", "crl")


def verify(
    connection: Connection, *, now: int, marks: Mapping[MailboxId, JournalMark] | None = None
) -> list[BrokenInvariant]:
    """Every broken invariant, none if all hold. `marks` are journal heads kept elsewhere (K4)."""
    findings = [
        _finding(invariant, problem, row)
        for invariant, problem, query in _QUERIES
        for row in connection.execute(text(query), {"orphaned": now - ORPHAN_SECONDS}).mappings()
    ]
    heads = connection.execute(
        text("SELECT id, journal_n, journal_at, journal_head FROM mailbox ORDER BY id")
    ).all()
    for row in heads:
        findings.extend(_journal(connection, row, (marks or {}).get(row.id)))
    for mailbox in (marks or {}).keys() - {row.id for row in heads}:
        findings.append(BrokenInvariant(invariant=5, problem="a mailbox is gone", mailbox=mailbox.hex()))
    return findings


def _finding(invariant: int, problem: str, row: RowMapping) -> BrokenInvariant:
    mailbox, message = row.get("mailbox"), row.get("message")
    return BrokenInvariant(
        invariant=invariant,
        problem=problem,
        mailbox=mailbox.hex() if mailbox is not None else "",
        message=message.hex() if message is not None else str(row.get("number", "")),
        folder=row.get("folder"),
    )


def _journal(
    connection: Connection, box: Row[*tuple[Any, ...]], mark: JournalMark | None
) -> Iterator[BrokenInvariant]:
    """The chain of one mailbox, and whether its messages are those it tells of."""
    where = box.id.hex()
    before, last, last_at = START, 0, 0
    living: set[bytes] = set()
    marked = mark is None or mark.n == 0
    for entry in all_entries(connection, box.id):
        try:
            check_link(before, entry)
        except ChainBroken:
            yield BrokenInvariant(
                invariant=5, problem=f"journal line {entry.n} is not as written", mailbox=where
            )
        if entry.n != last + 1:
            yield BrokenInvariant(invariant=5, problem=f"no journal line before {entry.n}", mailbox=where)
        if entry.at < last_at:
            yield BrokenInvariant(
                invariant=10, problem=f"time went back at journal line {entry.n}", mailbox=where
            )
        before, last, last_at = entry.hash, entry.n, entry.at
        marked = marked or (mark is not None and (mark.n, mark.hash) == (entry.n, entry.hash))
        yield from _told(entry, living)
    if (last, before) != (box.journal_n, box.journal_head) or last_at > box.journal_at:
        yield BrokenInvariant(invariant=5, problem="the journal does not end at its head", mailbox=where)
    if not marked:
        yield BrokenInvariant(
            invariant=5, problem="the journal is not the one that was marked", mailbox=where
        )
    present = set(
        connection.execute(text("SELECT id FROM message WHERE mailbox_id = :mailbox"), {"mailbox": box.id})
        .scalars()
        .all()
    )
    for lost in sorted(living - present):
        yield BrokenInvariant(
            invariant=1, problem="an accepted message is gone", mailbox=where, message=lost.hex()
        )
    for strange in sorted(present - living):
        yield BrokenInvariant(
            invariant=5, problem="a message nobody accepted", mailbox=where, message=strange.hex()
        )


def _told(entry: JournalEntry, living: set[bytes]) -> Iterator[BrokenInvariant]:
    if entry.message_id is None:
        return
    if entry.kind in (JournalKind.ACCEPTED, JournalKind.QUEUED):
        living.add(entry.message_id)
        if not _traced(entry.detail):
            yield BrokenInvariant(
                invariant=7,
                problem="an accepted message without a trace of who brought it",
                mailbox=entry.mailbox.hex(),
                message=entry.message_id.hex(),
            )
    elif entry.kind == JournalKind.SHREDDED:
        living.discard(entry.message_id)


def _traced(detail: str) -> bool:
    """Whether a line says who brought a message: a person, our queue, or a peer by which list and CRL."""
    try:
        trace = json.loads(detail)
    except ValueError:
        return False
    if not isinstance(trace, dict):
        return False
    if trace.get("peer"):
        return all(trace.get(field) is not None for field in _TRACE_OF_A_PEER)
    return bool(trace.get("person") or trace.get("queued"))


assert {state.value for state in RecipientState} == {
    "pending",
    "in_flight",
    "delivered",
    "bounced",
    "expired",
}  # as the queries have them
