"""Flags, copies and moves of many messages at once: one statement, whatever their number. The callers give
only some thousand at a time (`messages`).

Invariants: a row whose flags do not change keeps its modseq (RFC 7162 §3.1.3); a copy touches no key
and no content, only a placement; new UIDs follow the order of the old ones (RFC 4315 §3).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Insert,
    Select,
    Update,
    bindparam,
    func,
    insert,
    literal_column,
    or_,
    select,
    update,
)

from mssante import limits
from mssante.crypto import Closed
from mssante.model import FolderId, ModSeq, Uid
from mssante.reasons import Reason, Refused
from mssante.store import message_reading, tables
from mssante.store.ledger import Ledger, OpenFolder, lock_owner
from mssante.store.packed import Form, Runs, columns, unpacked
from mssante.store.records import (
    SECONDS_PER_DAY,
    FlagsMode,
    FlagsRows,
    JournalKind,
    MessageNumber,
    Uids,
)
from mssante.store.shredding import FOLDER_STEP, remove_placements
from mssante.store.statements import Bulk

_p, _f = tables.placement.c, tables.folder.c
_MASK = bindparam("mask", type_=tables.Number)
# For each mode: what the flags become, and for which messages that is a change.
_NEW_FLAGS: dict[FlagsMode, tuple[ColumnElement[int], ColumnElement[bool]]] = {
    FlagsMode.ADD: (_p.flags.bitwise_or(_MASK), _p.flags.bitwise_and(_MASK) != _MASK),
    FlagsMode.REMOVE: (_p.flags.bitwise_and(_MASK.bitwise_not()), _p.flags.bitwise_and(_MASK) != 0),
    FlagsMode.REPLACE: (_MASK, _p.flags != _MASK),
}
# Each UID of a message that is gone is remembered as long as its folder exists.
_UIDS_GIVEN = select(func.coalesce(func.sum(tables.folder.c.uidnext), 0)).where(
    tables.folder.c.mailbox_id == bindparam("mailbox")
)
_FOLDER_GROW = (
    update(tables.folder)
    .where(_f.id == bindparam("folder"))
    .values(modseq=bindparam("new_modseq"), uidnext=bindparam("new_uidnext"))
)
# A key rotation may have happened meanwhile: what is stored under a newer epoch is not replaced.
_REWRAP = Bulk(
    update(tables.dek)
    .where(
        tables.dek.c.message_number == bindparam("the_number"),
        tables.dek.c.epoch <= bindparam("new_epoch"),
    )
    .values(
        epoch=bindparam("new_epoch"),
        suite=bindparam("new_suite"),
        form=bindparam("new_form"),
        ct=bindparam("new_ct"),
    ),
    *("new_epoch", "new_suite", "new_form", "new_ct", "the_number"),
)
_RELIST = Bulk(
    update(tables.message)
    .where(
        tables.message.c.number == bindparam("the_number"),
        func.coalesce(tables.message.c.listing_epoch, literal_column("0")) <= bindparam("new_epoch"),
    )
    .values(summary_ct=bindparam("new_ct"), listing_epoch=bindparam("new_epoch")),
    *("new_ct", "new_epoch", "the_number"),
)
_LOCK_OWNER = lock_owner(tables.message, tables.message.c.number == bindparam("number"))


@cache
def _flag(form: Form, mode: FlagsMode, unchanged: bool) -> Update:
    value, differs = _NEW_FLAGS[mode]
    step = (
        update(tables.placement)
        .where(_p.folder_id == bindparam("folder"), form.includes(_p.uid), differs)
        .values(flags=value, modseq=bindparam("new_modseq"))
    )
    return step.where(_p.modseq <= bindparam("since")) if unchanged else step


@cache
def _flagged(form: Form, unchanged: bool) -> Select[*tuple[Any, ...]]:
    rows = select(_p.uid, _p.flags, _p.modseq).where(
        _p.folder_id == bindparam("folder"), form.includes(_p.uid)
    )
    if unchanged:
        rows = rows.where(or_(_p.modseq <= bindparam("since"), _p.modseq == bindparam("new_modseq")))
    return columns(rows, order="uid")


@cache
def _copied(form: Form) -> Insert:
    new = {
        name: bindparam(f"new_{name}", type_=tables.Number) for name in ("folder", "first", "modseq", "day")
    }
    copies = select(
        new["folder"],
        new["first"] - 1 + func.row_number().over(order_by=_p.uid),
        _p.message_number,
        _p.flags,
        new["modseq"],
        new["day"],
        _p.size_kib,
    ).where(_p.folder_id == bindparam("folder"), form.includes(_p.uid))
    names = ["folder_id", "uid", "message_number", "flags", "modseq", "saved_day", "size_kib"]
    return insert(tables.placement).from_select(names, copies)


def store_flags(
    ledger: Ledger,
    folder_id: FolderId,
    uids: Uids,
    mode: FlagsMode,
    mask: int,
    *,
    unchanged_since: ModSeq | None = None,
) -> FlagsRows:
    """Adds, removes or replaces flags. Returns the messages of `uids` that exist, with their new flags,
    except those that changed after `unchanged_since`, which are left as they are (RFC 7162 §3.1.3).
    Raises Refused(FOLDER_UNKNOWN)."""
    runs = Runs.of(uids)
    folder = ledger.open_folder(folder_id)
    if not runs:
        return FlagsRows(before=folder.modseq)
    connection = ledger.connection
    modseq = folder.mailbox.modseq + 1
    asked = {"folder": folder_id, "mask": mask, "new_modseq": modseq, **runs.parameters}
    unchanged = unchanged_since is not None
    if unchanged:
        asked["since"] = unchanged_since
    changed = connection.execute(_flag(runs.form, mode, unchanged), asked).rowcount
    if changed:
        folder.mailbox.step()
        connection.execute(FOLDER_STEP, {"folder": folder_id, "new_modseq": modseq})
    now = _flags_now(connection, folder_id, runs, unchanged_since, modseq)
    return replace(now, own=modseq if changed else 0, before=folder.modseq)


def _flags_now(
    connection: Connection, folder: FolderId, runs: Runs, since: ModSeq | None, new: int
) -> FlagsRows:
    asked = {"folder": folder, **runs.parameters}
    if since is not None:
        asked |= {"since": since, "new_modseq": new}
    row = connection.execute(_flagged(runs.form, since is not None), asked).one()
    numbers, flags, modseqs = unpacked(row)
    return FlagsRows(numbers, flags, modseqs)


def copy(
    ledger: Ledger, folder_id: FolderId, uids: Uids, to: FolderId, *, more: int = 0
) -> list[tuple[Uid, Uid]]:
    """Copies the messages of `uids` that exist, with their flags, and returns (old UID, new UID) of each. The
    quota counts a content only once, but every place; there must be room for `more` that follow, too. Raises
    Refused(FOLDER_UNKNOWN) when a folder is gone or belongs to another mailbox, Refused(MAILBOX_FULL),
    Refused(LIMIT_REACHED) when there are no UIDs left."""
    source, target = _both(ledger, folder_id, to)
    pairs = _place_again(ledger, source, target, uids)
    if pairs:
        source.mailbox.require_room(places=len(pairs) + more)
        source.mailbox.places += len(pairs)
        _record(JournalKind.COPIED, source, target, pairs)
    return pairs


def move(ledger: Ledger, folder_id: FolderId, uids: Uids, to: FolderId) -> list[tuple[Uid, Uid]]:
    """As `copy`, but also removes the old placements, in the same transaction (RFC 6851 §3)."""
    source, target = _both(ledger, folder_id, to)
    pairs = _place_again(ledger, source, target, uids)
    if pairs:
        old = Runs.of([old for old, _ in pairs])
        remove_placements(ledger.connection, source.id, old, source.mailbox.step())
        _record(JournalKind.MOVED, source, target, pairs)
    return pairs


def _both(ledger: Ledger, folder_id: FolderId, to: FolderId) -> tuple[OpenFolder, OpenFolder]:
    source = ledger.open_folder(folder_id)
    return source, ledger.folder_of(source.mailbox, to)


def _place_again(ledger: Ledger, source: OpenFolder, target: OpenFolder, uids: Uids) -> list[tuple[Uid, Uid]]:
    runs = Runs.of(uids)
    if not runs:
        return []
    connection = ledger.connection
    asked = {"folder": source.id, **runs.parameters}
    found = message_reading.there(connection, source.id, runs)
    if not found:
        return []
    first = target.uidnext
    given = connection.execute(_UIDS_GIVEN, {"mailbox": source.mailbox.id}).scalar_one()
    if first + len(found) > 2**32 or given + len(found) > limits.UIDS_GIVEN_MAX:
        raise Refused(Reason.LIMIT_REACHED)
    modseq = source.mailbox.step()
    new = {
        "new_folder": target.id,
        "new_first": first,
        "new_modseq": modseq,
        "new_day": ledger.now // SECONDS_PER_DAY,
    }
    connection.execute(_copied(runs.form), asked | new)
    target.uidnext = first + len(found)
    grown = {"folder": target.id, "new_modseq": modseq, "new_uidnext": target.uidnext}
    connection.execute(_FOLDER_GROW, grown)
    return [(Uid(old), Uid(first + i)) for i, old in enumerate(found)]


def _record(kind: JournalKind, source: OpenFolder, target: OpenFolder, pairs: list[tuple[Uid, Uid]]) -> None:
    old = str(Runs.of([uid for uid, _ in pairs]))
    new = str(Runs.of([uid for _, uid in pairs]))
    source.mailbox.record(
        kind, folder=target.id, detail=json.dumps({"from": source.id, "uids": old, "as": new})
    )


def reseal(connection: Connection, messages: Sequence[tuple[MessageNumber, Closed]]) -> None:
    """Replaces DEKs and summaries of one mailbox by forms that open faster, after first use or at a rotation.
    What is stored under a newer epoch stays, and messages that are gone meanwhile are skipped."""
    if messages:
        connection.execute(_LOCK_OWNER, {"number": messages[0][0]})
        _REWRAP.run(
            connection,
            [
                (
                    closed.key.epoch,
                    int(closed.key.suite),
                    closed.key.form.value,
                    closed.key.ciphertext,
                    number,
                )
                for number, closed in messages
            ],
        )
        _RELIST.run(
            connection,
            [(closed.summary_ct, closed.listing_epoch, number) for number, closed in messages],
        )
