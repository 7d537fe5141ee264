"""The SMTP ports: 25 for other operators (Relay), 587 and 465 for our people (Submission).

Invariants: closing a port first stops new connections, then asks the sessions to end, then waits for the
commits under way.
"""

from __future__ import annotations

from mssante.delivery.backends import Backend
from mssante.net.listener import Listener
from mssante.net.places import Caps
from mssante.net.stream import ContextFactory, Stream
from mssante.reasons import Passing, Reason
from mssante.smtp.server.content import Commits
from mssante.smtp.server.guard import Guard
from mssante.smtp.server.proof import Relay, Submission
from mssante.smtp.server.transaction import Service
from mssante.smtp.server.wire import SessionLimits
from mssante.words.smtp import smtp_answer


class SmtpServer:
    """One SMTP port. `implicit_tls` means TLS from the first octet (465); the others use STARTTLS. `tls`
    gives each connection its context."""

    def __init__(
        self,
        *,
        name: str,
        hostname: str,
        role: Relay | Submission,
        backend: Backend,
        tls: ContextFactory,
        implicit_tls: bool = False,
        limits: SessionLimits | None = None,
        caps: Caps | None = None,
        commits: Commits | None = None,
    ) -> None:
        self._commits = commits or Commits()
        self.listener = Listener(
            name=name,
            handler=self._converse,
            tls=tls if implicit_tls else None,
            caps=caps or Caps(),
            busy=f"{smtp_answer(Passing(Reason.TOO_MANY_CONNECTIONS))}\r\n".encode("ascii"),
        )
        self._service = Service(
            name=name,
            hostname=hostname,
            role=role,
            backend=backend,
            tls=tls,
            commits=self._commits,
            limits=limits or SessionLimits(),
            know=self.listener.know,
        )

    async def open(self, host: str, port: int) -> None:
        """Listens; with `port` 0 the system chooses a free one, and `self.port` says which. Raises OSError
        when the address cannot be used."""
        await self.listener.open(host, port)

    @property
    def port(self) -> int:
        return self.listener.port

    async def close(self, seconds: float = 30) -> None:
        """Lets commits under way finish, says 421 to the other sessions, and cuts those still there after
        `seconds`."""
        await self.listener.close(seconds)
        await self._commits.finish()

    async def _converse(self, stream: Stream) -> None:
        await Guard(self._service, stream).converse()
