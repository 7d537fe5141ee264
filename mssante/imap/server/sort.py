"""SORT and THREAD: what was found, told in order.

Invariants: the loop is given to others however much is told.
"""

from __future__ import annotations

from collections.abc import Sequence

from mssante.imap.grammar import responses
from mssante.imap.grammar.commands import Sort, Thread
from mssante.imap.server.messages import search_context, search_done
from mssante.imap.server.session import OK, Answer, Session
from mssante.imap.server.sorting import done
from mssante.mailbox.reading import breathe

_NUMBERS_AT_ONCE = 5000


async def sort(session: Session, command: Sort) -> Answer:
    """RFC 5256 §3, RFC 5957, RFC 5267 §3."""
    query = command.query
    context = await search_context(session, query)
    found = await session.sorter.sort(session.selected, command.criteria, query.key, context)
    modseq = search_done(session, query, found)
    numbers = await _numbers(session, found, uid=command.uid)
    if query.results is None:
        await session.send(responses.sort(numbers, modseq=modseq))
    elif not query.only_saves:
        told = responses.esearch(session.tag, numbers, query.results, uid=command.uid, modseq=modseq)
        await session.send(told)
    return OK


async def thread(session: Session, command: Thread) -> Answer:
    """RFC 5256 §3."""
    context = await search_context(session, command.query)
    forest, found = await session.sorter.threads(
        session.selected, command.algorithm, command.query.key, context
    )
    numbers = await _numbers(session, found, uid=command.uid)
    await session.send(responses.thread(await done(forest.render(numbers))))
    return OK


async def _numbers(session: Session, uids: Sequence[int], *, uid: bool) -> Sequence[int]:
    """What the client calls these messages. None of them is unknown to it: they were found in its view."""
    if uid:
        return uids
    numbers: list[int] = []
    for start in range(0, len(uids), _NUMBERS_AT_ONCE):
        numbers += filter(
            None, map(session.selected.view.sequence_of, uids[start : start + _NUMBERS_AT_ONCE])
        )
        await breathe()
    return numbers
