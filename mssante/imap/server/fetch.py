"""FETCH: lines made in batches from flags and summaries; bodies streamed piece by piece.

Invariants: no transaction is open while the client is written to; other tasks get their turn between
batches; the octets that wait to be sent are bounded, whatever is asked; a damaged message spoils no other
answer, because none of its octets is announced before all of them have been opened.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from itertools import chain, islice

from mssante.imap.grammar.commands import Fetch
from mssante.imap.grammar.fetch import Attribute, BodySection, FetchItems, SectionForm
from mssante.imap.grammar.flags import FlagWords
from mssante.imap.grammar.need import Need
from mssante.imap.grammar.responses import Code, ResponseStatus
from mssante.imap.rules.fetched import CLOSING, FetchFormat
from mssante.imap.server.rows import FlagsLine, MessageLine, PlaceLine
from mssante.imap.server.sections import ListedSections, SectionExtent, at_hand, extents
from mssante.imap.server.selected import Selected
from mssante.imap.server.session import OK_FETCH, Answer, Session
from mssante.limits import (
    IMAP_FETCHED_AT_ONCE,
    IMAP_LINES_AT_ONCE,
    IMAP_SECTION_WHOLE_OCTETS_MAX,
    IMAP_SEND_OCTETS,
)
from mssante.mailbox.reading import Message, Reader
from mssante.mailbox.turns import breathe
from mssante.model import Flag
from mssante.reasons import Passing, Reason, Refused
from mssante.store.records import FlagsMode
from mssante.words.imap import imap_answer

Place = tuple[int, int, int]  # sequence number, UID, flags


async def fetch(session: Session, command: Fetch) -> Answer:
    """RFC 3501 §6.4.5."""
    places = session.places(command.messages, uid=command.uid)
    if command.changed_since is not None:
        if command.vanished:
            places = await _tell_vanished(session, command)
        places = session.selected.changed_since(places, command.changed_since)
    job = _FetchJob(session, command.items, await session.flag_words())
    wanted = chain.from_iterable(map(session.selected.messages, ([place] for place in places)))
    if command.items.need is Need.FLAGS:
        while batch := list(islice(wanted, IMAP_LINES_AT_ONCE)):
            await job.flags_only(batch)
    elif command.items.need is Need.PLACE:
        while batch := list(islice(wanted, IMAP_LINES_AT_ONCE)):
            await job.places_only(batch)
    else:
        while batch := list(islice(wanted, IMAP_FETCHED_AT_ONCE)):
            await job.messages(batch)
    await job.flush()
    if job.damaged:
        text = (
            f"{job.damaged} message(s) endommage(s), prevenez votre operateur / damaged, tell your operator"
        )
        return Answer(ResponseStatus.NO, text, Code.CORRUPTION)
    if job.undecodable:
        answer = imap_answer(Reason.ENCODING_UNKNOWN)
        return Answer(ResponseStatus.NO, answer.text, answer.code)
    # RFC 3501 §6.4.8: a UID that does not exist is passed over in silence. A sequence number is not: the
    # client still counts that message, so it must hear that it is gone.
    by_number = not command.uid and not command.messages.saved
    if by_number and job.answered < sum(map(len, places)):
        raise Refused(Reason.MESSAGE_GONE)
    return OK_FETCH


async def _tell_vanished(session: Session, command: Fetch) -> list[range]:
    """RFC 7162 §3.2.6: tells which of the named UIDs are gone, before any FETCH response. The expunges that
    wait in this session come first, as plain VANISHED without EARLIER (§3.2.10). Answers the places of those
    that are still there."""
    assert command.changed_since is not None
    await session.tell(expunges=True)
    gone = await session.selected.expunged_since(command.changed_since, command.messages)
    await session.tell_vanished_earlier(gone)
    return session.places(command.messages, uid=True)


class _FetchJob:
    """One FETCH command in progress."""

    def __init__(self, session: Session, items: FetchItems, words: FlagWords) -> None:
        self._session = session
        self._selected: Selected = session.selected
        self._words = words
        self._reader: Reader = session.reader
        self._format = self._format_seen = FetchFormat(items)
        self._tells_modseq = items.tells_modseq
        self._modseqs: dict[int, int] = {}
        self._marks = items.sets_seen and not self._selected.read_only
        if self._marks:
            # RFC 3501 §6.4.5: a message that becomes \Seen tells its flags in the same response.
            # It is a change: a client that knows of mod-sequences is told its own (RFC 7162 §3.2.4).
            changed = (Attribute.UID, Attribute.MODSEQ) if session.protocol.tells_modseq else ()
            self._format_seen = FetchFormat(FetchItems.of(*items.items, Attribute.FLAGS, *changed))
        self._gathered: list[bytes] = []
        self._gathered_octets = 0
        self._bodies = items.need is Need.BODY
        self._listed = ListedSections.of(items.sections) if items.sections else None
        self._headers = self._listed is None and any(
            isinstance(item, BodySection) and item.need is Need.HEADER for item in items.items
        )
        self._asks_places = any(item.need is Need.PLACE for item in items.attributes)
        self._place_rows: dict[int, PlaceLine] = {}
        self.damaged = 0
        self.undecodable = 0  # RFC 3516 §4.3: messages with an encoding that is not known here
        self.answered = 0

    async def flags_only(self, batch: Sequence[Place]) -> None:
        render = self._words.render
        batch = self._with_modseqs(batch)
        modseqs = self._modseqs
        rows = [FlagsLine(sequence, uid, render(mask), modseqs.get(uid, 0)) for sequence, uid, mask in batch]
        self.answered += len(rows)
        await self._send(self._format.lines(rows))  # type: ignore[arg-type]  # UID and FLAGS, nothing else
        await breathe()

    async def places_only(self, batch: Sequence[Place]) -> None:
        rows = await self._places(self._with_modseqs(batch))
        self.answered += len(rows)
        await self._send(self._format.lines(rows.values()))  # type: ignore[arg-type]  # nothing of a summary
        await breathe()

    async def _places(self, batch: Sequence[Place]) -> dict[int, PlaceLine]:
        """The lines by UID, in the order of `batch`, without the messages that are gone."""
        render = self._words.render
        by_uid = {place[1]: place for place in batch}
        found = await self._reader.places(self._selected.id, list(by_uid))
        return {
            uid: PlaceLine(by_uid[uid][0], uid, render(by_uid[uid][2]), place, self._modseqs.get(uid, 0))
            for uid, place in found.items()
        }

    async def messages(self, batch: Sequence[Place]) -> None:
        batch = self._with_modseqs(batch)
        self._place_rows = await self._places(batch) if self._asks_places else {}
        by_uid = {place[1]: place for place in batch}
        uids = list(by_uid)
        async for opened, damaged in self._reader.messages(self._selected.id, uids, header=self._headers):
            self.damaged += len(damaged)
            self.answered += len(opened) + len(damaged)
            await self._answer(opened, by_uid)

    def _with_modseqs(self, batch: Sequence[Place]) -> Sequence[Place]:
        """Reads the mod-sequences, if the client asks for them. Answers the batch without the messages that
        have gone meanwhile."""
        if not self._tells_modseq:
            return batch
        self._modseqs = self._selected.modseqs([uid for _, uid, _ in batch])
        return [place for place in batch if place[1] in self._modseqs]

    async def _answer(self, opened: Sequence[Message], by_uid: Mapping[int, Place]) -> None:
        newly_seen = await self._mark_seen(opened, by_uid) if self._marks else {}
        if self._asks_places:
            opened = [message for message in opened if message.uid in self._place_rows]
        rows = []
        render, place_rows, modseqs = self._words.render, self._place_rows, self._modseqs
        for message in opened:
            sequence, uid, mask = by_uid[message.uid]
            mask, modseq = newly_seen.get(uid) or (mask, modseqs.get(uid, 0))
            rows.append(
                MessageLine(sequence, uid, render(mask), message.summary, modseq, place_rows.get(uid))
            )
        if not self._format.sections:
            await self._send(self._format.lines(rows))
        elif self._listed is not None:
            await self._answer_listed(self._listed, rows, opened, newly_seen)
        else:
            await self._answer_sections(rows, opened, newly_seen)

    async def _answer_sections(
        self, rows: Sequence[MessageLine], opened: Sequence[Message], newly_seen: Collection[int]
    ) -> None:
        if not self._bodies:
            for row, message in zip(rows, opened, strict=True):
                await self._sections(self._form(row, newly_seen), row, message, None)
            return
        by_uid = {row.uid: row for row in rows}
        async for group in self._reader.small_contents(opened):
            for message, content in group:
                row = by_uid[message.uid]
                await self._sections(self._form(row, newly_seen), row, message, content)

    async def _answer_listed(
        self,
        listed: ListedSections,
        rows: Sequence[MessageLine],
        opened: Sequence[Message],
        newly_seen: Collection[int],
    ) -> None:
        """Answers with header fields that summaries keep. A few messages have a summary without them: for
        those the header itself is read."""
        lines: list[bytes] = []
        others: dict[int, MessageLine] = {}
        for row, message in zip(rows, opened, strict=True):
            contents = listed.octets(message.summary)
            if contents is None:
                others[row.uid] = row
            else:
                lines.append(self._form(row, newly_seen).listed(row, contents))
        await self._send(b"".join(lines))
        async for again, damaged in self._reader.messages(self._selected.id, list(others), header=True):
            self.damaged += len(damaged)
            for message in again:
                row = others[message.uid]
                await self._sections(self._form(row, newly_seen), row, message, None)

    def _form(self, row: MessageLine, newly_seen: Collection[int]) -> FetchFormat:
        return self._format_seen if row.uid in newly_seen else self._format

    async def _mark_seen(
        self, opened: Sequence[Message], by_uid: Mapping[int, Place]
    ) -> dict[int, tuple[int, int]]:
        """Sets \\Seen on the messages that a BODY[] is about to read. Answers the new flags and mod-sequence
        of those that did not have it yet."""
        unseen = [message.uid for message in opened if not by_uid[message.uid][2] & Flag.SEEN.value]
        if not unseen:
            return {}
        try:
            rows = await self._session.writer.flags(self._selected.id, unseen, FlagsMode.ADD, Flag.SEEN.value)
        except Passing:
            return {}  # C3: mail stays readable while the database takes no writes; \Seen is then not set
        await self._selected.learn(rows)
        mask = self._selected.view.mask
        newly_seen: dict[int, tuple[int, int]] = {
            row.uid: (mask(row.uid, row.flags), row.modseq) for row in rows
        }
        if self._selected.flags_seen & ~self._words.names.known:
            self._words = await self._session.flag_words()
        return newly_seen

    async def _sections(
        self, form: FetchFormat, row: MessageLine, message: Message, content: bytes | None
    ) -> None:
        """Sends one message's line; `content` is its content, if it has been read already. Small sections are
        opened and held; large ones are read once to prove that they open, and a second time to be sent."""
        try:
            contents = at_hand(form.sections, message, content)
            if contents is None:
                places = await extents(self._reader, message, form.sections)
                small = sum(each.size for each in places if each is not None) <= IMAP_SECTION_WHOLE_OCTETS_MAX
                contents = [
                    None if each is None else await each.octets(self._reader, keep=small) for each in places
                ]
                if not small:
                    return await self._send_streamed(form, row, places)
        except Refused as refused:
            match refused.reason:
                case Reason.ENCODING_UNKNOWN:
                    self.undecodable += 1
                case Reason.MESSAGE_GONE:
                    self.answered -= 1  # expunged and shredded since this command looked
                case _:
                    self.damaged += 1
            return None
        await self._send(form.line(row, contents))
        return None

    async def _send_streamed(
        self, form: FetchFormat, row: MessageLine, extents: Sequence[SectionExtent | None]
    ) -> None:
        await self._send(form.opening(row))
        for at, each in enumerate(extents):
            if each is None:
                await self._send(form.announcement(at, None))
                continue
            await self._send(form.announcement(at, each.size, nul=each.nul))
            if form.sections[at].form is not SectionForm.DECODED_SIZE:
                await self._stream(each)
        await self._send(CLOSING)

    async def _stream(self, extent: SectionExtent) -> None:
        await self.flush()
        try:
            async for piece in extent.pieces(self._reader):
                await self._session.send(piece)
        except Refused:
            # The message was shredded after it had proved readable. The client has been promised a number of
            # octets that nobody can supply any more, so the only way out is to cut the connection.
            self._session.abort()
            raise ConnectionResetError from None

    async def _send(self, octets: bytes) -> None:
        self._gathered.append(octets)
        self._gathered_octets += len(octets)
        if self._gathered_octets >= IMAP_SEND_OCTETS:
            await self.flush()

    async def flush(self) -> None:
        """Sends the octets gathered so far."""
        octets = b"".join(self._gathered)
        self._gathered.clear()
        self._gathered_octets = 0
        await self._session.send(octets)
