"""SORT and THREAD over sealed mail: the commands, and how the messages found are put in order by their
summaries.

Invariants: no content is opened to put messages in order, and a header only where a summary does not hold the
references; a message that cannot be opened counts as one without any fields; other tasks get their turn
between batches and between steps; the number of sorts at work at the same time is limited.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from typing import TypeVar

from mssante.imap.grammar import responses
from mssante.imap.grammar.casemap import casemap
from mssante.imap.grammar.commands import Sort, Thread
from mssante.imap.grammar.search import Key
from mssante.imap.grammar.sorting import Algorithm, Criterion, SortKey
from mssante.imap.rules.base_subject import base_subject
from mssante.imap.rules.matching import Context
from mssante.imap.rules.sorting import Column, in_order
from mssante.imap.rules.steps import Steps
from mssante.imap.rules.threads import Forest, References, ancestry, identifiers_first, ordered_subject
from mssante.imap.server.searching import Searcher, search_context, search_done, searcher_of
from mssante.imap.server.selected import Selected
from mssante.imap.server.session import OK, Answer, Session
from mssante.limits import IMAP_NUMBERS_AT_ONCE, MIME_HEADER_OCTETS_MAX
from mssante.mailbox.reading import Message, Reader
from mssante.mailbox.turns import breathe, turn
from mssante.mime import encoded_words, header
from mssante.mime.envelope import AddressField, first_address
from mssante.model import FolderId
from mssante.reasons import Refused

_Value = TypeVar("_Value")
_BUSY = "too much sorting at once"
_LINKS = (b"message-id", b"references", b"in-reply-to")


async def sort(session: Session, command: Sort) -> Answer:
    """RFC 5256 §3, RFC 5957, RFC 5267 §3."""
    query = command.query
    context = await search_context(session, query)
    found = await _sorter_of(session).sort(session.selected, command.criteria, query.key, context)
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
    forest, found = await _sorter_of(session).threads(
        session.selected, command.algorithm, command.query.key, context
    )
    numbers = await _numbers(session, found, uid=command.uid)
    await session.send(responses.thread(await run_steps(forest.render(numbers))))
    return OK


async def _numbers(session: Session, uids: Sequence[int], *, uid: bool) -> Sequence[int]:
    """The UIDs or sequence numbers by which the client knows these messages. It knows all of them, because
    they were found in its view."""
    if uid:
        return uids
    numbers: list[int] = []
    for start in range(0, len(uids), IMAP_NUMBERS_AT_ONCE):
        numbers += filter(
            None, map(session.selected.view.sequence_of, uids[start : start + IMAP_NUMBERS_AT_ONCE])
        )
        await breathe()
    return numbers


def _sorter_of(session: Session) -> Sorter:
    return Sorter(session.reader, searcher_of(session), session.service.sorts)


class Sorter:
    """Runs one session's SORTs and THREADs. All sessions share `turns`, which limits how many are at work at
    the same time."""

    def __init__(self, reader: Reader, searcher: Searcher, turns: asyncio.Semaphore) -> None:
        self._reader = reader
        self._searcher = searcher
        self._turns = turns

    async def sort(
        self, selected: Selected, criteria: Sequence[Criterion], key: Key, context: Context
    ) -> list[int]:
        """The UIDs that match, in order. Raises as Searcher.search, and Passing(LIMIT_REACHED) when other
        sorts leave it no turn in time."""
        found = await self._searcher.search(selected, key, context)
        async with turn(self._turns, _BUSY):
            columns: list[list[int | str]] = [[] for _ in criteria]
            async for messages in self._summaries(selected.id, found):
                for values, criterion in zip(columns, criteria, strict=True):
                    values.extend(map(_VALUES[criterion.key], messages))
            turned = (criterion.reverse for criterion in criteria)
            steps = in_order([Column(*pair) for pair in zip(columns, turned, strict=True)], len(found))
            return [found[place] for place in await run_steps(steps)]

    async def threads(
        self, selected: Selected, algorithm: Algorithm, key: Key, context: Context
    ) -> tuple[Forest, list[int]]:
        """The threads of the messages that match, and their UIDs; a place in the threads is a place in that
        list. Raises as `sort`."""
        found = await self._searcher.search(selected, key, context)
        async with turn(self._turns, _BUSY):
            match algorithm:
                case Algorithm.ORDEREDSUBJECT:
                    return await self._by_subject(selected, found), found
                case Algorithm.REFERENCES:
                    return await self._by_references(selected, found), found

    async def _by_subject(self, selected: Selected, found: Sequence[int]) -> Forest:
        subjects: list[str] = []
        sent: list[int] = []
        async for messages in self._summaries(selected.id, found):
            subjects += [_subject(message) for message in messages]
            sent += [_sent(message) for message in messages]
        return await run_steps(ordered_subject(subjects, sent))

    async def _by_references(self, selected: Selected, found: Sequence[int]) -> Forest:
        references = References()
        async for messages in self._summaries(selected.id, found):
            for message in messages:
                base, answers = base_subject(message.summary.texts.subject) if message else ("", False)
                identifier, chain, parent = await self._links_of(message)
                references.add(
                    sent=_sent(message),
                    subject=casemap(base),
                    answers=answers,
                    identifier=next(iter(identifiers_first(identifier)), b""),
                    references=ancestry(chain, parent),
                )
        return await run_steps(references.threads())

    async def _links_of(self, message: Message | None) -> Sequence[bytes]:
        """The Message-ID, References and In-Reply-To fields; of a repeated field the first."""
        if message is None:
            return b"", b"", b""
        try:
            kept = message.summary.first_listed(_LINKS)
            if kept is not None:
                return kept
            # As of every header, no more is read than was read when the message came.
            octets = min(message.summary.header_octets, MIME_HEADER_OCTETS_MAX)
            block = await self._reader.octets(message, 0, octets)
        except Refused:
            return b"", b"", b""  # damaged: the reader has reported it already
        return [next(iter(header.values(block, name)), b"") for name in _LINKS]

    async def _summaries(self, folder: FolderId, uids: Sequence[int]) -> AsyncIterator[list[Message | None]]:
        """The messages of `uids` in order, in batches; None for one that cannot be opened or has gone."""
        at = 0
        async for messages, _ in self._reader.messages(folder, uids):
            batch: list[Message | None] = []
            for message in messages:
                while uids[at] != message.uid:
                    batch.append(None)
                    at += 1
                batch.append(message)
                at += 1
            yield batch
        yield [None] * (len(uids) - at)


async def run_steps(steps: Steps[_Value]) -> _Value:
    """The result of `steps`; other tasks get their turn between two of them."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            value: _Value = end.value
            return value
        await breathe()


# What each criterion compares. A missing field counts as an empty text (RFC 5256 §3).


def _arrival(message: Message | None) -> int:
    return message.summary.internal_date if message else 0


def _sent(message: Message | None) -> int:
    """RFC 5256 §2.2: the date sent, in UTC; without a date that can be read, the internal date."""
    if message is None:
        return 0
    sent = message.summary.sent_at
    return message.summary.internal_date if sent is None else sent


def _size(message: Message | None) -> int:
    return message.summary.size if message else 0


def _subject(message: Message | None) -> str:
    return casemap(base_subject(message.summary.texts.subject)[0]) if message else ""


def _mailbox_of(field: AddressField) -> Callable[[Message | None], str]:
    """RFC 5256 §3: the addr-mailbox of the first address."""

    def value(message: Message | None) -> str:
        entry = first_address(message.summary.envelope, field) if message else None
        return casemap(_text(entry.mailbox)) if entry else ""

    return value


def _display_of(field: AddressField) -> Callable[[Message | None], str]:
    """RFC 5957 §3: the display name of the first address; without one the address, as far as it is given."""

    def value(message: Message | None) -> str:
        entry = first_address(message.summary.envelope, field) if message else None
        if entry is None:
            return ""
        shown = encoded_words.decode(entry.name or b"")
        if not shown:
            shown = _text(entry.mailbox) + (f"@{_text(entry.host)}" if entry.host and entry.mailbox else "")
        return casemap(shown)

    return value


def _text(octets: bytes | None) -> str:
    return (octets or b"").decode("utf-8", "replace")


_VALUES: dict[SortKey, Callable[[Message | None], int | str]] = {
    SortKey.ARRIVAL: _arrival,
    SortKey.CC: _mailbox_of(AddressField.CC),
    SortKey.DATE: _sent,
    SortKey.FROM: _mailbox_of(AddressField.FROM),
    SortKey.SIZE: _size,
    SortKey.SUBJECT: _subject,
    SortKey.TO: _mailbox_of(AddressField.TO),
    SortKey.DISPLAYFROM: _display_of(AddressField.FROM),
    SortKey.DISPLAYTO: _display_of(AddressField.TO),
}
