"""STORE and UID STORE (RFC 3501 §6.4.6), conditional ones included (RFC 7162 §3.1.3).

Invariants: the condition of a conditional STORE is checked and the flags are set in one transaction, message
by message; the messages it did not change are told with their flags, so that the client need not ask; what
somebody else changed meanwhile is always told, even after a silent STORE.
"""

from __future__ import annotations

from collections.abc import Sequence

from mssante.imap.grammar import responses
from mssante.imap.grammar.commands import Store, StoreMode
from mssante.imap.grammar.responses import ResponseStatus
from mssante.imap.rules.fetched import change_lines, modseq_lines
from mssante.imap.server.session import OK, Answer, Session
from mssante.limits import IMAP_LINES_AT_ONCE
from mssante.mailbox.turns import breathe
from mssante.reasons import Reason, Refused
from mssante.store.records import FlagsMode, FlagsRows

_MODES = {
    StoreMode.ADD: FlagsMode.ADD,
    StoreMode.REMOVE: FlagsMode.REMOVE,
    StoreMode.REPLACE: FlagsMode.REPLACE,
}


async def store(session: Session, command: Store) -> Answer:
    """Answers OK, OK or NO [MODIFIED …], NO [EXPUNGEISSUED]."""
    selected = session.selected
    uids = session.uids_of(command.messages, uid=command.uid)
    names = (await session.flag_words()).names
    if command.mode is StoreMode.REMOVE:
        mask = names.mask(command.flags)  # no message has a keyword that is not known: nothing to remove
    else:
        mask, names = await session.writer.mask(command.flags, names)
        await session.tell_flags(names)
    rows = await session.writer.flags(
        selected.id, uids, _MODES[command.mode], mask, unchanged_since=command.unchanged_since
    )
    alone = await selected.learn(rows)
    await _tell(session, command, rows)
    if len(rows) == len(uids):
        # What somebody else did meanwhile is told with this answer, even if the client asked for silence:
        # .SILENT is about the client's own changes only.
        if not alone:
            await session.look()
        return OK
    await session.look()
    return await _left(session, command, sorted(set(uids).difference(rows.uids)))


async def _tell(session: Session, command: Store, rows: FlagsRows) -> None:
    """Sends the FETCH responses; for a silent STORE only mod-sequences, if the client has enabled them."""
    view, modseq = session.selected.view, session.protocol.tells_modseq
    if command.silent and not modseq:
        return
    for start in range(0, len(rows), IMAP_LINES_AT_ONCE):
        part = rows[start : start + IMAP_LINES_AT_ONCE]
        some = [each for each in zip(view.numbers_of(part.uids), part, strict=True) if each[0]]
        if command.silent:
            told = modseq_lines((number, row.uid, row.modseq) for number, row in some)
        else:
            render = (await session.flag_words()).render
            changes = [session.selected.change(number, row, render) for number, row in some]
            told = change_lines(changes, uid=command.uid or session.protocol.rev2, modseq=modseq)
        await session.send(told)
        await breathe()


async def _left(session: Session, command: Store, uids: Sequence[int]) -> Answer:
    """What became of the messages that were not changed: modified by others, or gone."""
    selected, view = session.selected, session.selected.view
    there = [row for uid in uids if (row := selected.row(uid)) is not None]
    by_number = not command.uid and not command.messages.saved
    status = ResponseStatus.NO if by_number and len(there) < len(uids) else ResponseStatus.OK
    if not there:
        if status is ResponseStatus.OK:
            return OK
        raise Refused(Reason.MESSAGE_GONE)
    render = (await session.flag_words()).render
    modified = [(number, row) for row in there if (number := view.sequence_of(row.uid)) is not None]
    for start in range(0, len(modified), IMAP_LINES_AT_ONCE):
        some = modified[start : start + IMAP_LINES_AT_ONCE]
        changes = [selected.change(number, row, render) for number, row in some]
        await session.send(change_lines(changes, modseq=True))
        await breathe()
    told = [row.uid if command.uid else number for number, row in modified]
    return Answer(status, "Conditional STORE failed", responses.code_modified(told))
