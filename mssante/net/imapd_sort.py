"""SORT and THREAD: what was found, told in order.

Invariants: the loop is given to others however much is told.
"""

from __future__ import annotations

from collections.abc import Sequence

from mssante.imap import responses
from mssante.imap.commands import Sort, Thread
from mssante.mailbox.reading import breathe
from mssante.mailbox.sorting import done
from mssante.net.imapd_messages import search_context, search_done
from mssante.net.imapd_talk import OK, Answer, Talk

_NUMBERS_AT_ONCE = 5000


async def sort(talk: Talk, command: Sort) -> Answer:
    """RFC 5256 §3, RFC 5957, RFC 5267 §3."""
    query = command.query
    context = await search_context(talk, query)
    found = await talk.sorter.sort(talk.selected, command.criteria, query.key, context)
    modseq = search_done(talk, query, found)
    numbers = await _numbers(talk, found, uid=command.uid)
    if query.results is None:
        await talk.send(responses.sort(numbers, modseq=modseq))
    elif not query.only_saves:
        told = responses.esearch(talk.tag, numbers, query.results, uid=command.uid, modseq=modseq)
        await talk.send(told)
    return OK


async def thread(talk: Talk, command: Thread) -> Answer:
    """RFC 5256 §3."""
    context = await search_context(talk, command.query)
    forest, found = await talk.sorter.threads(talk.selected, command.algorithm, command.query.key, context)
    numbers = await _numbers(talk, found, uid=command.uid)
    await talk.send(responses.thread(await done(forest.render(numbers))))
    return OK


async def _numbers(talk: Talk, uids: Sequence[int], *, uid: bool) -> Sequence[int]:
    """What the client calls these messages. None of them is unknown to it: they were found in its view."""
    if uid:
        return uids
    numbers: list[int] = []
    for start in range(0, len(uids), _NUMBERS_AT_ONCE):
        numbers += filter(None, map(talk.selected.view.sequence_of, uids[start : start + _NUMBERS_AT_ONCE]))
        await breathe()
    return numbers
