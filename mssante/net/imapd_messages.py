"""Commands on messages besides FETCH: STORE, SEARCH, COPY, MOVE, EXPUNGE, IDLE."""

from __future__ import annotations

import asyncio
from itertools import islice

from mssante.imap import responses
from mssante.imap.commands import Copy, Expunge, Idle, Search, Store, StoreMode
from mssante.imap.events import RawLine
from mssante.imap.fetched import Change, change_lines
from mssante.imap.flags import RECENT
from mssante.imap.matching import Context
from mssante.imap.responses import Code, Status
from mssante.mailbox.reading import breathe
from mssante.net.imapd_talk import OK, Answer, Talk
from mssante.reasons import Passing, Reason, Refused
from mssante.store.records import FlagsMode

_LINES_AT_ONCE = 2000
_MODES = {
    StoreMode.ADD: FlagsMode.ADD,
    StoreMode.REMOVE: FlagsMode.REMOVE,
    StoreMode.REPLACE: FlagsMode.REPLACE,
}


async def store(talk: Talk, command: Store) -> Answer:
    """RFC 3501 §6.4.6."""
    selected = talk.selected
    places = talk.places(command.messages, uid=command.uid)
    names = await talk.names()
    if command.mode is StoreMode.REMOVE:
        mask = names.mask(command.flags)  # what nobody knows, nothing carries
    else:
        mask, names = await talk.writer.mask(command.flags, names)
        await talk.tell_names(names)
    rows = await talk.writer.flags(selected.id, talk.uids_at(places), _MODES[command.mode], mask)
    changed = selected.learn(places, rows)
    while batch := list(islice(changed, _LINES_AT_ONCE)):
        # Even a silent STORE tells what somebody else did to these flags.
        told = [
            (sequence, uid, new)
            for sequence, uid, old, new in batch
            if not command.silent or new != _stored(command.mode, old, mask)
        ]
        names = await talk.names()
        await talk.send(
            change_lines((Change(n, uid, names.render(new), 0) for n, uid, new in told), uid=command.uid)
        )
        await breathe()
    if not command.uid and len(rows) < sum(map(len, places)):
        return Answer(Status.NO, "Some messages are no longer there", Code.EXPUNGEISSUED)
    return OK


def _stored(mode: StoreMode, old: int, mask: int) -> int:
    """What the client itself expects."""
    match mode:
        case StoreMode.ADD:
            return old | mask
        case StoreMode.REMOVE:
            return old & ~mask
        case StoreMode.REPLACE:
            return mask | old & RECENT


async def search(talk: Talk, command: Search) -> Answer:
    """RFC 3501 §6.4.4, RFC 4731."""
    view = talk.selected.view
    found = await talk.searcher.search(talk.selected, command.query.key, await search_context(talk))
    numbers = found if command.uid else [n for uid in found if (n := view.sequence_of(uid)) is not None]
    if command.query.results is None:
        await talk.send(responses.search(numbers))
    else:
        # The tag is that of the command being answered: RFC 4731 §3.1 correlates by it.
        await talk.send(responses.esearch(talk.tag, numbers, command.query.results, uid=command.uid))
    return OK


async def search_context(talk: Talk) -> Context:
    """What the search keys of a command mean now."""
    view = talk.selected.view
    return Context(
        names=await talk.folders.flag_names(),
        last_sequence=len(view),
        last_uid=view.uids[-1] if view.uids else 0,
        now=talk.service.clock.now(),
    )


async def copy(talk: Talk, command: Copy) -> Answer:
    """RFC 3501 §6.4.7, RFC 6851; COPYUID after RFC 4315 §3."""
    selected = talk.selected
    uids = talk.uids_of(command.messages, uid=command.uid)
    try:
        target = await talk.folders.named(command.mailbox)
    except Refused as refused:
        if refused.reason is Reason.FOLDER_UNKNOWN:
            return Answer(Status.NO, "No such folder", Code.TRYCREATE)
        raise
    if not command.uid and any(selected.mask_of(uid) is None for uid in uids):
        return Answer(Status.NO, "Some messages are no longer there", Code.EXPUNGEISSUED)
    pairs = await talk.writer.copy(selected.id, uids, target.id, move=command.move)
    if not pairs:
        return OK
    code = responses.code_copy_uid(
        target.folder.uidvalidity, [old for old, _ in pairs], [new for _, new in pairs]
    )
    if command.move:  # RFC 6851 §4.3: COPYUID comes before the EXPUNGE responses
        await talk.send(responses.untagged(Status.OK, "Moved", code))
        return OK
    return Answer(Status.OK, "Copied", code)


async def expunge(talk: Talk, command: Expunge) -> Answer:
    """RFC 3501 §6.4.3, RFC 4315 §2.1. The EXPUNGE responses come with the news."""
    uids = None if command.uids is None else talk.uids_of(command.uids, uid=True)
    await talk.writer.expunge(talk.selected.id, uids)
    return OK


async def idle(talk: Talk, command: Idle) -> Answer:
    """RFC 2177: news at once, until DONE."""
    talk.wire.expect_line()
    await talk.send(responses.continuation("idling"))
    line = asyncio.ensure_future(talk.next_event(patient=True))
    try:
        with talk.mailbox.store.subscribe(talk.mailbox.id) as changed:
            while not line.done():
                await _news_while_idle(talk)
                news = asyncio.ensure_future(changed.wait())
                try:
                    await asyncio.wait((line, news), return_when=asyncio.FIRST_COMPLETED)
                finally:
                    news.cancel()
        event = line.result()
    finally:
        line.cancel()
        await asyncio.gather(line, return_exceptions=True)
    assert isinstance(event, RawLine), "the wire was told to expect a line"
    if event.octets.upper() == b"DONE":
        return OK
    return Answer(Status.BAD, "DONE was expected")


async def _news_while_idle(talk: Talk) -> None:
    try:
        await talk.look()
        await talk.tell(expunges=True)
    except Passing:
        pass  # told with the next news, or after DONE; the storage's trouble is reported where it is met
