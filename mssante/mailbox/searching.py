"""SEARCH over sealed mail: flags first, then summaries, headers, and contents where nothing less decides.

Invariants: the result is what a scan of everything would give; a message that does not open is not found;
the work is bounded in time; the loop is given to others between batches.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import quopri
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from datetime import date, datetime, timedelta, timezone

from mssante.imap.matching import Candidate, Context, compiled, fold, need_of
from mssante.imap.need import Need
from mssante.imap.search import Key
from mssante.limits import IMAP_SEARCH_SECONDS_MAX
from mssante.mailbox.reading import Message, Reader, breathe
from mssante.mailbox.selected import Selected
from mssante.mime import header, words
from mssante.mime.structure import Part, scan
from mssante.mime.summary import Summary
from mssante.reasons import Reason, Refused

_FLAGS_BATCH = 5000


class Searcher:
    """Runs one session's searches. `monotonic` gives seconds, for the budget; `contents` is shared: how many
    messages are looked through whole at once."""

    def __init__(self, reader: Reader, monotonic: Callable[[], float], contents: asyncio.Semaphore) -> None:
        self._reader = reader
        self._monotonic = monotonic
        self._contents = contents

    async def search(self, selected: Selected, key: Key, context: Context) -> list[int]:
        """The UIDs that match, ascending. Raises Refused(LIMIT_REACHED) past the time budget."""
        deadline = self._monotonic() + IMAP_SEARCH_SECONDS_MAX
        test, need = compiled(key, context), need_of(key)
        found: list[int] = []
        undecided: list[Candidate] = []
        for sequence, uid, mask in selected.messages([range(len(selected.view))]):
            if sequence % _FLAGS_BATCH == 0:
                await breathe()
            candidate = Candidate(sequence, uid, mask)
            verdict = test(candidate)
            if verdict:
                found.append(uid)
            elif verdict is None:
                undecided.append(candidate)
        async for uid in self._decided(selected, test, need, undecided, deadline):
            found.append(uid)
        return sorted(found)

    async def _decided(
        self,
        selected: Selected,
        test: Callable[[Candidate], bool | None],
        need: Need,
        undecided: Sequence[Candidate],
        deadline: float,
    ) -> AsyncIterator[int]:
        by_uid = {candidate.uid: candidate for candidate in undecided}
        header = need >= Need.HEADER
        async for messages, _ in self._reader.messages(selected.id, list(by_uid), header=header):
            for message in messages:
                candidate = by_uid.pop(message.uid)
                candidate.summary = _Summary(message.summary)
                verdict = test(candidate)
                if verdict is None:
                    self._require_time(deadline)
                    verdict = await self._deeper(test, candidate, message, deadline)
                if verdict:
                    yield message.uid
            self._require_time(deadline)

    async def _deeper(
        self,
        test: Callable[[Candidate], bool | None],
        candidate: Candidate,
        message: Message,
        deadline: float,
    ) -> bool:
        block = message.header
        if block is None:
            block = await self._reader.octets(message, 0, message.summary.header_octets)
        candidate.header = _Header(block)
        verdict = test(candidate)
        if verdict is None:
            async with self._contents:
                self._require_time(deadline)  # it may have waited for its turn
                verdict = await self._through_content(test, candidate, message, block)
        return bool(verdict)

    async def _through_content(
        self, test: Callable[[Candidate], bool | None], candidate: Candidate, message: Message, block: bytes
    ) -> bool | None:
        try:
            content = await self._reader.octets(message, 0, message.summary.size)
        except Refused:
            return False  # damaged: already told
        candidate.content = await asyncio.to_thread(_Content, block, content)
        verdict = test(candidate)
        candidate.content = None
        return verdict

    def _require_time(self, deadline: float) -> None:
        if self._monotonic() > deadline:
            raise Refused(Reason.LIMIT_REACHED, "search took too long")


class _Summary:
    """A message's summary as the matching core asks it."""

    __slots__ = ("_summary", "_texts")

    def __init__(self, summary: Summary) -> None:
        self._summary = summary
        self._texts: dict[str, str] | None = None

    @property
    def received(self) -> datetime:
        zone = timezone(timedelta(minutes=self._summary.internal_offset))
        return datetime.fromtimestamp(self._summary.internal_date, zone)

    @property
    def sent(self) -> date | None:
        if self._summary.sent_at is None:
            return None
        zone = timezone(timedelta(minutes=self._summary.sent_offset or 0))
        return datetime.fromtimestamp(self._summary.sent_at, zone).date()

    @property
    def size(self) -> int:
        return self._summary.size

    def texts(self, name: str) -> Sequence[str] | None:
        if self._texts is None:
            subject, from_, to, cc, bcc = self._summary.texts
            self._texts = {"subject": subject, "from": from_, "to": to, "cc": cc, "bcc": bcc}
        text = self._texts.get(name)
        return [fold(text)] if text else None  # an empty one may be a missing field: the header tells


class _Header:
    """A header block as the matching core asks it."""

    __slots__ = ("_block",)

    def __init__(self, block: bytes) -> None:
        self._block = block

    def texts(self, name: str) -> Sequence[str]:
        found = header.values(self._block, name.encode("utf-8", "replace"))
        return [fold(words.decode(value)) for value in found]


class _Content:
    """A whole message as text: its header, and its text parts decoded."""

    def __init__(self, block: bytes, content: bytes) -> None:
        self._header = fold(words.decode(header.unfold(block)))
        self._body = "\n".join(fold(text) for text in _texts(content, scan(content).root))

    def header_contains(self, needle: str) -> bool:
        return needle in self._header

    def body_contains(self, needle: str) -> bool:
        return needle in self._body


def _texts(content: bytes, part: Part) -> Iterator[str]:
    """What a reader sees of a message's body: text parts decoded, and the headers of the parts within."""
    for child in part.children:
        block = content[child.header_offset : child.header_offset + child.header_octets]
        yield words.decode(header.unfold(block))
        yield from _texts(content, child)
    if not part.children and part.content.media == b"text":
        body = content[part.body_offset : part.body_offset + part.body_octets]
        charset = header.parameter(part.content.parameters, b"charset") or b"us-ascii"
        yield words.in_charset(_decoded(body, part.content.encoding), charset.decode("ascii", "replace"))


def _decoded(body: bytes, encoding: bytes) -> bytes:
    if encoding == b"quoted-printable":
        return quopri.decodestring(body)
    if encoding == b"base64":
        try:
            return base64.b64decode(body)
        except binascii.Error:
            return body
    return body
