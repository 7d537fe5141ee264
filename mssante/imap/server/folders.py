"""The handlers of commands on folders: SELECT, LIST, STATUS, CREATE, quotas and the like."""

from __future__ import annotations

from mssante.imap.grammar import encode, responses
from mssante.imap.grammar.commands import (
    Close,
    Create,
    Delete,
    GetQuota,
    GetQuotaRoot,
    List,
    Lsub,
    Namespace,
    Rename,
    Resync,
    Select,
    Status,
    Subscribe,
    Unselect,
)
from mssante.imap.grammar.flags import FlagWords
from mssante.imap.grammar.listing import ListedFolder, StatusItem
from mssante.imap.grammar.responses import Code, ResponseStatus
from mssante.imap.grammar.sets import SequenceSet
from mssante.imap.rules import listing
from mssante.imap.rules.fetched import change_lines
from mssante.imap.server.selected import Selected
from mssante.imap.server.session import OK, Answer, Session, flags_told
from mssante.limits import IMAP_LINES_AT_ONCE
from mssante.mailbox.folders import NamedFolder
from mssante.mailbox.turns import breathe
from mssante.model import INBOX, FolderId
from mssante.reasons import Reason, Refused

QUOTA_ROOT = ""


async def select(session: Session, command: Select) -> Answer:
    """RFC 3501 §6.3.1. The previous folder is closed first, so after a failed SELECT none is selected."""
    if session.picked is not None:
        session.unselect()
        await session.send(responses.untagged(ResponseStatus.OK, "Previous folder closed", Code.CLOSED))
    folder = await session.folders.named(command.mailbox)
    read_only = command.read_only or session.mailbox.read_only
    rev2 = session.protocol.rev2
    selected = await Selected.open(session.mailbox.store, folder, read_only=read_only, recent=not rev2)
    words = FlagWords(await session.folders.flag_names())
    resync = command.resync
    if resync is not None and resync.uid_validity != folder.folder.uidvalidity:
        resync = None  # RFC 7162 §3.2.5: what the client remembers is of an earlier folder of this name
    vanished = [] if resync is None else await selected.expunged_since(resync.modseq, resync.known)
    uids, now = selected.view.uids, folder.folder
    # A message may have come after the folder was looked up: UIDNEXT must be above its UID too.
    uid_next = max(now.uidnext, uids[-1] + 1 if uids else 1)
    told = [
        flags_told(words, read_only=read_only),
        responses.exists(len(uids)),
        await _own_row(session, folder.name) if rev2 else responses.recent(selected.view.recent_count),
        responses.untagged(
            ResponseStatus.OK, "UIDs are for ever", responses.code_uid_validity(now.uidvalidity)
        ),
        responses.untagged(ResponseStatus.OK, "Next UID", responses.code_uid_next(uid_next)),
        responses.untagged(
            ResponseStatus.OK, "The folder's", responses.code_mailbox_id(_mailbox_id(folder.id))
        ),
    ]
    told.append(
        responses.untagged(ResponseStatus.OK, "Highest", responses.code_highest_modseq(selected.complete))
    )
    first_unseen = selected.first_unseen()
    if first_unseen is not None and not rev2:
        told.append(
            responses.untagged(ResponseStatus.OK, "First unseen", responses.code_unseen(first_unseen))
        )
    await session.send(b"".join(told))
    session.select(selected, words)
    if resync is not None:
        await session.tell_vanished_earlier(vanished)
        await _tell_changed(session, words, resync)
    return Answer(ResponseStatus.OK, "Selected", Code.READ_ONLY if read_only else Code.READ_WRITE)


async def _own_row(session: Session, name: str, *, old_name: str | None = None) -> bytes:
    """The LIST response of one folder, sent unasked by SELECT and RENAME (RFC 9051 §6.3.2, §6.3.6)."""
    row = listing.row_of(name, await _listed(session, await session.folders.all()), old_name=old_name)
    return b"" if row is None else responses.listed([row], utf8=session.protocol.rev2)


async def _tell_changed(session: Session, words: FlagWords, resync: Resync) -> None:
    """The flags that changed while the client was away (RFC 7162 §3.2.5.1)."""
    selected = session.selected
    known = resync.known or SequenceSet((), 1)
    for place in selected.changed_since(selected.places(known, uid=True), resync.modseq):
        for start in range(place.start, place.stop, IMAP_LINES_AT_ONCE):
            some = range(start, min(start + IMAP_LINES_AT_ONCE, place.stop))
            await session.send(change_lines(selected.changes([some], words.render), modseq=True))
            await breathe()


async def close(session: Session, command: Close) -> Answer:
    """RFC 3501 §6.4.2: removes the messages marked \\Deleted, without telling so."""
    if not session.selected.read_only:
        await session.writer.expunge(session.selected.id, None)
    session.unselect()
    return OK


async def unselect(session: Session, command: Unselect) -> Answer:
    """RFC 3691."""
    session.unselect()
    return OK


async def create(session: Session, command: Create) -> Answer:
    """RFC 3501 §6.3.3. Every mailbox has all special folders from the first day, so a CREATE with USE is
    always refused."""
    if command.use is not None:
        text = "Ce dossier special existe deja / That special folder exists already"
        return Answer(ResponseStatus.NO, text, Code.USEATTR)
    made = await session.folders.create(command.mailbox)
    return Answer(ResponseStatus.OK, "Created", responses.code_mailbox_id(_mailbox_id(made)))


async def delete(session: Session, command: Delete) -> Answer:
    """RFC 3501 §6.3.4."""
    gone = await session.folders.delete(command.mailbox)
    if session.picked is not None and session.picked.id == gone:
        session.unselect()
        await session.send(responses.untagged(ResponseStatus.OK, "The folder is gone", Code.CLOSED))
    return OK


async def rename(session: Session, command: Rename) -> Answer:
    """RFC 3501 §6.3.5."""
    await session.folders.rename(command.source, command.target)
    # RFC 9051 §6.3.6: tells the client that the old name is gone; INBOX still exists after its RENAME.
    if session.protocol.rev2 and command.source != INBOX:
        await session.send(await _own_row(session, command.target, old_name=command.source))
    return OK


async def subscribe(session: Session, command: Subscribe) -> Answer:
    """RFC 3501 §6.3.6 and §6.3.7."""
    await session.folders.subscribe(command.mailbox, on=command.on)
    return OK


async def list_(session: Session, command: List) -> Answer:
    """RFC 3501 §6.3.8, RFC 5258, RFC 5819."""
    folders = await session.folders.all()
    rows = listing.rows(command.listing, await _listed(session, folders))
    by_name = {each.name: each for each in folders}
    for row in rows:
        told = responses.listed([row], utf8=session.protocol.rev2)
        if command.listing.status and row.selectable and row.name in by_name:
            told += await _status(session, by_name[row.name], command.listing.status)
        await session.send(told)
    return OK


async def lsub(session: Session, command: Lsub) -> Answer:
    """RFC 3501 §6.3.9."""
    folders = await _listed(session, await session.folders.all())
    rows = listing.lsub_rows(command.reference, command.pattern, folders)
    await session.send(responses.listed(rows, verb=b"LSUB", utf8=session.protocol.rev2))
    return OK


async def _listed(session: Session, folders: list[NamedFolder]) -> list[ListedFolder]:
    return [
        *(
            ListedFolder(each.name, subscribed=each.folder.subscribed, use=each.folder.role)
            for each in folders
        ),
        *(
            ListedFolder(name, subscribed=True, exists=False)
            for name in await session.folders.subscribed_names()
        ),
    ]


async def status(session: Session, command: Status) -> Answer:
    """RFC 3501 §6.3.10."""
    folder = await session.folders.named(command.mailbox)
    await session.send(await _status(session, folder, command.items))
    return OK


async def _status(session: Session, folder: NamedFolder, items: tuple[StatusItem, ...]) -> bytes:
    counts = await session.mailbox.store.folders.counts(folder.id)
    values: dict[StatusItem, int | bytes] = {
        StatusItem.MESSAGES: counts.messages,
        StatusItem.RECENT: counts.recent,
        StatusItem.UIDNEXT: counts.uidnext,
        StatusItem.UIDVALIDITY: counts.uidvalidity,
        StatusItem.UNSEEN: counts.unseen,
        StatusItem.SIZE: counts.size_kib * 1024,  # RFC 8438 §2: it may exceed the exact sum, not undercut it
        StatusItem.DELETED: counts.deleted,
        StatusItem.HIGHESTMODSEQ: counts.modseq,
        StatusItem.DELETED_STORAGE: counts.deleted_kib,
        StatusItem.APPENDLIMIT: session.service.message_octets_max,
        StatusItem.MAILBOXID: encode.object_id(_mailbox_id(folder.id)),
    }
    told = {item: values[item] for item in items}
    return responses.status(folder.name, told, utf8=session.protocol.rev2)


def _mailbox_id(folder: FolderId) -> str:
    """RFC 8474 §4: made of the folder's number, which is never used again and stays when the folder is
    renamed. It gives nothing away that UIDVALIDITY does not."""
    return f"F{folder}"


async def namespace(session: Session, command: Namespace) -> Answer:
    """RFC 2342."""
    await session.send(responses.namespace())
    return OK


async def quota(session: Session, command: GetQuota) -> Answer:
    """RFC 9208 §4.1.2."""
    told = await _quota(session)
    if command.root != QUOTA_ROOT or not told:
        raise Refused(Reason.FOLDER_UNKNOWN)
    await session.send(told)
    return OK


async def quota_root(session: Session, command: GetQuotaRoot) -> Answer:
    """RFC 9208 §4.1.3. A mailbox without a size limit has no quota root."""
    folder, told = await session.folders.named(command.mailbox), await _quota(session)
    roots = [QUOTA_ROOT] if told else []
    await session.send(responses.quota_root(folder.name, roots, utf8=session.protocol.rev2) + told)
    return OK


async def _quota(session: Session) -> bytes:
    row = await session.mailbox.store.accounts.by_id(session.mailbox.id)
    if row.quota_kib is None:
        return b""
    return responses.quota(QUOTA_ROOT, {"STORAGE": (row.used_kib, row.quota_kib)})
