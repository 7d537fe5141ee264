"""Commands on messages besides FETCH and STORE: SEARCH, COPY, MOVE, EXPUNGE, IDLE."""

from __future__ import annotations

import asyncio
from array import array
from collections.abc import Sequence

from mssante.imap import responses
from mssante.imap.commands import Copy, Expunge, Idle, Search
from mssante.imap.events import RawLine
from mssante.imap.matching import Context
from mssante.imap.responses import Code, Status
from mssante.imap.search import Query, Result
from mssante.imap.view import UID_ARRAY
from mssante.net.imap_answers import imap_answer
from mssante.net.imapd_talk import EXPUNGED, OK, Answer, Talk
from mssante.reasons import Passing, Reason, Refused


async def search(talk: Talk, command: Search) -> Answer:
    """RFC 3501 §6.4.4, RFC 4731, RFC 5182."""
    query, view = command.query, talk.selected.view
    found = await talk.searcher.search(talk.selected, query.key, await search_context(talk, query))
    modseq = search_done(talk, query, found)
    numbers = found if command.uid else list(filter(None, view.numbers_of(found)))
    results = query.results
    if results is None and talk.session.rev2:
        results = frozenset({Result.ALL})  # RFC 9051 §6.4.4
    if results is None:
        await talk.send(responses.search(numbers, modseq=modseq))
    elif not query.only_saves:
        # The tag is that of the command being answered: RFC 4731 §3.1 correlates by it.
        told = responses.esearch(talk.tag, numbers, results, uid=command.uid, modseq=modseq)
        await talk.send(told)
    return OK


async def search_context(talk: Talk, query: Query) -> Context:
    """What the search keys of a command mean now."""
    selected = talk.selected
    uids, saved = selected.view.uids, selected.saved
    if query.saves:
        selected.saved = array(UID_ARRAY)  # RFC 5182 §2.1: a SEARCH that fails with NO leaves nothing
    return Context(
        names=await talk.folders.flag_names(),
        last_sequence=len(uids),
        last_uid=uids[-1] if uids else 0,
        now=talk.service.clock.now(),
        saved=saved,
    )


def search_done(talk: Talk, query: Query, found: Sequence[int]) -> int | None:
    """Saves of `found`, UIDs in the order they are told in, what `query` saves; answers the mod-sequence that
    the response carries, if it does. MIN and MAX alone are about one message each (RFC 5182 §2.4, RFC 4731
    §3.2)."""
    chosen = found
    results = query.results or frozenset({Result.ALL})
    if results & {Result.MIN, Result.MAX} and not results & {Result.ALL, Result.COUNT}:
        chosen = [*found[: Result.MIN in results], *(found[-1:] if Result.MAX in results else ())]
    if query.saves:
        talk.selected.saved = array(UID_ARRAY, sorted(set(chosen)))
    if not query.tells_modseq:
        return None
    rows = (talk.selected.row(uid) for uid in chosen)
    return max((row.modseq for row in rows if row is not None), default=None)


async def copy(talk: Talk, command: Copy) -> Answer:
    """RFC 3501 §6.4.7, RFC 6851; COPYUID after RFC 4315 §3."""
    selected = talk.selected
    uids = talk.uids_of(command.messages, uid=command.uid)
    try:
        target = await talk.folders.named(command.mailbox)
    except Refused as refused:
        if refused.reason is Reason.FOLDER_UNKNOWN:
            return Answer(Status.NO, imap_answer(Reason.FOLDER_UNKNOWN).text, Code.TRYCREATE)
        raise
    by_number = not command.uid and not command.messages.saved
    if by_number and any(selected.row(uid) is None for uid in uids):
        raise Refused(Reason.MESSAGE_GONE)
    pairs = await talk.writer.copy(selected.id, uids, target.id, move=command.move)
    if not pairs:
        return OK
    code = responses.code_copy_uid(
        target.folder.uidvalidity, [old for old, _ in pairs], [new for _, new in pairs]
    )
    if command.move:  # RFC 6851 §4.3: COPYUID comes before the EXPUNGE responses
        await talk.send(responses.untagged(Status.OK, "Moved", code))
        return EXPUNGED
    return Answer(Status.OK, "Copied", code)


async def expunge(talk: Talk, command: Expunge) -> Answer:
    """RFC 3501 §6.4.3, RFC 4315 §2.1. The EXPUNGE responses come with the news."""
    uids = None if command.uids is None else talk.uids_of(command.uids, uid=True)
    gone = await talk.writer.expunge(talk.selected.id, uids)
    return EXPUNGED if gone else OK


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
