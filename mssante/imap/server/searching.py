"""SEARCH over sealed mail: the command, and the stages that open messages until the key is decided.

A folder is searched in portions of IMAP_SEARCHED_AT_ONCE messages, each in stages from cheap to expensive:
flags, which are in memory; what the store knows of a message in its folder; the index of words; then, message
by message, the summary, the header and the content. Each stage adds to what is `Known`, and then the key is
judged again for the messages still in doubt. Why that gives the right answer, and what each key means, is
written in `imap.rules.matching`.

Invariants: the result is the same as if every message were read in full, however large the folder is; a
message that would have to be opened, but cannot be, is not found; of all the messages only one portion is in
memory; others get their turn between two steps, and the client hears that the search goes on.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date

from mssante.imap.grammar import responses
from mssante.imap.grammar.commands import Search
from mssante.imap.grammar.need import Need
from mssante.imap.grammar.search import Key, Query, Result
from mssante.imap.rules.matching import Context, Known, Question, Uids, judged, needs, prepared, questions
from mssante.imap.server.selected import Selected
from mssante.imap.server.session import OK, Answer, Session
from mssante.limits import (
    IMAP_FLAGS_AT_ONCE,
    IMAP_SEARCHED_AT_ONCE,
    INDEX_ASKED_MIN,
    SEARCH_CHARACTERS_HELD,
)
from mssante.mailbox.index import texts
from mssante.mailbox.index.search_index import Index
from mssante.mailbox.index.workers import SearchThreads
from mssante.mailbox.reading import Message, Reader
from mssante.mailbox.turns import Rest, breathe
from mssante.mime.text import Step
from mssante.reasons import Refused
from mssante.uid_arrays import UID_ARRAY


async def search(session: Session, command: Search) -> Answer:
    """RFC 3501 §6.4.4, RFC 4731, RFC 5182."""
    query, selected = command.query, session.selected
    found = await searcher_of(session).search(selected, query.key, await search_context(session, query))
    modseq = search_done(session, query, found)
    numbers = found if command.uid else list(filter(None, selected.view.numbers_of(found)))
    results = query.results
    if results is None and session.protocol.rev2:
        results = frozenset({Result.ALL})  # RFC 9051 §6.4.4
    if results is None:
        await session.send(responses.search(numbers, modseq=modseq))
    elif not query.only_saves:
        # RFC 4731 §3.1: the tag tells the client which of its commands this response belongs to.
        told = responses.esearch(session.tag, numbers, results, uid=command.uid, modseq=modseq)
        await session.send(told)
    return OK


async def search_context(session: Session, query: Query) -> Context:
    """What the search keys of a command depend on, as it stands now."""
    selected = session.selected
    uids, saved = selected.view.uids, selected.saved
    if query.saves:
        selected.saved = array(UID_ARRAY)  # RFC 5182 §2.1: if this SEARCH fails with NO, `$` is empty
    return Context(
        names=await session.folders.flag_names(),
        last_sequence=len(uids),
        last_uid=uids[-1] if uids else 0,
        now=session.service.clock.now(),
        saved=saved,
    )


def search_done(session: Session, query: Query, found: Sequence[int]) -> int | None:
    """Saves the part of `found` that `query` asks to save; `found` holds UIDs in the order in which they are
    told. Answers the mod-sequence that the response carries, None if it carries none. With MIN or MAX, but
    neither ALL nor COUNT, only the first or the last message counts (RFC 5182 §2.4, RFC 4731 §3.2)."""
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


def searcher_of(session: Session) -> Searcher:
    return Searcher(session.reader, session.service.threads, session.index, session.rest)


@dataclass(slots=True, kw_only=True)
class _Progress:
    """One portion of a search in progress: the UIDs `found` at its `places` of the view, the `doubtful` ones
    (ascending), and what is `known` of those."""

    selected: Selected
    places: range
    key: Key
    needs: set[Need]
    questions: set[Question]
    known: Known
    found: list[int] = field(default_factory=list)
    doubtful: list[int] = field(default_factory=list)

    def judge(self, known: Known, uids: Uids) -> list[int]:
        """Adds to `found` the messages that surely match; answers those that remain in doubt, ascending."""
        sure, possible = judged(self.key, uids, known.judge)
        self.found += sorted(sure)
        return sorted(possible - sure)


class Searcher:
    """Runs searches in one mailbox; without an `index` every message in doubt is opened. `rest` is awaited
    between two steps, and what it raises ends the search."""

    def __init__(
        self, reader: Reader, threads: SearchThreads, index: Index | None = None, rest: Rest = breathe
    ) -> None:
        self._reader = reader
        self._threads = threads
        self._index = index
        self._rest = rest

    async def search(self, selected: Selected, key: Key, context: Context) -> list[int]:
        """The UIDs that match, ascending. It takes as long as it takes."""
        key = prepared(key, context)
        found: list[int] = []
        for start in range(0, len(selected.view), IMAP_SEARCHED_AT_ONCE):
            search = _Progress(
                selected=selected,
                places=range(start, min(start + IMAP_SEARCHED_AT_ONCE, len(selected.view))),
                key=key,
                needs=needs(key),
                questions=questions(key),
                known=Known(context),
            )
            for stage in (self._flags, self._places, self._words, self._messages):
                await stage(search)
            found += sorted(search.found)
            await self._rest()
        return found

    async def _flags(self, search: _Progress) -> None:
        """Judges by flags, numbers and mod-sequences, which this process has in memory."""
        asked = Need.FLAGS in search.needs
        for at, (sequences, rows) in enumerate(search.selected.columns([search.places])):
            if at:
                await breathe()
            uids = rows.uids.tolist()
            known = Known(search.known.context)
            if asked:
                known.flags = dict(zip(uids, rows.flags, strict=True))
                known.sequences = dict(zip(uids, sequences, strict=True))
                known.modseqs = dict(zip(uids, rows.modseqs, strict=True))
            doubtful = search.judge(known, frozenset(uids))
            search.doubtful += doubtful
            if asked and doubtful:
                search.known.learn(known, doubtful)

    async def _places(self, search: _Progress) -> None:
        """Judges by what the store knows of a message without opening it. Those that have gone meanwhile are
        not found."""
        if Need.PLACE not in search.needs:
            return
        uids, search.doubtful = search.doubtful, []
        saved_days: dict[int, date] = {}
        email_ids: dict[int, str] = {}
        for start in range(0, len(uids), IMAP_FLAGS_AT_ONCE):
            places = await self._reader.places(search.selected.id, uids[start : start + IMAP_FLAGS_AT_ONCE])
            saved_days.update((uid, place.saved) for uid, place in places.items())
            email_ids.update((uid, place.email_id) for uid, place in places.items())
            search.known.saved_days, search.known.email_ids = saved_days, email_ids
            search.doubtful += search.judge(search.known, frozenset(places))
            await breathe()

    async def _words(self, search: _Progress) -> None:
        """Asks the index of words, if enough messages are in doubt. It is filled up first only when the key
        needs contents, since filling it means reading them."""
        if self._index is None or not search.questions or len(search.doubtful) < INDEX_ASKED_MIN:
            return
        answers = await self._index.ask(
            search.questions,
            search.selected.id,
            search.doubtful,
            self._rest,
            fill=Need.BODY in search.needs,
        )
        search.known.index = answers.holders
        search.doubtful = await self._threads.run(search.judge, search.known, frozenset(answers.numbers))

    async def _messages(self, search: _Progress) -> None:
        """Opens the messages still in doubt, in batches: first the summaries; then the headers, and last the
        contents, of those that remain undecided."""
        by_header = Need.HEADER in search.needs
        folder = search.selected.id
        async for messages, _ in self._reader.messages(folder, search.doubtful, header=by_header):
            by_uid: dict[int, Message] = {message.uid: message for message in messages}
            known = replace(search.known, summaries={uid: each.summary for uid, each in by_uid.items()})
            doubtful = search.judge(known, frozenset(by_uid))
            if by_header and doubtful:
                doubtful = await self._headers(search, known, [by_uid[uid] for uid in doubtful])
            if doubtful:
                await self._contents(search, known, [by_uid[uid] for uid in doubtful])
            await self._rest()

    async def _headers(self, search: _Progress, known: Known, messages: Sequence[Message]) -> list[int]:
        """Judges by the headers, long ones each by itself. Answers the UIDs still in doubt. A message whose
        header cannot be opened is not found."""
        known.headers = {message.uid: message.header for message in messages if message.header is not None}
        doubtful = await self._threads.run(search.judge, known, frozenset(known.headers))
        for message in (message for message in messages if message.header is None):
            await self._rest()
            async with self._threads.turn(message.summary.header_octets):
                try:
                    block = await self._reader.octets(message, 0, message.summary.header_octets)
                except Refused:
                    continue  # damaged: the reader has reported it already
                alone = replace(known, headers={message.uid: block})
                doubtful += await self._threads.run(search.judge, alone, frozenset(alone.headers or ()))
        return sorted(doubtful)

    async def _contents(self, search: _Progress, known: Known, messages: Sequence[Message]) -> None:
        """Opens and judges the contents, small ones many at a time. What cannot be opened is not found."""
        judge, step = _judge_contents, self._threads.require_open
        groups = self._reader.small_contents(messages)
        while True:
            await self._rest()
            async with self._threads.turn():
                group = await anext(groups, None)
                if group is None:
                    return
                opened = [(message, content) for message, content in group if content is not None]
                await self._threads.run(judge, search, known, opened, step)
            for message in (message for message, content in group if content is None):
                async with self._threads.turn(message.summary.size):
                    try:
                        content = await self._reader.octets(message, 0, message.summary.size)
                    except Refused:
                        continue  # damaged: the reader has reported it already
                    await self._threads.run(judge, search, known, [(message, content)], step)


def _judge_contents(
    search: _Progress, known: Known, contents: Sequence[tuple[Message, bytes]], step: Step
) -> None:
    """Runs in a thread. Short texts are judged many at a time, which costs less when the key has many
    leaves."""
    opened = replace(known)
    held: dict[int, tuple[str, str]] = {}
    characters = 0
    for message, content in contents:
        text = texts.of_message(content, message.summary, step)
        held[message.uid] = text.header, text.body
        characters += len(text.header) + len(text.body)
        if characters >= SEARCH_CHARACTERS_HELD:
            opened.contents = held
            search.judge(opened, frozenset(held))
            held, characters = {}, 0
    opened.contents = held
    search.judge(opened, frozenset(held))
