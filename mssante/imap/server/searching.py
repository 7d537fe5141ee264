"""SEARCH over sealed mail: the command, and the stages that open messages until the key is decided.

The stages, from cheap to expensive: flags, which are in memory; what the store knows of a message in its
folder; the index of words; then, message by message, the summary, the header and the content. Each stage adds
to what is `Known`, and then the key is judged again for the messages still in doubt. Why that gives the right
answer, and what each key means, is written in `imap.rules.matching`.

Invariants: the result is the same as if every message were read in full; a message that would have to be
opened, but cannot be, is not found; the time a search takes is bounded; other tasks get their turn between
batches.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date

from mssante.imap.grammar import responses
from mssante.imap.grammar.commands import Search
from mssante.imap.grammar.need import Need
from mssante.imap.grammar.search import Key, Query, Result
from mssante.imap.rules.matching import Context, Known, Question, Uids, judged, needs, prepared, questions
from mssante.imap.server.selected import Selected
from mssante.imap.server.session import OK, Answer, Session
from mssante.limits import IMAP_FLAGS_AT_ONCE, INDEX_ASKED_MIN, SEARCH_CHARACTERS_HELD
from mssante.mailbox.index import texts
from mssante.mailbox.index.budget import Budget
from mssante.mailbox.index.search_index import Index
from mssante.mailbox.index.workers import SearchThreads
from mssante.mailbox.reading import Message, Reader, breathe
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
    service = session.service
    return Searcher(session.reader, service.clock.monotonic, service.threads, session.index)


@dataclass(slots=True, kw_only=True)
class _Progress:
    """One search in progress: the UIDs `found`, the `doubtful` ones (ascending), and what is `known` of
    those."""

    selected: Selected
    key: Key
    needs: set[Need]
    questions: set[Question]
    known: Known
    budget: Budget
    found: list[int] = field(default_factory=list)
    doubtful: list[int] = field(default_factory=list)

    def judge(self, known: Known, uids: Uids) -> list[int]:
        """Adds to `found` the messages that surely match; answers those that remain in doubt, ascending."""
        sure, possible = judged(self.key, uids, known.judge)
        self.found += sorted(sure)
        return sorted(possible - sure)


class Searcher:
    """Runs searches in one mailbox. `monotonic` is the clock of the time budget, in seconds; without an
    `index` every message in doubt is opened."""

    def __init__(
        self,
        reader: Reader,
        monotonic: Callable[[], float],
        threads: SearchThreads,
        index: Index | None = None,
    ) -> None:
        self._reader = reader
        self._monotonic = monotonic
        self._threads = threads
        self._index = index

    async def search(self, selected: Selected, key: Key, context: Context) -> list[int]:
        """The UIDs that match, ascending. Raises Refused(LIMIT_REACHED) past the time budget."""
        key = prepared(key, context)
        search = _Progress(
            selected=selected,
            key=key,
            needs=needs(key),
            questions=questions(key),
            known=Known(context),
            budget=Budget(self._monotonic),
        )
        for stage in (self._flags, self._places, self._words, self._messages):
            await stage(search)
        return sorted(search.found)

    async def _flags(self, search: _Progress) -> None:
        """Judges by flags, numbers and mod-sequences, which this process has in memory."""
        asked = Need.FLAGS in search.needs
        everybody = [range(len(search.selected.view))]
        for at, (sequences, rows) in enumerate(search.selected.columns(everybody)):
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
            search.budget,
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
                known.headers = await self._headers(by_uid[uid] for uid in doubtful)
                doubtful = search.judge(known, frozenset(known.headers))
            search.budget.require()
            if doubtful:
                await self._contents(search, known, [by_uid[uid] for uid in doubtful])

    async def _headers(self, messages: Iterable[Message]) -> dict[int, bytes]:
        """The headers by UID, of the messages that can be opened."""
        found: dict[int, bytes] = {}
        for message in messages:
            block = message.header
            if block is None:
                try:
                    block = await self._reader.octets(message, 0, message.summary.header_octets)
                except Refused:
                    continue  # damaged: the reader has reported it already
            found[message.uid] = block
        return found

    async def _contents(self, search: _Progress, known: Known, messages: Sequence[Message]) -> None:
        """Opens and judges the contents, small ones many at a time. What cannot be opened is not found."""
        groups = self._reader.small_contents(messages)
        while True:
            async with self._threads.turn(search.budget):
                search.budget.require()
                group = await anext(groups, None)
                if group is None:
                    return
                opened = [(message, content) for message, content in group if content is not None]
                await self._threads.run(_judge_contents, search, known, opened)
                for message in (message for message, content in group if content is None):
                    search.budget.require()
                    try:
                        content = await self._reader.octets(message, 0, message.summary.size)
                    except Refused:
                        continue  # damaged: the reader has reported it already
                    await self._threads.run(_judge_contents, search, known, [(message, content)])


def _judge_contents(search: _Progress, known: Known, contents: Sequence[tuple[Message, bytes]]) -> None:
    """Runs in a thread. Short texts are judged many at a time, which costs less when the key has many
    leaves."""
    opened = replace(known)
    held: dict[int, tuple[str, str]] = {}
    characters = 0
    for message, content in contents:
        text = texts.of_message(content, message.summary, search.budget.require)
        held[message.uid] = text.header, text.body
        characters += len(text.header) + len(text.body)
        if characters >= SEARCH_CHARACTERS_HELD:
            opened.contents = held
            search.judge(opened, frozenset(held))
            held, characters = {}, 0
    opened.contents = held
    search.judge(opened, frozenset(held))
