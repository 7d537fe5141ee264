"""Taking messages in: the transaction behind every 250.

Invariants: an acceptance is kept whole or not at all; the same message is kept once in a mailbox; quota
and status are judged on the locked mailbox row; UIDs come from the folder's uidnext and only grow.
Acceptances that are ready together share one transaction, and each is judged after those before it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import NamedTuple

from sqlalchemy import Connection, bindparam, select

from mssante.model import BlobId, FolderId, MailboxId, MailboxKind, MailboxStatus, SpecialUse, Uid
from mssante.reasons import Declined, Passing, Reason, Refused
from mssante.store import blobs, deposits, tables
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
_KNOWN = Among(
    select(tables.dedup.c.key).where(tables.dedup.c.key.in_(bindparam("keys", expanding=True))), "keys"
)


class Arrival(NamedTuple):
    """An acceptance on its way in, at `now`; `origin` is the process it came through."""

    acceptance: Acceptance
    now: int
    origin: str


@dataclass(slots=True)
class _FolderInBatch:
    """A folder of this batch, and the UID its next message gets."""

    id: FolderId
    uidnext: int


Places = dict[tuple[MailboxId, SpecialUse | FolderId], _FolderInBatch]


@dataclass(slots=True)
class _Batch:
    """What the transaction knows before it writes, and what it has taken."""

    boxes: dict[MailboxId, MailboxInTransaction]
    places: Places
    known: set[bytes]
    incomplete: set[BlobId]
    taken: list[Taken] = field(default_factory=list)
    new_keys: list[bytes] = field(default_factory=list)


def accept_batch(connection: Connection, arrivals: list[Arrival]) -> list[Settled]:
    """Keeps each acceptance or answers why not; the answers are in the order of `arrivals`."""
    ledger = Ledger(connection, now=max(arrival.now for arrival in arrivals), origin=arrivals[0].origin)
    acceptances = [arrival.acceptance for arrival in arrivals]
    boxes = ledger.open({deposit.mailbox for each in acceptances for deposit in _deposits(each)})
    outcomes = _take_in(ledger, boxes, acceptances)
    ledger.close()
    return [
        Settled(outcome, _boxes_of(acceptance) if isinstance(outcome, Accepted) else ())
        for acceptance, outcome in zip(acceptances, outcomes, strict=True)
    ]


def replace(ledger: Ledger, folder: FolderId, uid: Uid, acceptance: Acceptance) -> Accepted:
    """Keeps what one mailbox is given and removes one of its messages, in one transaction: the quota judges
    what both make together. Raises as `accept` does, and Refused(MESSAGE_GONE)."""
    opened = ledger.open_folder(folder)
    if not expunge_slice(ledger, opened, [uid], 1, deleted_only=False):
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
        known=_known(connection, acceptances),
        incomplete=blobs.incomplete(connection, early),
    )
    outcomes = [_judged(batch, acceptance) for acceptance in acceptances]
    deposits.write(connection, batch.taken, batch.new_keys, ledger.now)
    if early:
        kept = {taken.deposit.blob_id for taken in batch.taken}
        blobs.finish(connection, kept & early.keys())
        blobs.abandon(connection, early.keys() - kept)
    return outcomes


def _deposits(acceptance: Acceptance) -> tuple[Deposit, ...]:
    if acceptance.outbound is None:
        return acceptance.deposits
    return (*acceptance.deposits, acceptance.outbound.deposit)


def _boxes_of(acceptance: Acceptance) -> tuple[MailboxId, ...]:
    return tuple(deposit.mailbox for deposit in _deposits(acceptance))


def _places(connection: Connection, every: list[Deposit]) -> Places:
    """The folders deposits are for, by role and by number; one folder has one place."""
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


def _known(connection: Connection, acceptances: list[Acceptance]) -> set[bytes]:
    keys = [_key(each, deposit) for each in acceptances for deposit in _deposits(each)]
    asked = [key for key in keys if key is not None]
    return {row[0] for row in _KNOWN.run(connection, asked)} if asked else set()


def _key(acceptance: Acceptance, deposit: Deposit) -> bytes | None:
    """What keeps this message from being kept twice in this mailbox. Mailbox by mailbox: a peer that comes
    back for some of its recipients only must not bring them a second copy."""
    if acceptance.dedup_key is None:
        return None
    return hashlib.sha256(acceptance.dedup_key + deposit.mailbox).digest()


def _judged(batch: _Batch, acceptance: Acceptance) -> Accepted | Declined:
    queued = acceptance.outbound.deposit if acceptance.outbound else None
    keys = [(_key(acceptance, deposit), deposit) for deposit in _deposits(acceptance)]
    # Before quota and status: a retry after a lost 250 is answered as the first time was.
    fresh = [(key, deposit) for key, deposit in keys if key is None or key not in batch.known]
    if not fresh:
        return Accepted(True, ())
    try:
        _admit(batch, [deposit for _, deposit in fresh], queued)
    except Declined as declined:
        return declined
    new = [key for key, _ in fresh if key is not None]
    batch.known.update(new)
    batch.new_keys += new
    detail = acceptance.journal_detail
    placed = tuple(_take(batch, deposit, detail) for _, deposit in fresh if deposit is not queued)
    if acceptance.outbound is not None and any(deposit is queued for _, deposit in fresh):
        _take_outbound(batch, acceptance.outbound, detail)
    return Accepted(False, placed)


def _admit(batch: _Batch, fresh: list[Deposit], queued: Deposit | None) -> None:
    """Raises what stands against any of the deposits; changes nothing."""
    wanted: dict[MailboxId, int] = {}
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
        wanted[box.id] = wanted.get(box.id, 0) + deposit.size_kib
        if box.quota_kib is not None and box.used_kib + wanted[box.id] > box.quota_kib:
            raise Refused(Reason.MAILBOX_FULL)
        if deposit is queued and box.kind == MailboxKind.QUEUE:
            continue
        place = batch.places.get((deposit.mailbox, deposit.folder)) if deposit.folder is not None else None
        if place is None:
            raise Refused(Reason.FOLDER_UNKNOWN)
        if place.uidnext > _UID_MAX:
            raise Refused(Reason.LIMIT_REACHED)


def _take(batch: _Batch, deposit: Deposit, detail: str) -> Placed:
    assert deposit.folder is not None
    box = batch.boxes[deposit.mailbox]
    place = batch.places[deposit.mailbox, deposit.folder]
    placed = Placed(box.id, place.id, Uid(place.uidnext), box.step())
    place.uidnext += 1
    box.used_kib += deposit.size_kib
    box.record(
        JournalKind.ACCEPTED, message_id=deposit.message_id, folder=place.id, uid=placed.uid, detail=detail
    )
    batch.taken.append(Taken(deposit, placed, None))
    return placed


def _take_outbound(batch: _Batch, outbound: Outbound, detail: str) -> None:
    assert outbound.deposit.folder is None
    assert outbound.recipients
    box = batch.boxes[outbound.deposit.mailbox]
    box.step()
    box.used_kib += outbound.deposit.size_kib
    box.record(JournalKind.QUEUED, message_id=outbound.deposit.message_id, detail=detail)
    batch.taken.append(Taken(outbound.deposit, None, outbound))
