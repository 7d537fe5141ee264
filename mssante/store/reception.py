"""Taking messages in: the transaction behind every 250.

Invariants: an acceptance is kept whole or not at all; the same dedup key is kept once; quota and
status are judged on the locked mailbox row; UIDs come from the folder's uidnext and only grow. What
arrives together is written together: one statement for each table, whatever the number of messages.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from sqlalchemy import Connection, bindparam, delete, func, insert, or_, select, text, update

from mssante.model import (
    BlobId,
    FolderId,
    MailboxId,
    MailboxKind,
    MailboxStatus,
    SpecialUse,
    Uid,
)
from mssante.reasons import Declined, Passing, Reason, Refused
from mssante.store import tables
from mssante.store.ledger import Ledger, OpenMailbox
from mssante.store.records import (
    SECONDS_PER_DAY,
    Acceptance,
    Accepted,
    Deposit,
    JournalKind,
    Outbound,
    Placed,
    RecipientState,
)

_UID_MAX = 2**32 - 1  # RFC 3501 §9: nz-number

_f, _c = tables.folder.c, tables.chunk.c
_FOLDERS = select(_f.id, _f.mailbox_id, _f.role, _f.uidnext).where(
    or_(
        _f.mailbox_id.in_(bindparam("mailboxes", expanding=True))
        & _f.role.in_(bindparam("roles", expanding=True)),
        _f.id.in_(bindparam("ids", expanding=True)),
    )
)
_FOLDERS_STEP = (
    update(tables.folder)
    .where(_f.id == bindparam("the_id"))
    .values(uidnext=bindparam("new_uidnext"), modseq=bindparam("new_modseq"))
)
_KNOWN = select(tables.dedup.c.key).where(tables.dedup.c.key.in_(bindparam("keys", expanding=True)))
_CHUNKS_THERE = (
    select(_c.blob_id, func.count())
    .where(_c.blob_id.in_(bindparam("blobs", expanding=True)))
    .group_by(_c.blob_id)
)
_BLOB_STARTED = text(
    "INSERT INTO blob (blob_id, started_at) VALUES (:blob_id, :started_at) ON CONFLICT (blob_id) DO NOTHING"
)
_BLOBS_DONE = delete(tables.blob).where(tables.blob.c.blob_id.in_(bindparam("blobs", expanding=True)))
_CHUNKS_GONE = delete(tables.chunk).where(_c.blob_id.in_(bindparam("blobs", expanding=True)))
_NEW_MESSAGES = insert(tables.message).returning(tables.message.c.number, sort_by_parameter_order=True)
_NEW_DEKS = insert(tables.dek)
_NEW_HEADERS = insert(tables.header)
_NEW_CHUNKS = insert(tables.chunk)
_NEW_PLACEMENTS = insert(tables.placement)
_NEW_DEDUP = insert(tables.dedup)
_NEW_OUTBOUNDS = insert(tables.outbound)
_NEW_RECIPIENTS = insert(tables.queue_recipient)


class Arrival(NamedTuple):
    """An acceptance on its way in, at `now`; `origin` is the process it came through."""

    acceptance: Acceptance
    now: int
    origin: str


class Settled(NamedTuple):
    """What became of an arrival, and whom to tell."""

    outcome: Accepted | Declined
    changed: tuple[MailboxId, ...]


@dataclass(slots=True)
class _Place:
    """A folder of this batch: what the next message gets."""

    id: FolderId
    uidnext: int
    modseq: int = 0


@dataclass(slots=True)
class _Batch:
    """What the transaction knows before it writes, and the rows it will write."""

    boxes: dict[MailboxId, OpenMailbox]
    places: dict[tuple[MailboxId, SpecialUse | FolderId], _Place]
    known: set[bytes]
    incomplete: set[BlobId]
    now: int
    deposits: list[tuple[Deposit, _Place | None, Placed | None]] = field(default_factory=list)
    outbounds: list[tuple[int, Outbound]] = field(default_factory=list)  # with their index in deposits
    fresh: list[bytes] = field(default_factory=list)


def append_chunks(
    connection: Connection, blob: BlobId, first_n: int, sealed: list[bytes], started_at: int
) -> None:
    """Keeps chunks `first_n`, `first_n` + 1, … of a message still being received."""
    connection.execute(_BLOB_STARTED, {"blob_id": blob, "started_at": started_at})
    connection.execute(
        _NEW_CHUNKS, [{"blob_id": blob, "n": first_n + i, "ct": ct} for i, ct in enumerate(sealed)]
    )


def abandon_blobs(connection: Connection, blobs: Iterable[BlobId]) -> None:
    """Takes away what was received of messages that will not be kept."""
    gone = {"blobs": list(blobs)}
    connection.execute(_CHUNKS_GONE, gone)
    connection.execute(_BLOBS_DONE, gone)


def accept_batch(connection: Connection, arrivals: list[Arrival]) -> list[Settled]:
    """Keeps each acceptance or answers why not; the answers are in the order of `arrivals`."""
    ledger = Ledger(connection, now=max(arrival.now for arrival in arrivals), origin=arrivals[0].origin)
    deposits = [deposit for arrival in arrivals for deposit in _deposits(arrival.acceptance)]
    batch = _Batch(
        boxes=ledger.open({deposit.mailbox for deposit in deposits}),
        places=_places(connection, deposits),
        known=_known(connection, arrivals),
        incomplete=_incomplete(connection, deposits),
        now=ledger.now,
    )
    outcomes = [_judged(batch, arrival.acceptance) for arrival in arrivals]
    _write(connection, batch)
    flowed = [deposit.blob_id for deposit in deposits if len(deposit.pending_chunks) < deposit.chunk_count]
    if flowed:
        kept = {deposit.blob_id for deposit, _, _ in batch.deposits}
        abandon_blobs(connection, [blob for blob in flowed if blob not in kept])
        connection.execute(_BLOBS_DONE, {"blobs": flowed})
    ledger.close()
    return [
        Settled(outcome, _boxes_of(arrival.acceptance) if isinstance(outcome, Accepted) else ())
        for arrival, outcome in zip(arrivals, outcomes, strict=True)
    ]


def _deposits(acceptance: Acceptance) -> tuple[Deposit, ...]:
    if acceptance.outbound is None:
        return acceptance.deposits
    return (*acceptance.deposits, acceptance.outbound.deposit)


def _boxes_of(acceptance: Acceptance) -> tuple[MailboxId, ...]:
    return tuple(deposit.mailbox for deposit in _deposits(acceptance))


def _places(
    connection: Connection, deposits: list[Deposit]
) -> dict[tuple[MailboxId, SpecialUse | FolderId], _Place]:
    roles, ids = set[str](), set[int]()
    for deposit in deposits:
        if isinstance(deposit.folder, SpecialUse):
            roles.add(deposit.folder)
        elif deposit.folder is not None:
            ids.add(deposit.folder)
    if not roles and not ids:
        return {}
    mailboxes = {deposit.mailbox for deposit in deposits}
    places: dict[tuple[MailboxId, SpecialUse | FolderId], _Place] = {}
    for folder, mailbox, role, uidnext in connection.execute(
        _FOLDERS, {"mailboxes": list(mailboxes), "roles": list(roles), "ids": list(ids)}
    ):
        place = _Place(folder, uidnext)
        places[mailbox, folder] = place
        if role is not None:
            places[mailbox, SpecialUse(role)] = place
    return places


def _known(connection: Connection, arrivals: list[Arrival]) -> set[bytes]:
    keys = [a.acceptance.dedup_key for a in arrivals if a.acceptance.dedup_key is not None]
    return set(connection.execute(_KNOWN, {"keys": keys}).scalars()) if keys else set()


def _incomplete(connection: Connection, deposits: list[Deposit]) -> set[BlobId]:
    """Blobs whose early chunks are not all there (swept, or never written)."""
    early = {d.blob_id: d.chunk_count - len(d.pending_chunks) for d in deposits}
    early = {blob: count for blob, count in early.items() if count}
    if not early:
        return set()
    rows = connection.execute(_CHUNKS_THERE, {"blobs": list(early)})
    there = {row[0]: row[1] for row in rows}
    return {blob for blob, count in early.items() if there.get(blob) != count}


def _judged(batch: _Batch, acceptance: Acceptance) -> Accepted | Declined:
    key = acceptance.dedup_key
    # Before quota and status: a retry after a lost 250 is answered as the first time was.
    if key is not None and key in batch.known:
        return Accepted(True, ())
    try:
        _admit(batch, _deposits(acceptance))
    except Declined as declined:
        return declined
    if key is not None:
        batch.known.add(key)
        batch.fresh.append(key)
    placed = [_take(batch, deposit, acceptance.journal_detail) for deposit in acceptance.deposits]
    if acceptance.outbound is not None:
        batch.outbounds.append((len(batch.deposits), acceptance.outbound))
        _take(batch, acceptance.outbound.deposit, acceptance.journal_detail)
    return Accepted(False, tuple(place for place in placed if place is not None))


def _admit(batch: _Batch, deposits: tuple[Deposit, ...]) -> None:
    """Raises what stands against any of the deposits; changes nothing."""
    wanted: dict[MailboxId, int] = {}
    for deposit in deposits:
        box = batch.boxes.get(deposit.mailbox)
        if box is None:
            raise Refused(Reason.MAILBOX_UNKNOWN)
        if box.status == MailboxStatus.CLOSED:
            raise Refused(Reason.MAILBOX_CLOSED)
        if box.status == MailboxStatus.SUSPENDED:
            raise Passing(Reason.MAILBOX_SUSPENDED)
        wanted[box.id] = wanted.get(box.id, 0) + deposit.size_kib
        if box.quota_kib is not None and box.used_kib + wanted[box.id] > box.quota_kib:
            raise Refused(Reason.MAILBOX_FULL)
        if deposit.folder is None:
            if box.kind != MailboxKind.QUEUE:
                raise Refused(Reason.FOLDER_UNKNOWN)
        else:
            place = batch.places.get((deposit.mailbox, deposit.folder))
            if place is None:
                raise Refused(Reason.FOLDER_UNKNOWN)
            if place.uidnext > _UID_MAX:
                raise Refused(Reason.LIMIT_REACHED)
        if deposit.blob_id in batch.incomplete:
            raise Passing(Reason.STORAGE_UNAVAILABLE, "early chunks are gone")


def _take(batch: _Batch, deposit: Deposit, detail: str) -> Placed | None:
    box = batch.boxes[deposit.mailbox]
    box.used_kib += deposit.size_kib
    modseq = box.step()
    if deposit.folder is None:
        box.record(JournalKind.QUEUED, message_id=deposit.message_id, detail=detail)
        batch.deposits.append((deposit, None, None))
        return None
    place = batch.places[deposit.mailbox, deposit.folder]
    placed = Placed(box.id, place.id, Uid(place.uidnext), modseq)
    place.uidnext += 1
    place.modseq = modseq
    box.record(
        JournalKind.ACCEPTED, message_id=deposit.message_id, folder=place.id, uid=placed.uid, detail=detail
    )
    batch.deposits.append((deposit, place, placed))
    return placed


def _write(connection: Connection, batch: _Batch) -> None:
    if not batch.deposits:
        return
    day = batch.now // SECONDS_PER_DAY
    if batch.fresh:
        connection.execute(_NEW_DEDUP, [{"key": key, "day": day} for key in batch.fresh])
    numbers = connection.execute(_NEW_MESSAGES, [_message(deposit) for deposit, _, _ in batch.deposits])
    numbered = list(zip(numbers.scalars().all(), batch.deposits, strict=True))
    connection.execute(_NEW_DEKS, [_dek(number, deposit) for number, (deposit, _, _) in numbered])
    connection.execute(
        _NEW_HEADERS, [{"message_number": n, "ct": deposit.header_ct} for n, (deposit, _, _) in numbered]
    )
    chunks = [
        {"blob_id": deposit.blob_id, "n": n, "ct": ct}
        for deposit, _, _ in batch.deposits
        for n, ct in deposit.pending_chunks
    ]
    if chunks:
        connection.execute(_NEW_CHUNKS, chunks)
    placements = [_placement(n, deposit, placed, day) for n, (deposit, _, placed) in numbered if placed]
    if placements:
        connection.execute(_NEW_PLACEMENTS, placements)
        places = {place.id: place for _, place, _ in batch.deposits if place}
        connection.execute(
            _FOLDERS_STEP,
            [{"the_id": p.id, "new_uidnext": p.uidnext, "new_modseq": p.modseq} for p in places.values()],
        )
    if batch.outbounds:
        _write_outbounds(connection, batch, [number for number, _ in numbered])


def _write_outbounds(connection: Connection, batch: _Batch, numbers: list[int]) -> None:
    connection.execute(
        _NEW_OUTBOUNDS,
        [
            {"message_number": numbers[index], "envelope_ct": out.envelope_ct, "created_at": batch.now}
            for index, out in batch.outbounds
        ],
    )
    connection.execute(
        _NEW_RECIPIENTS,
        [
            {
                "message_number": numbers[index],
                "destination_tag": recipient.destination_tag,
                "address_ct": recipient.address_ct,
                "state": RecipientState.PENDING,
                "attempts": 0,
                "next_at": recipient.next_at,
            }
            for index, out in batch.outbounds
            for recipient in out.recipients
        ],
    )


def _message(deposit: Deposit) -> dict[str, Any]:
    return {
        "id": deposit.message_id,
        "mailbox_id": deposit.mailbox,
        "blob_id": deposit.blob_id,
        "day": deposit.day,
        "size_kib": deposit.size_kib,
        "chunks": deposit.chunk_count,
        "summary_ct": deposit.summary_ct,
    }


def _dek(number: int, deposit: Deposit) -> dict[str, Any]:
    key = deposit.sealed_key
    return {
        "message_number": number,
        "epoch": key.epoch,
        "suite": int(key.suite),
        "form": key.form,
        "ct": key.ciphertext,
    }


def _placement(number: int, deposit: Deposit, placed: Placed, day: int) -> dict[str, Any]:
    return {
        "folder_id": placed.folder,
        "uid": placed.uid,
        "message_number": number,
        "flags": deposit.flags,
        "modseq": placed.modseq,
        "saved_day": day,
        "size_kib": deposit.size_kib,
    }
