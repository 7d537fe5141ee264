"""A COPY of so many messages that it takes several transactions, of which all is kept, or nothing.

RFC 3501 §6.4.7 asks for it. Each transaction places some thousand messages, with UIDs and a modseq of their
own, and letters that arrive meanwhile get UIDs between them: what a reader has seen never gets a neighbour
with a lower UID or modseq later. With its places each transaction notes which UIDs it gave. The last one
deletes the notes. If it never comes, because the quota is reached, the target is deleted or the process is
killed, the noted places are taken back, newest first: by the command itself, at the start of the only
process, or by the sweep once a copy has written nothing for COPY_DEAD_SECONDS.

Invariants: a copy that was taken for dead writes nothing more; a place that is the only one its message has
left is not taken back, so that no letter is lost when the originals were expunged meanwhile.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Select, bindparam, delete, func, insert, or_, select

from mssante import limits
from mssante.model import FolderId, Uid
from mssante.reasons import Passing, Reason
from mssante.store import message_writing, tables
from mssante.store.ledger import Ledger
from mssante.store.packed import Runs
from mssante.store.records import JournalKind, Uids
from mssante.store.shredding import remove_placements

_n, _p, _q = tables.copied_slice.c, tables.placement.c, tables.placement.alias("elsewhere").c
_OF_COPY = _n.copy_id == bindparam("copy")
_NOTE = insert(tables.copied_slice)
_NOTED = select(func.count()).where(_OF_COPY)
_FORGET = delete(tables.copied_slice).where(_OF_COPY)
_NEWEST = select(_n.low, _n.high, _n.folder_id).where(_OF_COPY).order_by(_n.low.desc()).limit(1)
_FORGET_NEWEST = delete(tables.copied_slice).where(_OF_COPY, _n.low == bindparam("lowest"))
_DEAD = select(_n.copy_id).group_by(_n.copy_id).having(func.max(_n.at) <= bindparam("before"))
_LYING_ELSEWHERE = (
    select(1)
    .where(
        _q.message_number == _p.message_number,
        or_(_q.folder_id != _p.folder_id, _q.uid != _p.uid),
    )
    .exists()
)
_TO_TAKE_BACK: Select[Any] = (
    select(_p.uid)
    .where(
        _p.folder_id == bindparam("folder"),
        _p.uid.between(bindparam("low"), bindparam("high")),
        _LYING_ELSEWHERE,
    )
    .order_by(_p.uid)
)


def copy_slice(
    ledger: Ledger,
    copy: int,
    folder: FolderId,
    uids: Uids,
    to: FolderId,
    *,
    noted: bool,
    more: int,
) -> list[tuple[Uid, Uid]]:
    """Copies the messages of `uids` that exist, as `message_writing.copy`, as a part of the copy number
    `copy`. `noted`: an earlier part has placed messages. `more`: how many messages are left to later parts,
    for which there must be room too; 0 for the last part. Raises as `message_writing.copy`, and Passing when
    the copy was taken for dead."""
    connection = ledger.connection
    pairs = message_writing.copy(ledger, folder, uids, to, more=more)
    if noted and not connection.execute(_NOTED, {"copy": copy}).scalar():
        raise Passing(Reason.STORAGE_UNAVAILABLE, "this COPY was taken for dead")
    if not more:
        connection.execute(_FORGET, {"copy": copy})
    elif pairs:
        note = {"copy_id": copy, "folder_id": to, "at": ledger.now}
        connection.execute(_NOTE, note | {"low": pairs[0][1], "high": pairs[-1][1]})
    return pairs


def take_back_slice(ledger: Ledger, copy: int) -> bool:
    """Takes back what the newest part of a copy placed. Returns False when nothing is left."""
    connection = ledger.connection
    part = connection.execute(_NEWEST, {"copy": copy}).first()
    if part is None:
        return False
    folder = ledger.open_folder(part.folder_id)
    # Another host may have done it before the mailbox was locked.
    if connection.execute(_FORGET_NEWEST, {"copy": copy, "lowest": part.low}).rowcount:
        asked = {"folder": folder.id, "low": part.low, "high": part.high}
        runs = Runs.of(connection.execute(_TO_TAKE_BACK, asked).scalars().all())
        if runs:
            remove_placements(connection, folder.id, runs, folder.mailbox.step())
            folder.mailbox.places -= runs.count
            folder.mailbox.record(JournalKind.COPY_UNDONE, folder=folder.id, detail=f'{{"uids": "{runs}"}}')
    return True


def dead(connection: Connection, before: int) -> list[int]:
    """The copies that were never finished and have written nothing after `before`."""
    return list(connection.execute(_DEAD, {"before": before}).scalars())


def last_sign(now: int) -> int:
    """Since when a copy must have written something, not to be taken for dead."""
    return now - limits.COPY_DEAD_SECONDS
