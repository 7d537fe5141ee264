"""The search index of an open mailbox: searches ask it, and sessions that read the mailbox fill it.

The index is a set of sealed segments, each with the words of up to MESSAGES_MAX messages (`vocabulary`).

Invariants: delivery never fills the index, because it cannot read mail. The index answers exactly as a look
through the messages would. It may not know a message: a new one, one that came just before a crash, one whose
segment was damaged or was dropped when another message in it was shredded. Such a message is indexed when a
search needs it, or opened; however many they are, they are indexed step by step, and what a step has made
stays when the search ends early. A segment names its messages inside what is sealed, and they never change,
so an attacker who moves or restores rows cannot make it answer wrongly. One step at a time fills a mailbox's
index; when two hosts index the same messages at once, only one result is kept.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import AbstractAsyncContextManager, aclosing
from dataclasses import dataclass, field
from typing import NamedTuple

from mssante.crypto import NotAuthentic
from mssante.crypto.keys import random_id
from mssante.limits import (
    INDEX_OPENED_INSTEAD_MAX,
    INDEX_SEGMENTS_AT_ONCE,
    INDEX_STEP_OCTETS,
    INDEX_STEP_WORDS,
)
from mssante.mailbox.index import texts
from mssante.mailbox.index.vocabulary import (
    MESSAGES_MAX,
    MessageWords,
    Needle,
    OtherVersion,
    Segment,
    laid_out,
)
from mssante.mailbox.index.workers import SearchThreads
from mssante.mailbox.opening import OpenMailbox
from mssante.mailbox.reading import Message, Reader
from mssante.mailbox.turns import Rest, breathe, patient_turn
from mssante.mime.text import Step
from mssante.model import FolderId
from mssante.observe import report
from mssante.observe.events import IndexSegmentDropped
from mssante.reasons import Passing, Reason, Refused
from mssante.store.index import FolderPlaces, SealedSegment, SegmentHead

Sought = tuple[str, bool, bool]  # a folded needle, and whether it is looked for in headers, in bodies
Pause = Callable[[], Awaitable[None]]


class Holders(NamedTuple):
    """UIDs among the messages asked about: `sure` hold the needle, `possible` may hold it. `possible`
    includes `sure`."""

    sure: AbstractSet[int]
    possible: AbstractSet[int]


@dataclass(slots=True)
class Answers:
    """What the index says about some messages of a folder. `numbers` gives, by UID, the number that the index
    has for each message that still exists. `known` are the numbers whose words it has. For each needle,
    `sure` are the messages that hold it, and `maybe` those that must be opened to find out. `complete` says
    that the index knows all the messages asked about."""

    numbers: Mapping[int, int]
    known: set[int] = field(default_factory=set)
    sure: dict[Sought, set[int]] = field(default_factory=dict)
    maybe: dict[Sought, set[int]] = field(default_factory=dict)
    complete: bool = False

    def holders(self, sought: Sought, uids: AbstractSet[int]) -> Holders:
        """Which of `uids` hold the needle, or may. All of `uids` must be in `numbers`."""
        numbers, known, sure, maybe = self.numbers, self.known, self.sure[sought], self.maybe[sought]
        found = {uid for uid in uids if numbers[uid] in sure} if sure else set()
        if self.complete and not maybe:
            return Holders(found, found)
        doubtful = {uid for uid in uids if numbers[uid] in maybe or numbers[uid] not in known}
        return Holders(found, found | doubtful)

    def unknown(self) -> list[int]:
        """The UIDs of the messages that the index does not know, ascending."""
        known = self.known
        return [uid for uid, number in self.numbers.items() if number not in known]

    def add(self, segment: Segment, needles: Mapping[Sought, Needle]) -> None:
        """Asks one more segment for all needles. A message is in one segment only."""
        self.known.update(segment.numbers)
        for sought, needle in needles.items():
            _, in_header, in_body = sought
            sure, maybe = segment.find(needle, header=in_header, body=in_body)
            self.sure[sought].update(segment.numbers_at(sure))
            self.maybe[sought].update(segment.numbers_at(maybe))


class Index:
    """One session's hold on the index of its mailbox."""

    def __init__(self, mailbox: OpenMailbox, reader: Reader, threads: SearchThreads) -> None:
        self._mailbox = mailbox
        self._reader = reader
        self._threads = threads
        self._segments = mailbox.store.index
        self._places: tuple[FolderId, FolderPlaces] | None = None

    # Asking

    async def ask(
        self,
        questions: Iterable[Sought],
        folder: FolderId,
        uids: Sequence[int],
        rest: Rest = breathe,
        *,
        fill: bool,
    ) -> Answers:
        """Asks about the messages `uids` (ascending) of a folder. With `fill`, messages that are not indexed
        yet are indexed now if there are many of them, step by step; `rest` is awaited between the steps, and
        what it raises ends the asking. What was indexed until then is kept."""
        needles = {question: Needle.of(question[0]) for question in questions}
        answers = Answers(
            numbers=await self._numbers(folder, uids),
            sure={each: set() for each in needles},
            maybe={each: set() for each in needles},
        )
        seen: set[int] = set()
        await self._ask_all(answers, needles, seen)
        unknown = answers.unknown()
        at = 0
        while fill and len(unknown) > INDEX_OPENED_INSTEAD_MAX and at < len(unknown):
            await rest()
            segment = None
            async with self._filling(rest):
                # Another session may have filled the index while this one waited.
                await self._ask_all(answers, needles, seen)
                step: list[int] = []
                while at < len(unknown) and len(step) < MESSAGES_MAX:
                    if answers.numbers[unknown[at]] not in answers.known:
                        step.append(unknown[at])
                    at += 1
                if step:
                    segment, reached = await self._fill_step(folder, step)
                    at = bisect_right(unknown, reached)
            if segment is not None:
                await self._threads.run(answers.add, segment, needles)
        answers.complete = not answers.unknown()
        return answers

    async def _ask_all(self, answers: Answers, needles: Mapping[Sought, Needle], seen: set[int]) -> None:
        """Asks the segments that are not in `seen`, and adds them to it."""
        heads = await self._segments.heads(self._mailbox.id)
        wanted = [head.id for head in heads if head.id not in seen]
        seen.update(wanted)
        if wanted and 2 * len(answers.numbers) < sum(head.messages for head in heads):
            # Of a large mailbox, only a part is asked about: the others' segments need not be opened.
            holding = await self._segments.holding(sorted(set(answers.numbers.values())))
            wanted = [each for each in wanted if each in holding]
        for start in range(0, len(wanted), INDEX_SEGMENTS_AT_ONCE):
            sealed = await self._segments.sealed(wanted[start : start + INDEX_SEGMENTS_AT_ONCE])
            broken = await self._threads.run(self._ask_some, answers, needles, sealed)
            for each in broken:
                await self._drop(each)

    def _ask_some(
        self, answers: Answers, needles: Mapping[Sought, Needle], sealed: Sequence[SealedSegment]
    ) -> list[SealedSegment]:
        """Returns the segments that do not open."""
        broken = []
        for each in sealed:
            segment = self._opened(each)
            if segment is None:
                broken.append(each)
            else:
                answers.add(segment, needles)
        return broken

    # Filling

    async def lacks(self) -> bool:
        """Whether enough messages are not indexed to be worth a segment."""
        return await self._segments.lacking(self._mailbox.id) > INDEX_OPENED_INSTEAD_MAX

    async def fill(self, folders: Sequence[FolderId], pause: Pause) -> None:
        """Indexes what is not indexed yet. `pause` is awaited before every step."""
        for folder in folders:
            after = 0
            while True:
                await pause()
                async with self._filling(breathe):
                    uids = await self._segments.unindexed(folder, after=after, most=MESSAGES_MAX)
                    if not uids:
                        break
                    _, after = await self._fill_step(folder, uids)
        await pause()
        async with self._filling(breathe):
            await self._tidy()

    def _filling(self, rest: Rest) -> AbstractAsyncContextManager[None]:
        """Held during the one step that may fill this mailbox's index."""
        return patient_turn(self._threads.filling(self._mailbox.id), rest)

    async def _fill_step(self, folder: FolderId, uids: Sequence[int]) -> tuple[Segment | None, int]:
        """Indexes the first of `uids`: at most MESSAGES_MAX messages, and fewer where they are large. Answers
        the segment, once it is stored, and the last UID that was dealt with."""
        made: list[MessageWords] = []
        opened: set[int] = set()
        numbers: set[int] = set()  # a message copied within the folder is one message
        reached, octets, words = uids[-1], 0, 0
        async with aclosing(self._small_contents(folder, uids, opened, numbers)) as groups:
            async for group in groups:
                new = await self._words_of(group)
                made += new
                octets += sum(message.summary.size for message, _ in group)
                words += sum(len(each.header or ()) + len(each.body or ()) for each in new)
                if octets >= INDEX_STEP_OCTETS or words >= INDEX_STEP_WORDS:
                    reached = group[-1][0].uid
                    break
        damaged = [uid for uid in uids if uid <= reached and uid not in opened]
        # These were reported when they did not open. Indexed as opaque, they are not tried at every pass.
        closed = set((await self._numbers(folder, damaged)).values())
        made += [MessageWords(number, None, None) for number in sorted(closed - numbers)]
        return (await self._put(made) if made else None), reached

    async def _small_contents(
        self, folder: FolderId, uids: Sequence[int], opened: set[int], numbers: set[int]
    ) -> AsyncGenerator[list[tuple[Message, bytes | None]], None]:
        """As Reader.small_contents, each message once. Notes which UIDs and numbers were `opened`."""
        async for messages, _ in self._reader.messages(folder, uids):
            opened.update(message.uid for message in messages)
            fresh = {message.number: message for message in messages if message.number not in numbers}
            numbers.update(fresh)
            async for group in self._reader.small_contents(list(fresh.values())):
                yield group

    async def _words_of(self, group: Sequence[tuple[Message, bytes | None]]) -> list[MessageWords]:
        step, made = self._threads.require_open, list[MessageWords]()
        small = [(message, content) for message, content in group if content is not None]
        if small:
            async with self._threads.turn():
                made += await self._threads.run(_words, small, step)
        for message in (message for message, content in group if content is None):
            async with self._threads.turn(message.summary.size):
                try:
                    content = await self._reader.octets(message, 0, message.summary.size)
                except Refused:
                    made.append(MessageWords(message.number, None, None))
                else:
                    made += await self._threads.run(_words, [(message, content)], step)
        return made

    async def _put(self, made: Sequence[MessageWords], instead_of: Sequence[int] = ()) -> Segment:
        octets = await self._threads.run(laid_out, made, texts.WORDS_VERSION)
        ring = self._mailbox.ring
        id_ = int.from_bytes(random_id()[:8], "big") >> 1
        sealed = SealedSegment(id_, ring.newest_epoch, ring.seal_segment(id_, octets))
        numbers = [each.number for each in made]
        try:
            await self._segments.put(self._mailbox.id, sealed, numbers, instead_of=instead_of)
        except Passing:
            pass  # the index only makes searches faster: this segment is made again another time
        return Segment(octets, texts.WORDS_VERSION)

    async def _tidy(self) -> None:
        """Keeps segments few and under the newest epoch's key: joins the smallest ones, and seals those of an
        older epoch anew."""
        heads = sorted(await self._segments.heads(self._mailbox.id), key=lambda head: head.messages)
        newest = self._mailbox.ring.newest_epoch
        old = [head for head in heads if head.epoch != newest]
        together: list[SegmentHead] = []
        for head in heads:
            if sum(each.messages for each in together) + head.messages <= MESSAGES_MAX:
                together.append(head)
        if len(together) > 1:
            await self._join([head.id for head in together])
        for head in old:
            if head not in together or len(together) < 2:
                await self._join([head.id])

    async def _join(self, ids: Sequence[int]) -> None:
        words: list[MessageWords] = []
        for sealed in await self._segments.sealed(ids):
            segment = self._opened(sealed)
            if segment is None:
                return await self._drop(sealed)
            words += await self._threads.run(segment.words)
        if words:
            await self._put(words, instead_of=ids)
        return None

    def _opened(self, sealed: SealedSegment) -> Segment | None:
        try:
            octets = self._mailbox.ring.open_segment(sealed.id, sealed.epoch, sealed.ct)
            return Segment(octets, texts.WORDS_VERSION)
        except (NotAuthentic, OtherVersion):
            return None

    async def _drop(self, sealed: SealedSegment) -> None:
        """Removes a damaged segment, so that its messages are indexed again."""
        report(IndexSegmentDropped(mailbox=self._mailbox.id.hex(), segment=sealed.id))
        try:
            await self._segments.put(self._mailbox.id, None, instead_of=[sealed.id])
        except Passing:
            pass  # dropped another time

    async def _numbers(self, folder: FolderId, uids: Sequence[int]) -> dict[int, int]:
        """The index's number of each of `uids` (ascending), by UID, without messages that are gone."""
        if not uids:
            return {}
        of = await self._places_of(folder, uids[-1])
        here = slice(bisect_left(of.uids, uids[0]), bisect_right(of.uids, uids[-1]))
        number_of = dict(zip(of.uids[here], of.numbers[here], strict=True))
        return {uid: number_of[uid] for uid in uids if uid in number_of}

    async def _places_of(self, folder: FolderId, last: int) -> FolderPlaces:
        """The numbers of a folder's messages, read at least up to the UID `last`. What was read before is
        kept, because a message never changes its number."""
        if self._places is None or self._places[0] != folder:
            self._places = folder, await self._segments.places(folder)
        of = self._places[1]
        if of.uids and of.uids[-1] < last:
            new = await self._segments.places(folder, after=of.uids[-1])
            of.uids.extend(new.uids)
            of.numbers.extend(new.numbers)
        return of


def _words(contents: Sequence[tuple[Message, bytes]], step: Step) -> list[MessageWords]:
    found = []
    for message, content in contents:
        try:
            text = texts.of_message(content, message.summary, step)
        except Refused as refused:
            if refused.reason is not Reason.CORRUPTION:
                raise
            found.append(MessageWords(message.number, None, None))
        else:
            found.append(MessageWords.of(message.number, text.header, text.body))
    return found
