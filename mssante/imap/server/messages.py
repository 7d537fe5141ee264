"""The handlers of COPY, MOVE and EXPUNGE."""

from __future__ import annotations

from mssante.imap.grammar import responses
from mssante.imap.grammar.commands import Copy, Expunge
from mssante.imap.grammar.responses import Code, ResponseStatus
from mssante.imap.server.session import EXPUNGED, OK, Answer, Session
from mssante.reasons import Reason, Refused
from mssante.words.imap import imap_answer


async def copy(session: Session, command: Copy) -> Answer:
    """RFC 3501 §6.4.7, RFC 6851; COPYUID after RFC 4315 §3."""
    selected = session.selected
    uids = session.uids_of(command.messages, uid=command.uid)
    try:
        target = await session.folders.named(command.mailbox)
    except Refused as refused:
        if refused.reason is Reason.FOLDER_UNKNOWN:
            return Answer(ResponseStatus.NO, imap_answer(Reason.FOLDER_UNKNOWN).text, Code.TRYCREATE)
        raise
    by_number = not command.uid and not command.messages.saved
    if by_number and any(selected.row(uid) is None for uid in uids):
        raise Refused(Reason.MESSAGE_GONE)
    pairs = await session.writer.copy(selected.id, uids, target.id, move=command.move)
    if not pairs:
        return OK
    code = responses.code_copy_uid(
        target.folder.uidvalidity, [old for old, _ in pairs], [new for _, new in pairs]
    )
    if command.move:  # RFC 6851 §4.3: COPYUID comes before the EXPUNGE responses
        await session.send(responses.untagged(ResponseStatus.OK, "Moved", code))
        return EXPUNGED
    return Answer(ResponseStatus.OK, "Copied", code)


async def expunge(session: Session, command: Expunge) -> Answer:
    """RFC 3501 §6.4.3, RFC 4315 §2.1. The EXPUNGE responses are told by `Conversation._finish`."""
    uids = None if command.uids is None else session.uids_of(command.uids, uid=True)
    gone = await session.writer.expunge(session.selected.id, uids)
    return EXPUNGED if gone else OK
