"""One SMTP session: aiosmtpd runs the dialogue, and the guard stands between it and the network.

Mail transactions are in transaction.py, the port is in port.py. This is the only module that imports
aiosmtpd. We leave to it the command loop, the dispatch of commands, the check that TLS is on, HELO before
MAIL, NOOP, RSET and the order of AUTH. The guard replaces the rest, each part because of a finding that was
measured (tests/contract): reading and writing (A6, A21, A29, A40), DATA (A3, A21-A25), STARTTLS (A5-A8,
A11), the grammar of commands (A34-A36), errors (A32, A33), limits (A37-A40), logs (A41) and what is offered
(A42).

Invariants: before TLS nothing is done for a client except greeting it; after the 220 greeting, every reply
is written by us; a commit that has begun is never cancelled, even when the client leaves.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from typing import Any

from aiosmtpd.smtp import MISSING, SMTP

from mssante import limits
from mssante.net.endings import HandshakeFailed, PlaintextPipelined
from mssante.net.stream import Stream
from mssante.observe.event import report
from mssante.observe.events import ConnectionRefused, LoginAccepted, LoginRefused, SessionEnded, crashed
from mssante.observe.terms import ConnectionCause, LoginProtocol, SmtpStage
from mssante.reasons import Declined, Passing, Reason, Refused
from mssante.smtp.grammar import replies
from mssante.smtp.server.login import exchange
from mssante.smtp.server.proof import Submission
from mssante.smtp.server.transaction import MailTransactions, Service
from mssante.smtp.server.wire import Hangup, ServerWire
from mssante.words.reply import Reply
from mssante.words.smtp import smtp_answer

# This logger of aiosmtpd prints every command, addresses included, and every message line at DEBUG (A41).
logging.getLogger("mail.log").disabled = True

_HELO_NAME = re.compile(r"[A-Za-z0-9._:\[\]-]{1,255}")
# Our replies in place of aiosmtpd's, by its code. Ours have an enhanced code and never repeat client input.
_REWORDED = {
    "250": replies.OK,
    "500": replies.UNKNOWN_COMMAND,
    "501": replies.BAD_ARGUMENT,
    "503": replies.BAD_SEQUENCE,
    "504": replies.AUTH_UNKNOWN_MECHANISM,
    "530": smtp_answer(Refused(Reason.TLS_REQUIRED)),
    "538": replies.AUTH_NEEDS_TLS,
}
_CRASHED = smtp_answer(Passing(Reason.INTERNAL))
_STAGES = {"MAIL": SmtpStage.MAIL, "RCPT": SmtpStage.RCPT, "DATA": SmtpStage.DATA}
Command = Callable[[str | None], Awaitable[None]]


class _FixedSizes(dict[str, int]):
    """One fixed size limit for every command. aiosmtpd's own dict is shared by all sessions, and each EHLO
    would raise the limits in it (A39)."""

    def __missing__(self, verb: str) -> int:
        return limits.COMMAND_LINE_OCTETS_MAX


class _Dispatch(dict[str, Command]):
    """The table in which aiosmtpd looks up each verb. It sends every verb, known or not, to the guard."""

    def __init__(self, run: Callable[[str, str | None], Awaitable[None]]) -> None:
        super().__init__()
        self._run = run

    def get(self, verb: str, default: Any = None) -> Command:
        return partial(self._run, verb)


class Guard(SMTP):
    """One session. The part of aiosmtpd that owns a transport, timers and cancellations is never started."""

    command_size_limit = limits.COMMAND_LINE_OCTETS_MAX
    command_size_limits = _FixedSizes()

    def __init__(self, service: Service, stream: Stream) -> None:
        loop = asyncio.get_running_loop()
        super().__init__(None, hostname=service.hostname, ident="ESMTP", data_size_limit=None, loop=loop)
        self._service = service
        self._stream = stream
        self._wire = ServerWire(stream, service.limits)
        self._transactions = MailTransactions(service, stream, self._wire)
        self._error_reply: Reply | None = None
        self._verb = ""
        self._smtp_methods = _Dispatch(self._run)
        self.require_starttls = True
        self._mark_tls()

    def __dir__(self) -> tuple[str, ...]:
        """The names of our AUTH mechanisms; the commands are in `_COMMANDS`. For each new session aiosmtpd
        calls `dir` twice to find commands and mechanisms. Listing every attribute would cost as much time as
        a quarter of a message."""
        return ("auth_LOGIN", "auth_PLAIN")

    async def converse(self) -> None:
        """Runs the session until it ends."""
        self.session = self._create_session()
        ours: Any = self._stream, self._wire, self._wire
        self.transport, self._reader, self._writer = ours
        cause = "connection lost"
        try:
            await self._handle_client()
        except Hangup as end:
            cause = str(end)
        except ConnectionError:
            pass
        finally:
            self._stream.close()
            self._wire.forget()  # aiosmtpd's object refers to itself and is freed later
            report(
                SessionEnded(
                    listener=self._service.name,
                    remote=self._stream.remote,
                    cause=cause,
                    commands=self._wire.commands,
                    messages=self._transactions.messages,
                )
            )

    # What aiosmtpd calls

    def _reset_timeout(self, duration: float | None = None) -> None:
        """Does nothing: the deadlines are in ServerWire, where every wait happens (A31, A40)."""

    def _set_post_data_state(self) -> None:
        self._transactions.reset()

    async def push(self, status: str | bytes) -> None:
        """Sends what aiosmtpd wants to say: the greeting unchanged, any other reply in our words."""
        if self._error_reply is not None:
            reply, self._error_reply = self._error_reply, None
            await self._wire.say(reply)
        elif isinstance(status, str) and status.startswith("220 "):
            self._wire.write(f"{status}\r\n".encode("ascii"))
        else:
            await self._wire.say(_REWORDED.get(str(status)[:3], _CRASHED))

    async def handle_exception(self, error: Exception) -> str:
        """Turns an error in a command into a reply. Nothing of the error reaches the client (A32, A33)."""
        if isinstance(error, Declined):
            stage = _STAGES.get(self._verb, SmtpStage.SESSION)
            self._error_reply = self._transactions.reply_to_declined(stage, error)
        else:
            report(crashed(f"smtp {self._verb}", error))
            self._error_reply = _CRASHED
        return ""

    async def _call_handler_hook(self, command: str, *args: Any) -> Any:
        return await self._log_in(*args[0]) if command == "AUTH" else MISSING

    async def _run(self, verb: str, argument: str | None) -> None:
        command = _COMMANDS.get(verb)
        await self._wire.count_command(verb)
        self._verb = verb if command is not None else ""
        await (command or Guard._unknown)(self, argument)

    # The commands

    async def _unknown(self, argument: str | None) -> None:
        await self._wire.say(replies.UNKNOWN_COMMAND)

    async def _not_offered(self, argument: str | None) -> None:
        await self._wire.say(replies.NOT_OFFERED)

    async def _helo(self, argument: str | None) -> None:
        if await self._greet(argument, extended=False):
            await self._wire.say(replies.OK)

    async def _ehlo(self, argument: str | None) -> None:
        if not await self._greet(argument, extended=True):
            return
        offers = [self._service.hostname, f"SIZE {self._service.limits.message_octets_max}", "8BITMIME"]
        if self._transactions.speaker.tls_version is None:
            offers.append("STARTTLS")
        else:
            offers.append("PIPELINING")
            if isinstance(self._service.role, Submission):
                offers.append("AUTH PLAIN LOGIN")
        lines = [f"250-{offer}\r\n" for offer in offers]
        self._wire.write("".join([*lines, "250 ENHANCEDSTATUSCODES\r\n"]).encode("ascii"))

    async def _quit(self, argument: str | None) -> None:
        await self._wire.hang_up(replies.BYE, "quit")

    async def _starttls(self, argument: str | None) -> None:
        if argument:
            return await self._wire.say(replies.BAD_ARGUMENT)
        if self._transactions.speaker.tls_version is not None:
            return await self._wire.say(replies.TLS_ALREADY)  # A7
        await self._require_nothing_pipelined()
        await self._wire.flush()
        try:
            await self._stream.start_tls(
                self._service.tls(), answer=f"{replies.READY_FOR_TLS}\r\n".encode("ascii")
            )
        except PlaintextPipelined:
            self._report_plaintext()
            raise Hangup("plaintext behind STARTTLS") from None
        except HandshakeFailed:
            raise Hangup("handshake refused") from None
        # RFC 3207 §4.2: forget everything learnt in clear.
        self.session = self._create_session()
        self._transactions.forget_session()
        self._mark_tls()
        return None

    async def _auth(self, argument: str | None) -> None:
        if not isinstance(self._service.role, Submission):
            return await self._wire.say(replies.NOT_OFFERED)
        if self._transactions.open:  # RFC 4954 §4
            return await self._wire.say(replies.BAD_SEQUENCE)
        await self._require_nothing_pipelined()
        mechanism, space, rest = (argument or "").partition(" ")
        await super().smtp_AUTH(f"{mechanism.upper()}{space}{rest}")
        return None

    async def _mail(self, argument: str | None) -> None:
        if not await self.check_helo_needed():
            await self._wire.say(await self._transactions.mail(argument or ""))

    async def _rcpt(self, argument: str | None) -> None:
        await self._wire.say(await self._transactions.recipient(argument or ""))

    async def _data(self, argument: str | None) -> None:
        missing = replies.BAD_ARGUMENT if argument else self._transactions.ready()
        if missing is not None:
            return await self._wire.say(missing)
        await self._require_nothing_pipelined()
        await self._wire.say(await self._transactions.data())
        return await self._wire.flush()

    # Inside

    async def _greet(self, argument: str | None, *, extended: bool) -> bool:
        if argument is None or not _HELO_NAME.fullmatch(argument):
            await self._wire.say(replies.BAD_ARGUMENT)
            return False
        await self._require_nothing_pipelined()
        self._transactions.reset()
        assert self.session is not None
        self.session.host_name = argument
        self.session.extended_smtp = extended
        self._wire.greeted = True
        self._transactions.speaker = replace(self._transactions.speaker, helo=argument)
        return True

    async def _require_nothing_pipelined(self) -> None:
        """RFC 2920 §3.1: nothing may follow these commands before their reply (S10)."""
        if self._wire.pending:
            if self._verb == "STARTTLS":
                self._report_plaintext()
            await self._wire.hang_up(replies.PIPELINED, "commands sent before a reply")

    def _report_plaintext(self) -> None:
        report(
            ConnectionRefused(
                listener=self._service.name,
                remote=self._stream.remote,
                cause=ConnectionCause.PLAINTEXT_BEHIND_STARTTLS,
            )
        )

    def _mark_tls(self) -> None:
        """Sets the attribute by which aiosmtpd knows that TLS is on, with implicit TLS too (A11)."""
        tls: Any = self._stream.tls_version
        self._tls_protocol = tls

    async def _log_in(self, mechanism: str, initial: str | None = None) -> None:
        """Runs the exchange of AUTH and sends its last reply; aiosmtpd adds nothing."""
        found = await exchange(self._wire, mechanism, initial)
        if found is None:
            return None
        person, password = found
        transactions = self._transactions
        assert isinstance(self._service.role, Submission)  # `_auth` refuses the command on other ports
        throttle, remote = self._service.role.throttle, self._stream.remote
        try:
            async with self._stream.occupied(), throttle.attempt(remote, person):
                login = await self._service.backend.authenticate(transactions.speaker, person, password)
        except Declined as declined:
            report(LoginRefused(protocol=LoginProtocol.SUBMISSION, remote=remote, reason=declined.reason))
            return await self._wire.say(smtp_answer(declined))
        assert self.session is not None
        self.session.authenticated = True
        transactions.speaker = replace(transactions.speaker, login=login)
        self._service.know(self._stream, person)
        report(LoginAccepted(protocol=LoginProtocol.SUBMISSION, person=person, remote=remote))
        return await self._wire.say(replies.AUTHENTICATED)


_COMMANDS: dict[str, Callable[[Guard, str | None], Awaitable[None]]] = {
    "HELO": Guard._helo,
    "EHLO": Guard._ehlo,
    "STARTTLS": Guard._starttls,
    "AUTH": Guard._auth,
    "MAIL": Guard._mail,
    "RCPT": Guard._rcpt,
    "DATA": Guard._data,
    "RSET": SMTP.smtp_RSET,
    "NOOP": SMTP.smtp_NOOP,
    "QUIT": Guard._quit,
    # A42, S7: we do not reveal who has a mailbox here, and we accept content only through DATA.
    "VRFY": Guard._not_offered,
    "EXPN": Guard._not_offered,
    "HELP": Guard._not_offered,
    "BDAT": Guard._not_offered,
}
