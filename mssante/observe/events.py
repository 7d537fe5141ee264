"""Every event: what the server says about itself. What must not be logged has no field here.

Invariants: no event has a field that can hold a subject, body, password, token, key, correspondent's
address or patient identifier; of a bug, the exception's class and its places in the code are told, never its
text.
"""

from __future__ import annotations

import traceback
from dataclasses import dataclass
from typing import ClassVar

from mssante.model import Direction, MessageSource
from mssante.observe.event import Event, Level
from mssante.observe.terms import ConnectionCause, LoginProtocol, Oddity, Share, SmtpStage
from mssante.reasons import Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerStarted(Event):
    version: str
    domains: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerStopped(Event):
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenerOpened(Event):
    listener: str
    host: str
    port: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionRefused(Event):
    """Connections closed before they could speak. `times` is how many there were since the last such event;
    `remote` is an address, or the prefix of an IPv6 address."""

    level: ClassVar[Level] = Level.WARNING
    listener: str
    remote: str
    cause: ConnectionCause
    times: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class HandshakeRefused(Event):
    """`cause` is OpenSSL's own reason: the peer sees only an alert."""

    level: ClassVar[Level] = Level.WARNING
    listener: str
    remote: str
    cause: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerAccepted(Event):
    direction: Direction
    dn: str
    serial: str
    fingerprint: str
    tls_version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerRefused(Event):
    level: ClassVar[Level] = Level.WARNING
    direction: Direction
    reason: Reason
    remote: str
    dn: str
    serial: str
    fingerprint: str
    domain: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PasswordsGuessed(Event):
    """Reported each time that GUESS_ALARM_EVERY more passwords were wrong, from one address or for one
    person. The person's name is not told, because it may be a password typed into the wrong field."""

    level: ClassVar[Level] = Level.ALARM
    remote: str
    refused: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RecipientsGuessed(Event):
    """A session named too many mailboxes that do not exist, and was ended. Somebody harvests addresses, or
    has an old list of them."""

    level: ClassVar[Level] = Level.ALARM
    listener: str
    remote: str
    dn: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressesHarvested(Event):
    """A peer (its DN) or a person of ours named too many mailboxes that do not exist, in all of its sessions,
    and is told neither yes nor no. `times` is how many questions were put off since the last such event."""

    level: ClassVar[Level] = Level.ALARM
    who: str
    times: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionEnded(Event):
    listener: str
    remote: str
    cause: str
    commands: int
    messages: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageAccepted(Event):
    message: str  # our hexadecimal id, never the Message-ID
    source: MessageSource
    dn: str
    bytes: int
    recipients: int
    duplicate: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageNoted(Event):
    """A message was kept although something about it is odd."""

    message: str
    note: Oddity


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageDeclined(Event):
    level: ClassVar[Level] = Level.WARNING
    stage: SmtpStage
    reason: Reason
    dn: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OctetsShort(Event):
    """Letters that come in found no room, `times` since the last such event. `room` is memory or disk; `of`
    is the port or the party (a DN, a login) whose share is used up; `most_by` holds most of it."""

    level: ClassVar[Level] = Level.ALARM
    room: str
    share: Share
    of: str
    most_by: str
    times: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class SlowSenderCut(Event):
    """A client that sent a letter too slowly was cut because others had no room. `who` is a DN or a login."""

    level: ClassVar[Level] = Level.WARNING
    listener: str
    who: str
    octets: int
    octets_per_second: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SendingHeldBack(Event):
    """A person of ours sends more than one may, or has too much waiting in the queue. `times` is how many
    letters were put off since the last such event. Their password may be known to somebody else."""

    level: ClassVar[Level] = Level.ALARM
    person: str
    reason: Reason
    times: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginAccepted(Event):
    protocol: LoginProtocol
    person: str
    remote: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginRefused(Event):
    level: ClassVar[Level] = Level.WARNING
    protocol: LoginProtocol
    remote: str
    reason: Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageSent(Event):
    queued: str
    destination: str  # a domain of the trust space
    attempts: int
    recipients: int
    dn: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryDeferred(Event):
    level: ClassVar[Level] = Level.WARNING
    queued: str
    destination: str
    reason: Reason
    attempts: int
    next_attempt_seconds: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryFailed(Event):
    level: ClassVar[Level] = Level.WARNING
    queued: str
    destination: str
    reason: Reason
    attempts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OutcomeNotWritten(Event):
    """The process ends and the database did not take the outcome: the letter will be tried again, even one
    that was `delivered`."""

    level: ClassVar[Level] = Level.ALARM
    queued: str
    destination: str
    outcome: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustSpaceLoaded(Event):
    source: str
    entries: int
    domains: int
    names: int
    odd: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustSpaceStale(Event):
    """A source cannot be read; what it said last stays in force."""

    level: ClassVar[Level] = Level.ALARM
    source: str
    cause: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustSourceHeld(Event):
    """A source says what is not put in force: `why`. What it said last stays. Told once for each `digest`,
    which is that of the pairs held back, `pairs` in number, `lost` fewer than before."""

    level: ClassVar[Level] = Level.ALARM
    source: str
    digest: str
    pairs: int
    lost: int
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustBegun(Event):
    """Nothing was kept of an earlier run: what the sources say now is believed without a comparison."""

    level: ClassVar[Level] = Level.WARNING


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustFileUnused(Event):
    """A file, or a certificate in one, does not count. The others do."""

    level: ClassVar[Level] = Level.ALARM
    file: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectoryLeftAlone(Event):
    """The directory did not answer `unanswered` questions in a row, so for a while it is not asked."""

    level: ClassVar[Level] = Level.ALARM
    unanswered: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectoryAnswersAgain(Event):
    """The directory answers again, `seconds` after it was left alone."""

    seconds: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CorruptionFound(Event):
    level: ClassVar[Level] = Level.ALARM
    mailbox: str
    message: str
    blob: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LetterNotProven(Event):
    """A letter lies in the queue that our reception did not put there. It is returned to its sender."""

    level: ClassVar[Level] = Level.ALARM
    queued: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MailboxNotProven(Event):
    """The mail database says something of a mailbox (its address, its kind or its public key) that our key
    broker did not sign. It takes no letter in until an operator has looked."""

    level: ClassVar[Level] = Level.ALARM
    mailbox: str


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRowRefused(Event):
    """A row of the key store, of a person or of an access, is not as our key broker wrote it. It opens
    nothing."""

    level: ClassVar[Level] = Level.ALARM
    table: str
    person: str


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyStoreRefused(Event):
    """The key store as a whole is not the one that was last written. It opens no mailbox until an operator
    has looked."""

    level: ClassVar[Level] = Level.ALARM
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexSegmentDropped(Event):
    """A part of a search index was damaged, or was of another version. It will be made again."""

    level: ClassVar[Level] = Level.WARNING
    mailbox: str
    segment: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageTrouble(Event):
    level: ClassVar[Level] = Level.ALARM
    store: str
    cause: str  # a class name


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskShort(Event):
    """The disk is filled up to its reserve: nothing new is accepted until there is room."""

    level: ClassVar[Level] = Level.ALARM
    free_mib: int
    reserve_mib: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskHasRoomAgain(Event):
    """The disk has more room than its reserve again, and letters are accepted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Crashed(Event):
    """A bug was caught: at which boundary, of what class, and where (file:line, innermost last). Its text is
    never told."""

    level: ClassVar[Level] = Level.ALARM
    boundary: str
    error: str
    places: str


def crashed(boundary: str, error: BaseException) -> Crashed:
    """The event of a bug met at `boundary`, without the exception's text (it may hold a patient's data)."""
    frames = traceback.extract_tb(error.__traceback__)[-6:]
    places = " ".join(f"{frame.filename.rpartition('/')[2]}:{frame.lineno}" for frame in frames)
    return Crashed(boundary=boundary, error=type(error).__name__, places=places)
