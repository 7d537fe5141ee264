"""IMAP over sealed mailboxes: one port, the sessions on it, and the watch for people whose access ends.

Invariants: no credential is taken before TLS; the number of connections a person may have is limited; a
person whose access ends gets BYE within seconds.
"""

from __future__ import annotations

import asyncio

from mssante.clock import Clock
from mssante.imap.grammar import responses
from mssante.imap.grammar.responses import Code
from mssante.imap.server.conversation import Conversation
from mssante.imap.server.persons import Persons
from mssante.imap.server.session import ImapService, Session, SessionBounds
from mssante.keys.broker import KeyBroker
from mssante.limits import MESSAGE_OCTETS_MAX
from mssante.net.listener import Listener
from mssante.net.places import Caps
from mssante.net.stream import ContextFactory, Stream
from mssante.net.throttle import Throttle
from mssante.observe.event import report
from mssante.observe.events import crashed
from mssante.store import MailStore
from mssante.tasks import end_task


class ImapServer:
    """One IMAP port. `implicit_tls` is 993; otherwise STARTTLS on 143."""

    def __init__(
        self,
        *,
        name: str,
        hostname: str,
        store: MailStore,
        broker: KeyBroker,
        clock: Clock,
        tls: ContextFactory,
        implicit_tls: bool = False,
        message_octets_max: int = MESSAGE_OCTETS_MAX,
        caps: Caps | None = None,
        throttle: Throttle | None = None,
        bounds: SessionBounds | None = None,
        persons: Persons | None = None,
    ) -> None:
        self.listener = Listener(
            name=name,
            handler=self._converse,
            tls=tls if implicit_tls else None,
            caps=caps or Caps(),
            busy=responses.bye("Trop de connexions / Too many connections", Code.LIMIT),
        )
        self._service = ImapService(
            name=name,
            hostname=hostname,
            store=store,
            broker=broker,
            clock=clock,
            tls=tls,
            throttle=throttle or Throttle(clock),
            message_octets_max=message_octets_max,
            bounds=bounds or SessionBounds(),
            know=self.listener.know,
            persons=persons or Persons(),
        )
        self._sessions: set[Session] = set()
        self._watch: asyncio.Task[None] | None = None

    async def open(self, host: str, port: int) -> None:
        """Listens; with `port` 0 on a free port, which `self.port` then tells. Raises OSError when it cannot
        listen there."""
        await self.listener.open(host, port)
        self._watch = asyncio.create_task(self._watch_access(), name=f"{self._service.name} access")

    @property
    def persons(self) -> Persons:
        return self._service.persons

    @property
    def port(self) -> int:
        return self.listener.port

    async def close(self, seconds: float = 30) -> None:
        """Says BYE to everybody, and cuts the connections that are left after `seconds`."""
        if self._watch is not None:
            await end_task(self._watch)
        await self.listener.close(seconds)
        self._service.threads.close()

    async def _converse(self, stream: Stream) -> None:
        session = Session(self._service, stream)
        self._sessions.add(session)
        try:
            await Conversation(session, self._connections_of).run()
        finally:
            self._sessions.discard(session)
            if session.person is not None:
                self._service.persons.left(session.person)
            await session.end()

    def _connections_of(self, person: str) -> bool:
        """Whether the person has room for one more connection."""
        return self._service.persons.connections(person) < self._service.bounds.connections_per_person

    async def _watch_access(self) -> None:
        while True:
            await asyncio.sleep(self._service.bounds.access_seconds)
            self._stop_those_without_access()

    def _stop_those_without_access(self) -> None:
        """Not in the loop above: its variables would keep the last session in memory while it sleeps."""
        for session in tuple(self._sessions):
            try:
                if session.access_ended:
                    session.stream.stop()
            except Exception as error:  # the other sessions must be checked all the same
                report(crashed(f"{self._service.name} access", error))
