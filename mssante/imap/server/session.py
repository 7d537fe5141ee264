"""What the handlers of one IMAP conversation share: the stream, the protocol state, the open mailbox.

Invariants: every wait has a time limit; output is produced only as fast as the client reads it; whoever
raises Goodbye ends the conversation with BYE.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field

from mssante.clock import Clock
from mssante.flags import FlagNames
from mssante.imap.grammar import responses
from mssante.imap.grammar.commands import Command, Copy, Fetch, Store
from mssante.imap.grammar.events import Bye, Event, Signal
from mssante.imap.grammar.flags import FlagWords
from mssante.imap.grammar.responses import Code, ResponseStatus
from mssante.imap.grammar.sets import SequenceSet
from mssante.imap.grammar.wire import Wire
from mssante.imap.rules.state import ProtocolState
from mssante.imap.server.persons import Persons
from mssante.imap.server.selected import Manner, Selected
from mssante.keys.broker import KeyBroker
from mssante.limits import (
    COMMAND_SECONDS_MAX,
    DATA_CREDIT_SECONDS,
    IMAP_ACCESS_CHECK_SECONDS,
    IMAP_ALIVE_SECONDS,
    IMAP_BAD_COMMANDS_MAX,
    IMAP_CONNECTIONS_PER_USER_MAX,
    IMAP_IDLE_SECONDS_MAX,
    IMAP_LOGIN_SECONDS_MAX,
    IMAP_REST_SECONDS,
    IMAP_SORTS_AT_ONCE,
    IMAP_VANISHED_AT_ONCE,
    KEYWORDS_MAX,
)
from mssante.mailbox.folders import Folders
from mssante.mailbox.index.filling import Silence, keep_filled
from mssante.mailbox.index.search_index import Index
from mssante.mailbox.index.workers import SearchThreads
from mssante.mailbox.opening import OpenMailbox
from mssante.mailbox.reading import Reader
from mssante.mailbox.turns import Turn, breathe
from mssante.mailbox.writing import Writer
from mssante.net.endings import Stopping
from mssante.net.stream import ContextFactory, Stream
from mssante.net.throttle import Throttle
from mssante.reasons import Reason, Refused
from mssante.store import MailStore
from mssante.tasks import end_task


class Goodbye(Exception):
    """The conversation cannot go on: BYE with this text and code, then the end."""

    def __init__(self, text: str, code: str | None = None) -> None:
        super().__init__(text)
        self.text = text
        self.code = code


class Left(ConnectionError):
    """The client has gone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionBounds:
    """What one conversation may cost. The times are in seconds: `login` from the greeting until somebody has
    logged in, `command` for the next octets once a command has begun, `idle` between commands and in IDLE
    (RFC 3501 §5.4: at least 30 minutes), `append_credit` the delay allowed to a message that comes in slower
    than the slowest accepted rate, `access` between two checks that the person still has access, `rest`
    without a command before the search index is filled. `bad_commands` counts BAD answers in a row."""

    login_seconds: float = IMAP_LOGIN_SECONDS_MAX
    command_seconds: float = COMMAND_SECONDS_MAX
    idle_seconds: float = IMAP_IDLE_SECONDS_MAX
    append_credit_seconds: float = DATA_CREDIT_SECONDS
    access_seconds: float = IMAP_ACCESS_CHECK_SECONDS
    rest_seconds: float = IMAP_REST_SECONDS
    bad_commands: int = IMAP_BAD_COMMANDS_MAX
    connections_per_person: int = IMAP_CONNECTIONS_PER_USER_MAX


@dataclass(frozen=True, slots=True)
class Answer:
    """How a command ends: the tagged response."""

    status: ResponseStatus
    text: str
    code: str | None = None
    expunged: bool = False  # it removed messages: HIGHESTMODSEQ goes with the answer (RFC 7162 §3.2.7)


OK = Answer(ResponseStatus.OK, "Done")
EXPUNGED = Answer(ResponseStatus.OK, "Done", expunged=True)
OK_FETCH = Answer(ResponseStatus.OK, "FETCH done")


@dataclass(frozen=True, slots=True, kw_only=True)
class ImapService:
    """What the conversations of one port share. `know` remembers a host where somebody has signed in."""

    name: str
    hostname: str
    store: MailStore
    broker: KeyBroker
    clock: Clock
    tls: ContextFactory
    throttle: Throttle
    message_octets_max: int
    bounds: SessionBounds
    persons: Persons
    know: Callable[[Stream, str], None]
    threads: SearchThreads = field(default_factory=SearchThreads)
    sorts: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(IMAP_SORTS_AT_ONCE))


class Session:
    """One conversation. `mailbox` and what reads it exist once the person has signed in."""

    def __init__(self, service: ImapService, stream: Stream) -> None:
        self.service = service
        self.stream = stream
        self.wire = Wire()
        self.protocol = ProtocolState(
            tls=stream.tls_version is not None, append_octets_max=service.message_octets_max
        )
        self.tag = ""  # of the command being answered
        self.by_uid = False  # whether that command names messages by UID
        self.told_words: FlagWords | None = None  # the flags and keywords last told to the client
        self.picked: Selected | None = None
        self.has_room: Callable[[str], bool] = lambda person: True
        self.heavy: Turn | None = None  # held by the command being answered, if it is a heavy one
        self._alive_at = 0.0
        self._mailbox: OpenMailbox | None = None
        self._filling: asyncio.Task[None] | None = None
        self._silence = Silence(service.bounds.rest_seconds)
        self._login_until = asyncio.get_running_loop().time() + service.bounds.login_seconds

    # The person's side

    def signed_in(self, mailbox: OpenMailbox) -> None:
        """From here on the mailbox is open, and the wider limits for known people apply."""
        self._mailbox = mailbox
        self.service.persons.arrived(mailbox.person)
        self.folders = Folders(mailbox)
        self.reader = Reader(mailbox)
        self.memory = self.service.persons.memory(mailbox.person)
        self.writer = Writer(mailbox, self.folders, self.memory)
        self.index = Index(mailbox, self.reader, self.service.threads)
        self.protocol.authenticated()
        self.wire.authenticated(message_octets_max=self.service.message_octets_max)

    @property
    def mailbox(self) -> OpenMailbox:
        assert self._mailbox is not None, "the session's table lets nothing here before login"
        return self._mailbox

    @property
    def person(self) -> str | None:
        """Who has signed in, if somebody has."""
        return None if self._mailbox is None else self._mailbox.person

    @property
    def access_ended(self) -> bool:
        """The grant was revoked or has expired, or the password changed."""
        return self._mailbox is not None and not self._mailbox.ring.alive

    @property
    def access_expired(self) -> bool:
        """The grant was given for a limited time, and that time is over."""
        grant = None if self._mailbox is None else self._mailbox.ring.grant
        return grant is not None and grant.over(self.service.clock.now())

    @property
    def selected(self) -> Selected:
        assert self.picked is not None, "the session's table lets nothing here before SELECT"
        return self.picked

    def select(self, selected: Selected, words: FlagWords) -> None:
        """The client has been told everything of `selected`, its keywords included."""
        self.picked, self.told_words = selected, words
        if self._filling is None:
            self._filling = asyncio.create_task(
                keep_filled(self.mailbox, self.index, self._silence.lasted), name="search index"
            )
        self.protocol.selected(read_only=selected.read_only)

    def unselect(self) -> None:
        self.picked = None
        self.protocol.unselected()

    async def end(self) -> None:
        """Ends the background work of the session first, then forgets the keys which that work uses."""
        if self._mailbox is None:
            return
        try:
            if self._filling is not None:
                await end_task(self._filling)
            await self.reader.close()
        finally:
            self._mailbox.close()

    # The wire's side

    def tls_started(self) -> None:
        """RFC 3501 §6.2.1: forget everything that came before TLS, when anybody could have altered it."""
        self.wire = Wire()
        self.protocol.tls_started()

    async def next_event(self, *, patient: bool = False) -> Event:
        """What the client does next; `patient` where it may stay silent for long, as between commands. Raises
        Left, Goodbye after an error that the wire cannot recover from, TimeoutError, Stopping,
        ConnectionError."""
        waits = patient and self._mailbox is not None
        while (event := self.wire.next_event()) is Signal.NEED_DATA:
            bounds = self.service.bounds
            with self._silence.begun() if waits else nullcontext():
                octets = await self.stream.read(bounds.idle_seconds if waits else self._patience())
            if not octets:
                raise Left
            waits = False
            self.wire.receive_data(octets)
        if isinstance(event, Bye):
            raise Goodbye(event.text, event.code)
        return event

    def _patience(self) -> float:
        seconds = self.service.bounds.command_seconds
        if self._mailbox is None:
            left = self._login_until - asyncio.get_running_loop().time()
            if left <= 0:
                raise TimeoutError
            return min(seconds, left)
        return seconds

    async def send(self, octets: bytes) -> None:
        """Sends, and waits until the client has read enough of it. Otherwise a client that does not read
        would make us hold all its answers in memory."""
        if octets:
            self.stream.write(octets)
            await self.stream.drain()

    def abort(self) -> None:
        self.stream.abort()

    def begins(self, heavy: Turn) -> None:
        """The command being answered has its turn among the person's heavy ones."""
        self.heavy, self._alive_at = heavy, asyncio.get_running_loop().time()

    async def rest(self) -> None:
        """Between two steps of a long command: lets the person's other heavy commands go on, and tells the
        client now and then that an answer will come. Raises ConnectionError when the client has gone, and
        Stopping when the server stops or the access has ended."""
        await breathe()
        if self.stream.stopping:
            raise Stopping
        if self.heavy is None:
            return
        await self._alive()
        await self.heavy.pass_on(self._alive)

    async def _alive(self) -> None:
        if self.stream.closed:
            raise ConnectionResetError
        now = asyncio.get_running_loop().time()
        if now - self._alive_at >= IMAP_ALIVE_SECONDS:
            self._alive_at = now
            await self.send(responses.untagged(ResponseStatus.OK, "Recherche en cours / Still searching"))

    def places(self, messages: SequenceSet, *, uid: bool) -> list[range]:
        """Where the messages that a command names stand in the view. Raises imap.grammar.lexer.Unacceptable
        for a sequence number that no message has."""
        return self.selected.places(messages, uid=uid)

    def named_at_most(self, command: Command) -> int:
        """How many messages a command can be about, at most. Raises as `places`."""
        if self.picked is None:
            return 0
        if isinstance(command, Fetch | Store | Copy):
            return sum(map(len, self.places(command.messages, uid=command.uid)))
        return len(self.picked.view)

    def uids_of(self, messages: SequenceSet, *, uid: bool) -> Sequence[int]:
        """The UIDs a command names, ascending. Raises as `places`."""
        return self.uids_at(self.places(messages, uid=uid))

    def uids_at(self, places: Sequence[range]) -> Sequence[int]:
        uids = self.selected.view.uids
        if len(places) == 1:
            return uids[places[0].start : places[0].stop]
        return [each for place in places for each in uids[place.start : place.stop]]

    async def flag_words(self) -> FlagWords:
        """The names of all flags in the selected folder. New ones are told to the client before their use."""
        names = self.folders.names_last_read
        if self.selected.flags_seen & ~names.known:  # somebody has given a flag that had no name then
            names = await self.folders.flag_names()
        return await self.tell_flags(names)

    async def tell_flags(self, names: FlagNames) -> FlagWords:
        """RFC 3501 §7.2.6: tells the client the flags and keywords, unless it knows them already."""
        if self.told_words is None or names is not self.told_words.names:
            self.told_words = FlagWords(names)
            await self.send(flags_told(self.told_words, read_only=self.selected.read_only))
        return self.told_words

    async def look(self) -> None:
        """Notes what others did in the selected folder. The client is told nothing yet: see `tell`."""
        if self.picked is None:
            return
        try:
            await self.picked.refresh()
        except Refused as refused:
            if refused.reason is not Reason.FOLDER_UNKNOWN:
                raise
            # RFC 2180 §3.3: another session deleted the folder, so nothing in it can be answered any more.
            raise Goodbye("Dossier supprime / The folder was deleted", Code.NONEXISTENT) from None

    async def tell(self, *, expunges: bool) -> None:
        """Tells the client what `look` has noted. Expunges are told only if `expunges` says they may be."""
        if self.picked is None:
            return
        if self.picked.view.has_news(expunges=expunges):
            words = await self.flag_words()
            by_uid = self.by_uid or self.protocol.rev2  # RFC 9051 §7.5.2: an unasked FETCH carries the UID
            manner = Manner(by_uid, self.protocol.tells_modseq, self.protocol.tells_vanished)
            for piece in self.picked.news(words.render, manner=manner, expunges=expunges):
                await self.send(piece)
                await breathe()
        self.picked.told()

    async def enable(self, names: Iterable[str]) -> tuple[str, ...]:
        """Enables those of `names` that exist here; answers the newly enabled ones. If that turns
        mod-sequences on, the client is told the folder's highest one at once (RFC 7162 §3.1)."""
        before = self.protocol.tells_modseq
        enabled = self.protocol.enable(names)
        if self.protocol.rev2:
            self.wire.speaks_utf8()
        if self.picked is not None and self.protocol.tells_modseq and not before:
            await self.tell_highest_modseq()
        return enabled

    async def tell_vanished_earlier(self, uids: Sequence[int]) -> None:
        """RFC 7162 §3.2.10.1. Sent in portions, since there may be many: no expunge is ever forgotten while
        the folder exists."""
        for start in range(0, len(uids), IMAP_VANISHED_AT_ONCE):
            await self.send(responses.vanished(uids[start : start + IMAP_VANISHED_AT_ONCE], earlier=True))
            await breathe()

    async def tell_highest_modseq(self) -> None:
        """RFC 7162 §3.1.2.1, for the selected folder."""
        code = responses.code_highest_modseq(self.selected.complete)
        await self.send(responses.untagged(ResponseStatus.OK, "Everything up to here is told", code))


def flags_told(words: FlagWords, *, read_only: bool) -> bytes:
    """FLAGS and PERMANENTFLAGS (RFC 3501 §7.2.6 and §7.1)."""
    may_add = len(words.names.keywords) < KEYWORDS_MAX
    code = responses.code_permanent_flags(words, read_only=read_only, may_add=may_add)
    return responses.flags(words) + responses.untagged(ResponseStatus.OK, "Flags that are kept", code)
