"""Taking messages in: the transaction behind every 250.

When we answer 250 to a letter, we promise to keep it for each recipient we accepted. What has to be kept for
one 250 is an Acceptance: a Deposit (the sealed message and its keys) for each mailbox, and perhaps one for
the queue with the recipients elsewhere. The store keeps all of it in one transaction, and 250 is sent only
after the commit.

Acceptances that are ready together share one transaction (database.writer), which runs in four steps:
1. It locks and reads the mailboxes, and reads the folders, the known dedup keys, and whether the chunks that
   were written while the letter was coming in are still there.
2. It judges each acceptance in memory: is the mailbox open, is its quota kept, is there such a folder? An
   acceptance sees what those before it took, so that two of them cannot both take the last free room. One
   that is refused changes nothing and does not disturb the others.
3. It gives the accepted messages their UIDs and modseqs, and writes all their rows, table by table.
4. It writes the journal lines and the new counters of the mailboxes (Ledger.close).
The early chunks of those it refused are erased after it (`Ledger.left_over`).

A peer that never saw our 250 sends the letter again. Its dedup key then shows which mailboxes have the
message already (store.dedup). They get no second copy, and the answer is as it was the first time.

Invariants: an acceptance is kept whole or not at all; the same message is kept once in a mailbox; quota and
status are judged while the mailbox row is locked; UIDs come from the folder's uidnext and only grow.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from sqlalchemy import Connection, bindparam, select

from mssante.crypto import LineKey
from mssante.model import (
    BlobId,
    FolderId,
    MailboxId,
    MailboxKind,
    MailboxStatus,
    MessageId,
    SpecialUse,
    Uid,
)
from mssante.reasons import Declined, Passing, Reason, Refused
from mssante.store import blobs, dedup, deposits, tables
from mssante.store.deposits import Taken
from mssante.store.ledger import Ledger, MailboxInTransaction
from mssante.store.records import Acceptance, Accepted, Deposit, JournalKind, Outbound, Placed, Settled
from mssante.store.shredding import expunge_slice
from mssante.store.statements import Among

_UID_MAX = 2**32 - 1  # RFC 3501 §9: nz-number

_f = tables.folder.c
_FOLDER_COLUMNS = select(_f.id, _f.mailbox_id, _f.uidnext)
_FOLDERS_OF_ROLE = Among(
    _FOLDER_COLUMNS.where(
        _f.role == bindparam("role"), _f.mailbox_id.in_(bindparam("mailboxes", expanding=True))
    ),
    "mailboxes",
)
_FOLDERS = Among(_FOLDER_COLUMNS.where(_f.id.in_(bindparam("ids", expanding=True))), "ids")


class Arrival(NamedTuple):
    """An acceptance that came in at the time `now`, through the process `origin`."""

    acceptance: Acceptance
    now: int
    line_key: LineKey
    origin: str


@dataclass(slots=True)
class _FolderInBatch:
    """A folder that this batch writes to, and the UID that its next message gets."""

    id: FolderId
    uidnext: int


Places = dict[tuple[MailboxId, SpecialUse | FolderId], _FolderInBatch]


@dataclass(slots=True)
class _Batch:
    """What the transaction has read before it writes, and what it has accepted so far."""

    boxes: dict[MailboxId, MailboxInTransaction]
    places: Places
    known: dict[bytes, MessageId | None]
    incomplete: set[BlobId]
    taken: list[Taken] = field(default_factory=list)


def accept_batch(connection: Connection, arrivals: list[Arrival]) -> list[Settled]:
    """Keeps each acceptance, or answers why it does not. The answers are in the order of `arrivals`."""
    latest = max(arrivals, key=lambda arrival: arrival.now)
    ledger = Ledger(connection, now=latest.now, line_key=latest.line_key, origin=latest.origin)
    acceptances = [arrival.acceptance for arrival in arrivals]
    boxes = ledger.open({deposit.mailbox for each in acceptances for deposit in _deposits(each)})
    outcomes = _take_in(ledger, boxes, acceptances)
    ledger.close()
    return [
        Settled(
            outcome,
            _boxes_of(acceptance) if isinstance(outcome, Accepted) else (),
            tuple(each.blob_id for each in _deposits(acceptance) if each.blob_id in ledger.left_over),
        )
        for acceptance, outcome in zip(acceptances, outcomes, strict=True)
    ]


def replace(ledger: Ledger, folder: FolderId, uid: Uid, acceptance: Acceptance) -> Accepted:
    """Keeps a new message in one mailbox and removes an old one, in one transaction: the quota judges the
    result of both. Raises as `MailStore.accept` does, and Refused(MESSAGE_GONE)."""
    opened = ledger.open_folder(folder)
    if not expunge_slice(ledger, opened, [uid], 1, deleted_only=False).gone:
        raise Refused(Reason.MESSAGE_GONE)
    (outcome,) = _take_in(ledger, {opened.mailbox.id: opened.mailbox}, [acceptance])
    if isinstance(outcome, Declined):
        raise outcome
    return outcome


def _take_in(
    ledger: Ledger, boxes: dict[MailboxId, MailboxInTransaction], acceptances: list[Acceptance]
) -> list[Accepted | Declined]:
    connection = ledger.connection
    every = [deposit for acceptance in acceptances for deposit in _deposits(acceptance)]
    early = {d.blob_id: d.chunk_count - len(d.pending_chunks) for d in every}
    early = {blob: count for blob, count in early.items() if count}
    batch = _Batch(
        boxes=boxes,
        places=_places(connection, every),
        known=dedup.known(connection, [(a, d) for a in acceptances for d in _deposits(a)], ledger.now),
        incomplete=blobs.incomplete(connection, early),
    )
    outcomes = [_judged(batch, acceptance) for acceptance in acceptances]
    deposits.write(connection, batch.taken, ledger.now)
    if early:
        kept = {taken.deposit.blob_id for taken in batch.taken}
        blobs.finish(connection, kept & early.keys())
        ledger.left_over += early.keys() - kept
    return outcomes


def _deposits(acceptance: Acceptance) -> tuple[Deposit, ...]:
    if acceptance.outbound is None:
        return acceptance.deposits
    return (*acceptance.deposits, acceptance.outbound.deposit)


def _boxes_of(acceptance: Acceptance) -> tuple[MailboxId, ...]:
    return tuple(deposit.mailbox for deposit in _deposits(acceptance))


def _places(connection: Connection, every: list[Deposit]) -> Places:
    """The folders that the deposits name, by role or by number. A folder named both ways is one object, so
    that its UIDs are counted once."""
    by_role: dict[SpecialUse, set[MailboxId]] = {}
    ids: set[FolderId] = set()
    for deposit in every:
        if isinstance(deposit.folder, SpecialUse):
            by_role.setdefault(deposit.folder, set()).add(deposit.mailbox)
        elif deposit.folder is not None:
            ids.add(deposit.folder)
    places: Places = {}
    for role, mailboxes in by_role.items():
        for folder, mailbox, uidnext in _FOLDERS_OF_ROLE.run(connection, list(mailboxes), role=role.value):
            places[mailbox, role] = places[mailbox, folder] = _FolderInBatch(folder, uidnext)
    if ids:
        for folder, mailbox, uidnext in _FOLDERS.run(connection, list(ids)):
            places.setdefault((mailbox, folder), _FolderInBatch(folder, uidnext))
    return places


def _judged(batch: _Batch, acceptance: Acceptance) -> Accepted | Declined:
    queued = acceptance.outbound.deposit if acceptance.outbound else None
    keys = [(dedup.key_of(acceptance, deposit), deposit) for deposit in _deposits(acceptance)]
    # This comes before quota and status, so that a retry after a lost 250 gets the same answer as before.
    fresh = [(key, deposit) for key, deposit in keys if key is None or key not in batch.known]
    try:
        _admit(batch, [deposit for _, deposit in fresh], queued)
    except Declined as declined:
        return declined
    batch.known.update((key, deposit.message_id) for key, deposit in fresh if key is not None)
    detail = acceptance.journal_detail
    placed = tuple(_take(batch, deposit, key, detail) for key, deposit in fresh if deposit is not queued)
    for key, deposit in fresh:
        if acceptance.outbound is not None and deposit is queued:
            _take_outbound(batch, acceptance.outbound, key, detail)
    kept = ((batch.known[key] if key else None) or deposit.message_id for key, deposit in keys)
    return Accepted(not fresh, placed, tuple(kept))


def _admit(batch: _Batch, fresh: list[Deposit], queued: Deposit | None) -> None:
    """Raises the reason why one of the deposits cannot be kept, if there is one. It changes nothing."""
    wanted: dict[MailboxId, tuple[int, int]] = {}  # KiB, places
    for deposit in fresh:
        box = batch.boxes.get(deposit.mailbox)
        if box is None:
            raise Refused(Reason.MAILBOX_UNKNOWN)
        if box.status == MailboxStatus.CLOSED:
            raise Refused(Reason.MAILBOX_CLOSED)
        if box.status == MailboxStatus.SUSPENDED:
            raise Passing(Reason.MAILBOX_SUSPENDED)
        if deposit.blob_id in batch.incomplete:
            raise Passing(Reason.STORAGE_UNAVAILABLE, "early chunks are gone")
        kib, places = wanted.get(box.id, (0, 0))
        kib, places = wanted[box.id] = (kib + deposit.size_kib, places + (deposit.folder is not None))
        box.require_room(kib=kib, places=places)
        if deposit is queued and box.kind == MailboxKind.QUEUE:
            continue
        place = batch.places.get((deposit.mailbox, deposit.folder)) if deposit.folder is not None else None
        if place is None:
            raise Refused(Reason.FOLDER_UNKNOWN)
        if place.uidnext > _UID_MAX:
            raise Refused(Reason.LIMIT_REACHED)


def _take(batch: _Batch, deposit: Deposit, key: bytes | None, detail: str) -> Placed:
    assert deposit.folder is not None
    box = batch.boxes[deposit.mailbox]
    place = batch.places[deposit.mailbox, deposit.folder]
    placed = Placed(box.id, place.id, Uid(place.uidnext), box.step())
    place.uidnext += 1
    box.used_kib += deposit.size_kib
    box.places += 1
    box.record(
        JournalKind.ACCEPTED, message_id=deposit.message_id, folder=place.id, uid=placed.uid, detail=detail
    )
    batch.taken.append(Taken(deposit, placed, None, key))
    return placed


def _take_outbound(batch: _Batch, outbound: Outbound, key: bytes | None, detail: str) -> None:
    assert outbound.deposit.folder is None
    assert outbound.recipients
    box = batch.boxes[outbound.deposit.mailbox]
    box.step()
    box.used_kib += outbound.deposit.size_kib
    box.record(JournalKind.QUEUED, message_id=outbound.deposit.message_id, detail=detail)
    batch.taken.append(Taken(outbound.deposit, None, outbound, key))
