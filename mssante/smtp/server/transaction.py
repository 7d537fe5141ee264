"""MAIL, RCPT and DATA: one envelope and its content, from MAIL to the commit.

Invariants: MAIL needs a verified certificate or a login; DATA needs a sender and a recipient; a mailbox named
twice gets the message once; the envelope is forgotten after DATA, whether the message was taken or not.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from mssante.delivery.backends import Backend, Speaker
from mssante.model import Address, Envelope
from mssante.net.stream import ContextFactory, Stream
from mssante.observe.event import report
from mssante.observe.events import MessageDeclined, MessageNoted, RecipientsGuessed
from mssante.observe.terms import Oddity, SmtpStage
from mssante.reasons import Declined, Reason, Refused
from mssante.smtp.grammar import replies
from mssante.smtp.grammar.commands import MailCommand, parse_mail, parse_rcpt
from mssante.smtp.grammar.data import DataParser
from mssante.smtp.server.content import Commits, make_room_for_copies, take_content
from mssante.smtp.server.proof import PeerProof, Relay, Submission, refusal_of
from mssante.smtp.server.wire import TOO_MANY_RECIPIENTS, Hangup, ServerWire, SessionLimits
from mssante.words.reply import Reply
from mssante.words.smtp import smtp_answer

_UNKNOWN = (Reason.MAILBOX_UNKNOWN, Reason.RELAY_DENIED)
_FOREIGN = (Reason.DOMAIN_OF_ANOTHER_OPERATOR, Reason.DOMAIN_NOT_LISTED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """What the sessions of one port share. `know` remembers the address of a host that has proved who it is,
    so that a connection from there finds a place."""

    name: str
    hostname: str
    role: Relay | Submission
    backend: Backend
    tls: ContextFactory
    commits: Commits
    limits: SessionLimits
    know: Callable[[Stream, str], None]


class MailTransactions:
    """The transactions of one session, one after the other. `speaker` is what we know so far of the client:
    its address, and who it has proved to be."""

    def __init__(self, service: Service, stream: Stream, wire: ServerWire) -> None:
        self.messages = 0
        self._service = service
        self._stream = stream
        self._wire = wire
        self._proof = PeerProof(service.role, stream) if isinstance(service.role, Relay) else None
        self._mail: MailCommand | None = None
        self._recipients: dict[str, Address] = {}
        self._recipients_asked = 0
        self.forget_session()

    @property
    def open(self) -> bool:
        """Whether MAIL has been accepted."""
        return self._mail is not None

    def forget_session(self) -> None:
        """Starts with nothing known: at the beginning, and again once TLS is on (RFC 3207 §4.2)."""
        self.reset()
        self.speaker = Speaker(remote=self._stream.remote, tls_version=self._stream.tls_version)

    def reset(self) -> None:
        """Ends the transaction, if one is open."""
        self._mail = None
        self._recipients = {}
        self._recipients_asked = 0

    async def mail(self, argument: str) -> Reply:
        """Raises Refused or Passing when the client has not proved who it is, or may not use this sender."""
        if self._mail is not None:
            return replies.BAD_SEQUENCE
        await self._require_proof()
        command = parse_mail(argument)
        if isinstance(command, Reply):
            return command
        if command.size is not None and command.size > self._service.limits.message_octets_max:
            raise Refused(Reason.MESSAGE_TOO_LARGE)
        try:
            await self._service.backend.mail(self.speaker, command.sender)
        except Refused as refused:
            if self._proof is not None and command.sender is not None and refused.reason in _FOREIGN:
                domain = str(command.sender.domain)
                report(refusal_of(self._proof.identity(), refused, remote=self._stream.remote, domain=domain))
            raise
        self._mail = command
        return replies.SENDER_OK

    async def recipient(self, argument: str) -> Reply:
        """Raises Refused or Passing for a recipient that is not taken."""
        if self._mail is None:
            return replies.MAIL_FIRST
        command = parse_rcpt(argument)
        if isinstance(command, Reply):
            return command
        if self._recipients_asked >= self._service.limits.recipients_max:
            return TOO_MANY_RECIPIENTS
        address = command.recipient
        if address.key not in self._recipients:
            try:
                await self._service.backend.recipient(self.speaker, address)
            except Refused as refused:
                if refused.reason in _UNKNOWN:
                    await self._count_unknown()
                raise
            self._recipients[address.key] = address
        self._recipients_asked += 1
        return replies.RECIPIENT_OK

    def ready(self) -> Reply | None:
        """The reply that says what is missing before DATA; None when nothing is."""
        if self._mail is None:
            return replies.MAIL_FIRST
        return None if self._recipients else replies.NO_RECIPIENT

    async def data(self) -> Reply:
        """From 354 to the commit. Raises Refused or Passing; then nothing of the message is kept."""
        assert self._mail is not None
        mail, recipients = self._mail, tuple(self._recipients.values())
        commits = self._service.commits
        holding = commits.enter(port=self._service.name, party=self._party, wire=self._wire)
        try:
            intake = await self._service.backend.begin(
                self.speaker, Envelope(sender=mail.sender, recipients=recipients), mail.size
            )
            parser = DataParser(octets_max=self._service.limits.message_octets_max)
            self._wire.write(replies.GO_AHEAD)
            await take_content(self._wire, intake, holding, parser, self._service.limits)
            await make_room_for_copies(intake, holding)
            receipt = await commits.commit(intake)
        finally:
            holding.give_back()
            self.reset()
        self.messages += 1
        self._wire.forgive_errors()
        if parser.long_line:
            report(MessageNoted(message=receipt.id, note=Oddity.LONG_LINE))
        return Reply(250, "2.0.0", f"Message conserve / Message kept {receipt.id}")

    def reply_to_declined(self, stage: SmtpStage, declined: Declined) -> Reply:
        """Reports that something was declined, and returns the reply that says why."""
        report(MessageDeclined(stage=stage, reason=declined.reason, dn=self._dn))
        return smtp_answer(declined)

    async def _count_unknown(self) -> None:
        """R5: raises Hangup after too many unknown recipients, and reports it."""
        try:
            await self._wire.count_unknown_recipient()
        except Hangup:
            report(RecipientsGuessed(listener=self._service.name, remote=self.speaker.remote, dn=self._dn))
            raise

    @property
    def _party(self) -> str:
        """Who must share with others: the peer, or the person who has logged in."""
        login = self.speaker.login
        return self._dn if login is None else login.person

    @property
    def _dn(self) -> str:
        return self._proof.identity().dn if self._proof is not None else ""

    async def _require_proof(self) -> None:
        if self.speaker.tls_version is None:
            raise Refused(Reason.TLS_REQUIRED)
        if self._proof is None:
            if self.speaker.login is None:
                raise Refused(Reason.AUTHENTICATION_REQUIRED)
            return
        verdict = await self._proof.judge()
        if isinstance(verdict, Declined):
            raise type(verdict)(verdict.reason, verdict.detail)
        if verdict is not self.speaker.peer:
            self._service.know(self._stream, self._dn)
            self.speaker = replace(self.speaker, peer=verdict)
