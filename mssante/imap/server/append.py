"""APPEND and REPLACE: messages that stream in, and are kept all together or not at all.

Invariants: a message is kept only when its last octet has come, its lines and octets were found acceptable
and the command has ended properly; the messages of one command hold no more memory together than one; the
octets of a refused message are read and dropped, and the conversation goes on; a REPLACE keeps the new
message and removes the old one in one transaction, so that one of the two exists at every moment.
"""

from __future__ import annotations

import asyncio

from mssante.imap.grammar import responses
from mssante.imap.grammar.append_syntax import Replaced
from mssante.imap.grammar.events import (
    AppendEnd,
    AppendRefused,
    AppendStart,
    Event,
    LiteralChunk,
    Rejected,
    Signal,
)
from mssante.imap.grammar.lexer import Unacceptable
from mssante.imap.grammar.responses import Code, ResponseStatus
from mssante.imap.server.session import Answer, Session
from mssante.limits import DATA_OCTETS_PER_SECOND_MIN
from mssante.mailbox.writing import Draft
from mssante.model import Uid
from mssante.reasons import Declined, Reason, Refused
from mssante.words.imap import imap_answer


class Append:
    """An APPEND in progress: its messages are kept all together, or not at all (RFC 3502). `refusal` says why
    the command may not come now; None if it may."""

    def __init__(self, session: Session, refusal: Rejected | None) -> None:
        self._session = session
        self._rejected = refusal
        self._old: int | None = None  # the UID of the message that a REPLACE removes
        self._drafts: list[Draft] = []
        self._refusal: Answer | Declined | None = None
        self._waited = 0.0  # seconds spent waiting for the client
        self._received = 0

    async def run(self, event: AppendStart) -> Answer | Rejected:
        """Takes the command from its first announced message to its answer."""
        try:
            return await self._run(event)
        except BaseException:
            await self._abandon()
            raise

    async def _run(self, start: AppendStart) -> Answer | Rejected:
        event: object = start
        while True:
            match event:
                case AppendStart():
                    await self._begin(event)
                    start = event
                case LiteralChunk(octets):
                    await self._write(octets)
                case Signal.CONTINUE:
                    await self._session.send(responses.continuation())
                case Signal.LITERAL_END:
                    await self._finish(start)
                case AppendRefused():
                    await self._abandon()
                    return self._rejected or self._refused(start)
                case AppendEnd():
                    return await self._keep()
                case Rejected():
                    await self._abandon()
                    return event
                case _:
                    raise AssertionError("the wire tells nothing else within an APPEND")
            event = await self._next()

    async def _next(self) -> Event:
        """The next event. Raises TimeoutError for a client that sends slower than the slowest accepted rate.
        The limit is a rate, not a total time, so that a large message may take long; and only the time spent
        waiting for the client counts, not what our own work takes (catalogue I7, as R7)."""
        clock, bounds = asyncio.get_running_loop().time, self._session.service.bounds
        begun = clock()
        event = await self._session.next_event()
        self._waited += clock() - begun
        if isinstance(event, LiteralChunk):
            self._received += len(event.octets)
        if self._waited > bounds.append_credit_seconds + self._received / DATA_OCTETS_PER_SECOND_MIN:
            raise TimeoutError
        return event

    async def _begin(self, start: AppendStart) -> None:
        session = self._session
        if self._rejected is not None:
            return session.wire.refuse()
        if start.size == 0:
            # RFC 3502 §6.3.11: an empty message MUST be answered by NO; clients use it to cancel the command.
            return self._refuse(
                Answer(ResponseStatus.NO, "Message vide: annule / An empty message cancels the APPEND")
            )
        try:
            if start.replaced is not None:
                self._old = await self._replaced(start.replaced)
            folder = await session.folders.named(start.mailbox)
            mask, _ = await session.writer.mask(start.flags, await session.folders.flag_names())
            self._drafts.append(
                await session.writer.draft(
                    folder, mask, start.size, together=self._drafts, replacing=self._old is not None
                )
            )
        except Unacceptable as error:
            self._refuse(Answer(ResponseStatus(error.status), error.text, error.code))
        except Declined as declined:
            self._refuse(declined)
        else:
            session.wire.accept()
        return None

    async def _replaced(self, replaced: Replaced) -> int:
        """The UID of the message to be removed. Raises Unacceptable, Refused(MESSAGE_GONE)."""
        await self._session.look()
        self._session.by_uid = replaced.uid
        uids = self._session.uids_of(replaced.message, uid=replaced.uid)
        if len(uids) != 1 or self._session.selected.row(uids[0]) is None:
            raise Refused(Reason.MESSAGE_GONE)
        return uids[0]

    def _refuse(self, why: Answer | Declined) -> None:
        self._refusal = why
        self._session.wire.refuse()

    def _refused(self, start: AppendStart) -> Answer:
        match self._refusal:
            case Declined(reason=Reason.FOLDER_UNKNOWN):
                return Answer(ResponseStatus.NO, imap_answer(Reason.FOLDER_UNKNOWN).text, Code.TRYCREATE)
            case Declined(reason=Reason.NUL_OCTET | Reason.BARE_LINE_ENDING) if start.octets8:
                # RFC 3516 §4.4: binary content is not kept here, because we could not send it on by mail.
                raise Refused(Reason.ENCODING_UNKNOWN)
            case Declined():
                raise self._refusal
            case Answer():
                return self._refusal
            case None:
                raise AssertionError("the wire refuses when it is told to")

    async def _write(self, octets: bytes) -> None:
        try:
            await self._drafts[-1].write(octets)
        except Declined as declined:
            self._refuse(declined)

    async def _finish(self, start: AppendStart) -> None:
        try:
            await self._drafts[-1].finish(start.date or self._session.service.clock.now())
        except Declined as declined:
            self._refuse(declined)

    async def _keep(self) -> Answer:
        writer, validity = self._session.writer, self._drafts[0].folder.folder.uidvalidity
        try:
            if self._old is None:
                placed = await writer.keep(self._drafts)
            else:
                placed = await writer.replace(self._session.selected.id, Uid(self._old), self._drafts[0])
        except Declined:
            await self._abandon()
            raise
        self._drafts.clear()
        code = responses.code_append_uid(validity, [each.uid for each in placed])
        if self._old is None:
            return Answer(ResponseStatus.OK, "Kept", code)
        # RFC 8508 §4.3: this must precede the EXPUNGE, which `Conversation._finish` tells.
        await self._session.send(responses.untagged(ResponseStatus.OK, "Kept", code))
        return Answer(ResponseStatus.OK, "Replaced", expunged=True)

    async def _abandon(self) -> None:
        drafts, self._drafts = self._drafts, []
        for draft in drafts:  # all of them first: what follows may raise, and nobody comes back here
            draft.free()
        if drafts:
            await drafts[0].blobs.abandon()
