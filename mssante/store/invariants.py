"""The invariants of docs/findings.md that one SQL statement can check: each row it returns is a violation.

Invariants: the statements only read. Their columns are `mailbox`, `message`, `folder` and `number`, as far as
a statement knows them; `number` is the number of a message whose identifier is not known.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Exists, ScalarSelect, Select, and_, bindparam, func, or_, select

from mssante.store import tables
from mssante.store.records import RecipientState

_b, _f, _m, _p = tables.mailbox.c, tables.folder.c, tables.message.c, tables.placement.c
_d, _h, _c, _o = tables.dek.c, tables.header.c, tables.chunk.c, tables.outbound.c
_q, _e, _entry, _segment = (
    tables.queue_recipient.c,
    tables.expunged.c,
    tables.index_entry.c,
    tables.index_segment.c,
)
_MESSAGE = select(_m.mailbox_id.label("mailbox"), _m.id.label("message"))
_FOLDER = select(_f.mailbox_id.label("mailbox"), _f.id.label("folder"))
_OPEN = [RecipientState.PENDING.value, RecipientState.IN_FLIGHT.value]
_CHUNKS = (
    select(
        _c.blob_id,
        func.count().label("many"),
        func.min(_c.n).label("low"),
        func.max(_c.n).label("high"),
    )
    .group_by(_c.blob_id)
    .subquery("chunks")
)


def _exists(this: ColumnElement[bool], *more: ColumnElement[bool]) -> Exists:
    """Whether the table that `this` names first has a row for which the conditions hold."""
    return select(1).where(this, *more).exists()


def _highest(column: ColumnElement[int], folder: ColumnElement[int]) -> ScalarSelect[Any]:
    """The highest value of `column` in the folder of the outer statement; 0 if there is none."""
    return select(func.coalesce(func.max(column), 0)).where(folder == _f.id).scalar_subquery()


class InvariantCheck(NamedTuple):
    """`invariant` is its number in docs/findings.md. `broken` selects the violations. Its only parameter, if
    any, is `orphaned`: a blob begun at that time or before must have been swept."""

    invariant: int
    problem: str
    broken: Select[*tuple[Any, ...]]


CHECKS = (
    InvariantCheck(
        1,
        "a message lies in no folder and not in the queue",
        _MESSAGE.where(
            ~_exists(_p.message_number == _m.number),
            ~_exists(_o.message_number == _m.number),
        ),
    ),
    InvariantCheck(
        1,
        "a placement without its message",
        select(_p.folder_id.label("folder"))
        .join_from(tables.placement, tables.message, _m.number == _p.message_number, isouter=True)
        .where(_m.number.is_(None)),
    ),
    InvariantCheck(
        1,
        "a placement in another mailbox's folder",
        _MESSAGE.add_columns(_p.folder_id.label("folder"))
        .select_from(tables.placement)
        .join(tables.message, _m.number == _p.message_number)
        .join(tables.folder, _f.id == _p.folder_id)
        .where(_f.mailbox_id != _m.mailbox_id),
    ),
    InvariantCheck(
        2,
        "a message without its DEK",
        _MESSAGE.select_from(tables.message)
        .outerjoin(tables.dek, _d.message_number == _m.number)
        .where(_d.message_number.is_(None)),
    ),
    InvariantCheck(
        2,
        "a message without its header",
        _MESSAGE.select_from(tables.message)
        .outerjoin(tables.header, _h.message_number == _m.number)
        .where(_h.message_number.is_(None)),
    ),
    InvariantCheck(
        2,
        "a message without all its chunks",
        _MESSAGE.select_from(tables.message)
        .outerjoin(_CHUNKS, _CHUNKS.c.blob_id == _m.blob_id)
        .where(
            or_(
                func.coalesce(_CHUNKS.c.many, 0) != _m.chunks,
                and_(_m.chunks > 0, or_(_CHUNKS.c.low != 0, _CHUNKS.c.high != _m.chunks - 1)),
            )
        ),
    ),
    InvariantCheck(
        2,
        "two messages with one content",
        select(_m.blob_id.label("message")).group_by(_m.blob_id).having(func.count() > 1),
    ),
    InvariantCheck(
        3,
        "a DEK without its message",
        select(_d.message_number.label("number"))
        .join_from(tables.dek, tables.message, _m.number == _d.message_number, isouter=True)
        .where(_m.number.is_(None)),
    ),
    InvariantCheck(
        3,
        "chunks of no message and of none being received",
        select(_c.blob_id.label("message"))
        .distinct()
        .where(
            _c.blob_id.not_in(select(_m.blob_id)),
            _c.blob_id.not_in(select(tables.blob.c.blob_id)),
        ),
    ),
    InvariantCheck(
        3,
        "a message in another mailbox's index",
        _MESSAGE.select_from(tables.index_entry)
        .join(tables.index_segment, _segment.id == _entry.segment_id)
        .outerjoin(tables.message, _m.number == _entry.message_number)
        .where(or_(_m.number.is_(None), _m.mailbox_id != _segment.mailbox_id)),
    ),
    InvariantCheck(
        9,
        "an abandoned reception older than an hour",
        select(tables.blob.c.blob_id.label("message")).where(
            tables.blob.c.started_at <= bindparam("orphaned")
        ),
    ),
    InvariantCheck(
        4,
        "a UID the folder has not given out yet",
        _FOLDER.where(
            or_(_f.uidnext <= _highest(_p.uid, _p.folder_id), _f.uidnext <= _highest(_e.uid, _e.folder_id))
        ),
    ),
    InvariantCheck(
        4,
        "a UID both present and expunged",
        select(_p.folder_id.label("folder")).join_from(
            tables.placement, tables.expunged, and_(_e.folder_id == _p.folder_id, _e.uid == _p.uid)
        ),
    ),
    InvariantCheck(
        4,
        "a change newer than its folder",
        _FOLDER.where(
            or_(
                _f.modseq < _highest(_p.modseq, _p.folder_id),
                _f.modseq < _highest(_e.modseq, _e.folder_id),
            )
        ),
    ),
    InvariantCheck(
        4,
        "a folder newer than its mailbox",
        select(_b.id.label("mailbox"), _f.id.label("folder"))
        .join_from(tables.folder, tables.mailbox, _b.id == _f.mailbox_id)
        .where(_f.modseq > _b.modseq),
    ),
    InvariantCheck(
        4,
        "sizes that do not add up to what is used",
        select(_b.id.label("mailbox")).where(
            _b.used_kib
            != select(func.coalesce(func.sum(_m.size_kib), 0)).where(_m.mailbox_id == _b.id).scalar_subquery()
        ),
    ),
    InvariantCheck(
        4,
        "places that are not as many as counted",
        select(_b.id.label("mailbox")).where(
            _b.places
            != select(func.count())
            .select_from(tables.placement.join(tables.folder, _f.id == _p.folder_id))
            .where(_f.mailbox_id == _b.id)
            .scalar_subquery()
        ),
    ),
    InvariantCheck(
        4,
        "expunged UIDs of no folder",
        select(_e.folder_id.label("folder"))
        .distinct()
        .where(
            ~_exists(_f.id == _e.folder_id),
            ~_exists(tables.deleted_folder.c.folder_id == _e.folder_id),
        ),
    ),
    InvariantCheck(
        6,
        "a recipient in no known state",
        select(_q.message_number.label("number")).where(
            or_(
                _q.state.not_in([state.value for state in RecipientState]),
                and_(_q.state == RecipientState.IN_FLIGHT.value, _q.leased_until.is_(None)),
                and_(_q.state == RecipientState.IN_FLIGHT.value, _q.leased_by.is_(None)),
                and_(_q.state != RecipientState.IN_FLIGHT.value, _q.leased_until.is_not(None)),
                and_(_q.state != RecipientState.IN_FLIGHT.value, _q.leased_by.is_not(None)),
            )
        ),
    ),
    InvariantCheck(
        6,
        "a remote answer that was not kept",
        select(_q.message_number.label("number")).where(
            _q.state.in_([RecipientState.DELIVERED.value, RecipientState.BOUNCED.value]),
            _q.reply_ct.is_(None),
        ),
    ),
    InvariantCheck(
        6,
        "a queued message with nobody left to reach",
        _MESSAGE.join_from(tables.outbound, tables.message, _m.number == _o.message_number).where(
            ~_exists(_q.message_number == _o.message_number, _q.state.in_(_OPEN))
        ),
    ),
)
