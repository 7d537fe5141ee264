"""Checks that what is stored keeps the invariants of docs/findings.md.

`doctor --verify-data`, the tear-down of every test and the simulator use it. Invariants: it only reads, on
one snapshot; it says what is broken and where, and never repairs. Invariant 8 (nonces) cannot be checked
without keys, so `crypto` watches it; whether the chunks of a message open is found out by whoever reads them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from sqlalchemy import Connection, Row, RowMapping, bindparam, select

from mssante.crypto import AuditSecretKey, LineText, NotAuthentic
from mssante.limits import ORPHAN_SECONDS
from mssante.model import MailboxId
from mssante.store import tables
from mssante.store.chain import START, ChainBroken, check_link, is_of_before
from mssante.store.invariants import CHECKS
from mssante.store.journal import all_entries
from mssante.store.line_keys import LineOpener, NotOurLineKey
from mssante.store.records import (
    SECONDS_PER_DAY,
    BrokenInvariant,
    JournalEntry,
    JournalKind,
    JournalMark,
)

_b, _m = tables.mailbox.c, tables.message.c
_HEADS = select(_b.id, _b.journal_n, _b.journal_at, _b.journal_head).order_by(_b.id)
_PRESENT = select(_m.id).where(_m.mailbox_id == bindparam("mailbox"))
_TRACE_OF_A_PEER = ("list", "crl")


def verify(
    connection: Connection,
    *,
    now: int,
    marks: Mapping[MailboxId, JournalMark] | None = None,
    audit: AuditSecretKey | None = None,
) -> list[BrokenInvariant]:
    """Returns every broken invariant, if any. `marks` are journal heads that were kept elsewhere (K4).
    Without `audit`, what the journal's lines tell is not looked at (invariant 7)."""
    opener = None if audit is None else LineOpener(connection, audit)
    findings = [
        _finding(check.invariant, check.problem, row)
        for check in CHECKS
        for row in connection.execute(check.broken, {"orphaned": now - ORPHAN_SECONDS}).mappings()
    ]
    heads = connection.execute(_HEADS).all()
    for row in heads:
        findings.extend(_journal(connection, row, (marks or {}).get(row.id), opener))
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
    connection: Connection, box: Row[*tuple[Any, ...]], mark: JournalMark | None, opener: LineOpener | None
) -> Iterator[BrokenInvariant]:
    """Checks the journal of one mailbox: its chain, and that the mailbox holds the messages it tells of."""
    where = box.id.hex()
    before, last, last_at = START, 0, 0
    living: set[bytes] = set()
    marked, clear_is_over = mark is None or mark.n == 0, False
    unopened = 0
    for entry in all_entries(connection, box.id):
        text = None
        clear_is_over = clear_is_over or not is_of_before(entry)
        try:
            if clear_is_over and is_of_before(entry):
                raise ChainBroken
            try:
                text = None if opener is None else opener.text(entry)
            except NotOurLineKey:
                unopened += 1  # told once below: it may be every line there is
            check_link(before, entry, text)
        except (ChainBroken, NotAuthentic):
            yield BrokenInvariant(
                invariant=5, problem=f"journal line {entry.n} is not as written", mailbox=where
            )
        if entry.n != last + 1:
            yield BrokenInvariant(invariant=5, problem=f"no journal line before {entry.n}", mailbox=where)
        if entry.at // SECONDS_PER_DAY < last_at // SECONDS_PER_DAY:
            yield BrokenInvariant(
                invariant=10, problem=f"time went back at journal line {entry.n}", mailbox=where
            )
        before, last, last_at = entry.hash, entry.n, entry.at
        marked = marked or (mark is not None and (mark.n, mark.hash) == (entry.n, entry.hash))
        yield from _told(entry, text, living)
    if unopened:
        problem = f"{unopened} journal line(s) cannot be opened with the audit key of this key store"
        yield BrokenInvariant(invariant=5, problem=problem, mailbox=where)
    ahead = last_at // SECONDS_PER_DAY > box.journal_at // SECONDS_PER_DAY
    if (last, before) != (box.journal_n, box.journal_head) or ahead:
        yield BrokenInvariant(invariant=5, problem="the journal does not end at its head", mailbox=where)
    if not marked:
        yield BrokenInvariant(
            invariant=5, problem="the journal is not the one that was marked", mailbox=where
        )
    present = set(connection.execute(_PRESENT, {"mailbox": box.id}).scalars())
    for lost in sorted(living - present):
        yield BrokenInvariant(
            invariant=1, problem="an accepted message is gone", mailbox=where, message=lost.hex()
        )
    for strange in sorted(present - living):
        yield BrokenInvariant(
            invariant=5, problem="a message nobody accepted", mailbox=where, message=strange.hex()
        )


def _told(entry: JournalEntry, text: LineText | None, living: set[bytes]) -> Iterator[BrokenInvariant]:
    if entry.message_id is None:
        return
    if entry.kind in (JournalKind.ACCEPTED, JournalKind.QUEUED):
        living.add(entry.message_id)
        if text is not None and not _traced(text.detail):
            yield BrokenInvariant(
                invariant=7,
                problem="an accepted message without a trace of who brought it",
                mailbox=entry.mailbox.hex(),
                message=entry.message_id.hex(),
            )
    elif entry.kind == JournalKind.SHREDDED:
        living.discard(entry.message_id)


def _traced(detail: str) -> bool:
    """Whether a line says who brought a message: a person, our own queue, or a peer, and then by which list
    and which CRL it was trusted."""
    try:
        trace = json.loads(detail)
    except ValueError:
        return False
    if not isinstance(trace, dict):
        return False
    if trace.get("peer"):
        return all(trace.get(field) is not None for field in _TRACE_OF_A_PEER)
    return bool(trace.get("person") or trace.get("queued"))
