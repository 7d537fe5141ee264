"""SEARCH over sealed mail: flags first, then the index of words, then summaries, headers, and contents where
nothing less decides.

Invariants: the result is what a scan of everything would give; a message that must be opened and does not is
not found; the work is bounded in time; the loop is given to others between batches.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import date, datetime, timedelta, timezone
from functools import partial
from typing import NamedTuple

from mssante.imap.grammar.need import Need
from mssante.imap.grammar.search import And, Changed, HasField, Identified, Key, Not, Or, Saved, leaves
from mssante.imap.rules.indexed import asks_words_only, bounds, questions
from mssante.imap.rules.matching import Candidate, Context, Test, compiled, need_of
from mssante.imap.server.selected import Selected
from mssante.mailbox.index import texts
from mssante.mailbox.index.budget import Budget
from mssante.mailbox.index.search_index import Index
from mssante.mailbox.index.workers import SearchThreads
from mssante.mailbox.reading import Message, Reader, breathe
from mssante.mime import encoded_words, header
from mssante.mime.folding import fold
from mssante.mime.summary import SearchTexts, Summary
from mssante.mime.text import Step
from mssante.reasons import Refused

_FLAGS_BATCH = 5000
_ASKED_MIN = 20  # fewer messages are opened sooner than the index


class _Narrowed(NamedTuple):
    """UIDs found, and who must be opened."""

    found: list[int]
    undecided: list[Candidate]


class Searcher:
    """Runs one session's searches. `monotonic` gives seconds, for the budget; without an `index` every
    message is looked through."""

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
        budget = Budget(self._monotonic)
        test, need = compiled(key, context), _need(key)
        words_only = asks_words_only(key)  # all the same to its flags
        by_modseq = any(isinstance(leaf, Changed) for leaf in leaves(key))
        found: list[int] = []
        undecided: list[Candidate] = []
        for sequence, uid, mask in selected.messages([range(len(selected.view))]):
            if sequence % _FLAGS_BATCH == 0:
                await breathe()
            candidate = Candidate(sequence, uid, mask)
            if by_modseq and (row := selected.row(uid)) is not None:
                candidate.modseq = row.modseq
            verdict = None if words_only else test(candidate)
            if verdict:
                found.append(uid)
            elif verdict is None:
                undecided.append(candidate)
        if any(isinstance(leaf, Saved | Identified) for leaf in leaves(key)):
            undecided = await self._placed(selected, undecided)
            found += [candidate.uid for candidate in undecided if test(candidate)]
            undecided = [candidate for candidate in undecided if test(candidate) is None]
        narrowed = await self._narrowed(selected, key, test, undecided, budget, fill=need is Need.BODY)
        found += narrowed.found
        async for uid in self._decided(selected, test, need, narrowed.undecided, budget):
            found.append(uid)
        return sorted(found)

    async def _narrowed(
        self,
        selected: Selected,
        key: Key,
        test: Test,
        candidates: list[Candidate],
        budget: Budget,
        *,
        fill: bool,
    ) -> _Narrowed:
        """What the index decides, if it is worth asking; it is not filled for what needs no body."""
        asked = set(questions(key))
        if self._index is None or not asked or len(candidates) < _ASKED_MIN:
            return _Narrowed([], candidates)
        uids = [candidate.uid for candidate in candidates]
        numbers = await self._index.numbers(selected.id, uids)
        answers = await self._index.ask(asked, selected.id, uids, numbers, budget, fill=fill)
        everybody = frozenset(number for number in numbers if number is not None)
        sure, possible = await self._threads.run(bounds, key, everybody, partial(answers.bounds, everybody))
        found: list[int] = []
        undecided: list[Candidate] = []
        for at, (number, candidate) in enumerate(zip(numbers, candidates, strict=True)):
            if at % _FLAGS_BATCH == 0:
                await breathe()
            if number in sure:
                found.append(candidate.uid)
            elif number in possible:
                assert number is not None
                candidate.number, candidate.indexed = number, answers
                verdict = test(candidate)
                if verdict:
                    found.append(candidate.uid)
                elif verdict is None:
                    undecided.append(candidate)
        return _Narrowed(found, undecided)

    async def _placed(self, selected: Selected, candidates: Sequence[Candidate]) -> list[Candidate]:
        """Those that are still there, their place known."""
        places = await self._reader.places(selected.id, [candidate.uid for candidate in candidates])
        found = []
        for candidate in candidates:
            candidate.place = places.get(candidate.uid)
            if candidate.place is not None:
                found.append(candidate)
        return found

    async def _decided(
        self,
        selected: Selected,
        test: Test,
        need: Need,
        undecided: Sequence[Candidate],
        budget: Budget,
    ) -> AsyncIterator[int]:
        by_uid = {candidate.uid: candidate for candidate in undecided}
        header = need >= Need.HEADER
        async for messages, _ in self._reader.messages(selected.id, list(by_uid), header=header):
            deep: list[tuple[Candidate, Message]] = []
            for message in messages:
                candidate = by_uid.pop(message.uid)
                candidate.summary = _SummaryTexts(message.summary, complete=need < Need.HEADER)
                verdict = test(candidate)
                if verdict is None:
                    try:
                        candidate.header = _HeaderTexts(await self._header_of(message))
                    except Refused:
                        continue  # damaged: already told
                    verdict = test(candidate)
                if verdict is None:
                    deep.append((candidate, message))
                elif verdict:
                    yield message.uid
            budget.require()
            async for uid in self._looked_through(test, deep, budget):
                yield uid

    async def _header_of(self, message: Message) -> bytes:
        if message.header is not None:
            return message.header
        return await self._reader.octets(message, 0, message.summary.header_octets)

    async def _looked_through(
        self, test: Test, deep: Sequence[tuple[Candidate, Message]], budget: Budget
    ) -> AsyncIterator[int]:
        """Those whose content makes them match. Small ones are opened and judged many at a time."""
        candidates = {candidate.uid: candidate for candidate, _ in deep}
        groups = self._reader.small_contents([message for _, message in deep])
        while True:
            async with self._threads.turn(budget):
                budget.require()
                group = await anext(groups, None)
                if group is None:
                    return
                found = await self._judged(test, candidates, group, budget)
            for uid in found:
                yield uid

    async def _judged(
        self,
        test: Test,
        candidates: Mapping[int, Candidate],
        group: Sequence[tuple[Message, bytes | None]],
        budget: Budget,
    ) -> list[int]:
        small = [(candidates[message.uid], content) for message, content in group if content is not None]
        found = await self._threads.run(_matching, test, small, budget.require)
        for message in (message for message, content in group if content is None):
            budget.require()
            try:
                content = await self._reader.octets(message, 0, message.summary.size)
            except Refused:
                continue  # damaged: already told
            found += await self._threads.run(
                _matching, test, [(candidates[message.uid], content)], budget.require
            )
        return found


_KEPT = ("subject", "from", "to", "cc", "bcc")  # SearchTexts


def _need(key: Key) -> Need:
    """As `need_of`, knowing what our summaries keep: whether a field they have *holds* something, they
    decide; whether it is there at all, the header does."""
    match key:
        case HasField(name, needle):
            return Need.SUMMARY if needle and name in _KEPT else Need.HEADER
        case Not(inner):
            return _need(inner)
        case Or(either, other):
            return max(_need(either), _need(other))
        case And(keys):
            return max(map(_need, keys))
        case _:
            return need_of(key)


def _matching(test: Test, contents: Sequence[tuple[Candidate, bytes]], step: Step) -> list[int]:
    """The UIDs of those that match once their content is known."""
    found = []
    for candidate, content in contents:
        assert isinstance(candidate.summary, _SummaryTexts)
        candidate.content = texts.of_message(content, candidate.summary.of, step)
        if test(candidate):
            found.append(candidate.uid)
        candidate.content = None
    return found


class _SummaryTexts:
    """A message's summary as the matching core asks it; `complete` when nobody will ask the header."""

    __slots__ = ("_complete", "_texts", "of")

    def __init__(self, summary: Summary, *, complete: bool) -> None:
        self.of = summary
        self._complete = complete
        self._texts: SearchTexts | None = None

    @property
    def received(self) -> datetime:
        zone = timezone(timedelta(minutes=self.of.internal_offset))
        return datetime.fromtimestamp(self.of.internal_date, zone)

    @property
    def sent(self) -> date | None:
        if self.of.sent_at is None:
            return None
        zone = timezone(timedelta(minutes=self.of.sent_offset or 0))
        return datetime.fromtimestamp(self.of.sent_at, zone).date()

    @property
    def size(self) -> int:
        return self.of.size

    def texts(self, name: str) -> Sequence[str] | None:
        if name not in _KEPT:
            return None
        if self._texts is None:
            self._texts = self.of.texts
        text = self._texts[_KEPT.index(name)]
        if text:
            return [fold(text)]
        return [] if self._complete else None  # an empty one may be a missing field: the header tells


class _HeaderTexts:
    """A header block as the matching core asks it."""

    __slots__ = ("block",)

    def __init__(self, block: bytes) -> None:
        self.block = block

    def texts(self, name: str) -> Sequence[str]:
        found = header.values(self.block, name.encode("utf-8", "replace"))
        return [fold(encoded_words.decode(value)) for value in found]
