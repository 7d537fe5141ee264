"""Reading messages: sealed metadata in stretches, sealed keys, content by chunks.

Invariants: nothing is opened here; every function reads on the one snapshot of its caller, so that its
answers fit together.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

from sqlalchemy import Connection, Select, and_, bindparam, null, select
from sqlalchemy.engine.interfaces import DBAPICursor

from mssante.limits import READ_ROWS_AT_ONCE
from mssante.model import BlobId, Flag, FolderId
from mssante.store import tables
from mssante.store.packed import Form, Runs, columns, unpacked
from mssante.store.records import MessageNumber, Place, SealedDek, SealedMessage, Uids

_p, _m, _d, _c, _h = (
    tables.placement.c,
    tables.message.c,
    tables.dek.c,
    tables.chunk.c,
    tables.header.c,
)
_first, _count = bindparam("first", type_=tables.Number), bindparam("count", type_=tables.Number)
_CHUNKS = (
    select(_c.ct)
    .where(_c.blob_id == bindparam("blob"), _c.n >= _first, _c.n < _first + _count)
    .order_by(_c.n)
)

_IN_FOLDER = select(_p.uid).where(_p.folder_id == bindparam("folder"))
_ALL = columns(_IN_FOLDER, order="uid")
_DELETED = columns(_IN_FOLDER.where(_p.flags.bitwise_and(Flag.DELETED.value) != 0), order="uid")


@cache
def _summaries(form: Form, header: bool) -> Select[*tuple[Any, ...]]:
    listed = tables.placement.join(tables.message, _m.number == _p.message_number)
    if header:
        listed = listed.outerjoin(tables.header, _h.message_number == _p.message_number)
    wanted = _p.uid, _m.number, _m.id, _m.blob_id, _m.listing_epoch, _m.summary_ct
    return (
        select(*wanted, _h.ct if header else null())
        .select_from(listed)
        .where(_p.folder_id == bindparam("folder"), form.includes(_p.uid))
        .order_by(_p.uid)
    )


@cache
def _there(form: Form) -> Select[*tuple[Any, ...]]:
    return columns(
        select(_p.uid).where(_p.folder_id == bindparam("folder"), form.includes(_p.uid)), order="uid"
    )


@cache
def _places(form: Form) -> Select[*tuple[Any, ...]]:
    return (
        select(_p.uid, _m.id, _p.saved_day)
        .join_from(tables.placement, tables.message, _m.number == _p.message_number)
        .where(_p.folder_id == bindparam("folder"), form.includes(_p.uid))
        .order_by(_p.uid)
    )


@cache
def _present(form: Form) -> Select[int]:
    return select(_m.number).where(form.includes(_m.number))


@cache
def _deks(form: Form, contents: bool) -> Select[*tuple[Any, ...]]:
    key = _d.message_number, _d.epoch, _d.suite, _d.form, _d.ct
    wanted = select(*key, _c.ct if contents else null()).select_from(tables.dek)
    if contents:
        small = and_(_m.chunks == 1, _c.blob_id == _m.blob_id, _c.n == 0)
        wanted = wanted.join(tables.message, _m.number == _d.message_number).outerjoin(tables.chunk, small)
    return wanted.where(form.includes(_d.message_number)).order_by(_d.message_number)


def there(connection: Connection, folder: FolderId, uids: Runs) -> Sequence[int]:
    """Those of `uids` that exist, ascending. There must be one in `uids`."""
    row = connection.execute(_there(uids.form), {"folder": folder, **uids.parameters}).one()
    return unpacked(row)[0]


def to_expunge(connection: Connection, folder: FolderId, *, deleted_only: bool) -> Sequence[int]:
    """The UIDs of a folder whose messages have \\Deleted, or all of them, ascending."""
    found = connection.execute(_DELETED if deleted_only else _ALL, {"folder": folder}).one()
    return unpacked(found)[0]


def summaries(
    connection: Connection,
    folder_id: FolderId,
    wanted: Uids,
    *,
    header: bool = False,
    bytes_max: int | None = None,
) -> list[SealedMessage]:
    """The messages of `wanted` that exist, in ascending UID, with the sealed header if asked for. A row takes
    1 to 3 KiB, with the header up to 64. Reading stops some rows after `bytes_max`; the caller then asks
    again from the last UID on."""
    runs = Runs.of(wanted)
    if not runs:
        return []
    asked = {"folder": folder_id, **runs.parameters}
    rows = _drivers_rows(connection, _summaries(runs.form, header), asked, bytes_max)
    return list(map(SealedMessage._make, rows))


def places(connection: Connection, folder_id: FolderId, wanted: Uids) -> list[Place]:
    """The messages of `wanted` that are there, in ascending UID."""
    runs = Runs.of(wanted)
    if not runs:
        return []
    rows = _drivers_rows(connection, _places(runs.form), {"folder": folder_id, **runs.parameters})
    return list(map(Place._make, rows))


def chunks(connection: Connection, blob: BlobId, first_n: int, count: int) -> list[bytes]:
    """At most `count` sealed chunks from `first_n` on, fewer at the end. If one is missing, opening fails."""
    return list(connection.execute(_CHUNKS, {"blob": blob, "first": first_n, "count": count}).scalars().all())


def present(connection: Connection, numbers: Sequence[MessageNumber]) -> set[MessageNumber]:
    """Those of `numbers` that are not shredded."""
    runs = Runs.of(numbers)
    if not runs:
        return set()
    return set(map(MessageNumber, connection.execute(_present(runs.form), runs.parameters).scalars()))


def deks(
    connection: Connection, numbers: Sequence[MessageNumber], *, contents: bool = False
) -> list[SealedDek]:
    """The DEKs of messages, in ascending number. With `contents`, also the content of those that are a single
    chunk, so that many small messages take one round trip."""
    runs = Runs.of(numbers)
    if not runs:
        return []
    rows = _drivers_rows(connection, _deks(runs.form, contents), runs.parameters)
    return list(map(SealedDek._make, rows))


def _drivers_rows(
    connection: Connection,
    statement: Select[*tuple[Any, ...]],
    asked: dict[str, Any],
    bytes_max: int | None = None,
) -> Sequence[Any]:
    """The rows as the driver gives them: making SQLAlchemy's rows of them would cost half as much again."""
    result = connection.execute(statement, asked)
    assert result.cursor is not None
    rows = result.cursor.fetchall() if bytes_max is None else _up_to(bytes_max, result.cursor)
    result.close()
    return rows


def _up_to(bytes_max: int, cursor: DBAPICursor) -> list[Any]:
    rows: list[Any] = []
    held = 0
    while held < bytes_max and (more := cursor.fetchmany(READ_ROWS_AT_ONCE)):
        rows += more
        held += sum(len(row[-2]) + len(row[-1] or b"") for row in more)
    return rows
