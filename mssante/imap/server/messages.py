"""Commands on messages besides FETCH and STORE: SEARCH, COPY, MOVE, EXPUNGE, IDLE."""

from __future__ import annotations

import asyncio
from array import array
from collections.abc import Sequence

from mssante.imap.grammar import responses
from mssante.imap.grammar.commands import Copy, Expunge, Idle, Search
from mssante.imap.grammar.events import RawLine
from mssante.imap.grammar.responses import Code, ResponseStatus
from mssante.imap.grammar.search import Query, Result
from mssante.imap.rules.matching import Context
from mssante.imap.server.session import EXPUNGED, OK, Answer, Session
from mssante.reasons import Passing, Reason, Refused
from mssante.tasks import end_task
from mssante.uid_arrays import UID_ARRAY
from mssante.words.imap import imap_answer


async def search(session: Session, command: Search) -> Answer:
    """RFC 3501 §6.4.4, RFC 4731, RFC 5182."""
    query, view = command.query, session.selected.view
    found = await session.searcher.search(session.selected, query.key, await search_context(session, query))
    modseq = search_done(session, query, found)
    numbers = found if command.uid else list(filter(None, view.numbers_of(found)))
    results = query.results
    if results is None and session.protocol.rev2:
        results = frozenset({Result.ALL})  # RFC 9051 §6.4.4
    if results is None:
        await session.send(responses.search(numbers, modseq=modseq))
    elif not query.only_saves:
        # The tag is that of the command being answered: RFC 4731 §3.1 correlates by it.
        told = responses.esearch(session.tag, numbers, results, uid=command.uid, modseq=modseq)
        await session.send(told)
    return OK


async def search_context(session: Session, query: Query) -> Context:
    """What the search keys of a command mean now."""
    selected = session.selected
    uids, saved = selected.view.uids, selected.saved
    if query.saves:
        selected.saved = array(UID_ARRAY)  # RFC 5182 §2.1: a SEARCH that fails with NO leaves nothing
    return Context(
        names=await session.folders.flag_names(),
        last_sequence=len(uids),
        last_uid=uids[-1] if uids else 0,
        now=session.service.clock.now(),
        saved=saved,
    )


def search_done(session: Session, query: Query, found: Sequence[int]) -> int | None:
    """Saves of `found`, UIDs in the order they are told in, what `query` saves; answers the mod-sequence that
    the response carries, if it does. MIN and MAX alone are about one message each (RFC 5182 §2.4, RFC 4731
    §3.2)."""
    chosen = found
    results = query.results or frozenset({Result.ALL})
    if results & {Result.MIN, Result.MAX} and not results & {Result.ALL, Result.COUNT}:
        chosen = [*found[: Result.MIN in results], *(found[-1:] if Result.MAX in results else ())]
    if query.saves:
        session.selected.saved = array(UID_ARRAY, sorted(set(chosen)))
    if not query.tells_modseq:
        return None
    rows = (session.selected.row(uid) for uid in chosen)
    return max((row.modseq for row in rows if row is not None), default=None)


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
    """RFC 3501 §6.4.3, RFC 4315 §2.1. The EXPUNGE responses come with the news."""
    uids = None if command.uids is None else session.uids_of(command.uids, uid=True)
    gone = await session.writer.expunge(session.selected.id, uids)
    return EXPUNGED if gone else OK


async def idle(session: Session, command: Idle) -> Answer:
    """RFC 2177: news at once, until DONE."""
    session.wire.expect_line()
    await session.send(responses.continuation("idling"))
    line = asyncio.ensure_future(session.next_event(patient=True))
    try:
        with session.mailbox.store.subscribe(session.mailbox.id) as changed:
            while not line.done():
                await _news_while_idle(session)
                news = asyncio.ensure_future(changed.wait())
                try:
                    await asyncio.wait((line, news), return_when=asyncio.FIRST_COMPLETED)
                finally:
                    await end_task(news)
        event = line.result()
    finally:
        line.cancel()
        await asyncio.gather(line, return_exceptions=True)
    assert isinstance(event, RawLine), "the wire was told to expect a line"
    if event.octets.upper() == b"DONE":
        return OK
    return Answer(ResponseStatus.BAD, "DONE was expected")


async def _news_while_idle(session: Session) -> None:
    try:
        await session.look()
        await session.tell(expunges=True)
    except Passing:
        pass  # told with the next news, or after DONE; the storage's trouble is reported where it is met
