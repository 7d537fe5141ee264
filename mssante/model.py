"""The values that all other modules share. They are frozen, and a text that is malformed never becomes one.

Invariants: an Address has its domain in lower case and its local part as written, and two addresses name the
same mailbox exactly when their `key` is equal; identifiers have types of their own, so that a UID is never
taken for another number.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import Enum, StrEnum
from typing import NewType

MailboxId = NewType("MailboxId", bytes)  # 16 random bytes; a BAL, not an IMAP folder
MessageId = NewType("MessageId", bytes)  # 16 random bytes; ours, not the Message-ID header
BlobId = NewType("BlobId", bytes)  # 16 random bytes; one sealed content
FolderId = NewType("FolderId", int)
PersonId = NewType("PersonId", str)  # the login name of a person or of an application
Uid = NewType("Uid", int)  # RFC 3501 §2.3.1.1, per folder, 1..2^32-1
ModSeq = NewType("ModSeq", int)  # RFC 7162, per mailbox

_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_DOMAIN = re.compile(rf"{_LABEL}(?:\.{_LABEL})+")
_ATEXT = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_DOT_STRING = re.compile(rf"{_ATEXT}(?:\.{_ATEXT})*")


class Malformed(ValueError):
    """A text is not what it claims to be. `args[0]` says why, without repeating the text."""


USER_SEPARATOR = "/"  # never in a login


def user_parts(user: str) -> tuple[PersonId, str | None]:
    """A user name as clients send it (project format): LOGIN, or LOGIN/ADDRESS for another mailbox that
    the person may open. The address is not judged here."""
    login, _, address = user.partition(USER_SEPARATOR)
    return PersonId(login), address or None


@dataclass(frozen=True, slots=True, order=True)
class Domain:
    """A mail domain in A-label form, lower case (RFC 5321 §2.3.5). At most 253 octets."""

    name: str

    @classmethod
    def parse(cls, text: str) -> Domain:
        name = text.lower() if text.isascii() else ""
        if len(name) > 253 or not _DOMAIN.fullmatch(name):
            raise Malformed("not a domain name")
        return cls(name)

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True, order=True)
class Address:
    """A mail address: dot-string local part, A-label domain (RFC 5321 §4.1.2, no quoted form, no route).

    The local part keeps its case; `key` is what identifies a mailbox (case folded: MSSanté addresses
    are compared without case)."""

    local: str
    domain: Domain

    @classmethod
    def parse(cls, text: str) -> Address:
        local, at, domain = text.rpartition("@")
        if not at or not text.isascii() or len(local) > 64 or not _DOT_STRING.fullmatch(local):
            raise Malformed("not a mail address")
        return cls(local, Domain.parse(domain))

    @property
    def key(self) -> str:
        return f"{self.local.lower()}@{self.domain.name}"

    def __str__(self) -> str:
        return f"{self.local}@{self.domain.name}"


class MailboxKind(StrEnum):
    """The four kinds of BAL (facts §3), and QUEUE, the operator's own sealed outbox (project format)."""

    PER = "PER"
    ORG = "ORG"
    APP = "APP"
    CAB = "CAB"
    QUEUE = "QUEUE"


class MailboxStatus(StrEnum):
    """Life of a BAL (project format): suspended takes no mail for now, closed takes none any more."""

    ACTIVE = "active"
    SUSPENDED = "suspended"
    CLOSED = "closed"


class Flag(Enum):
    """RFC 3501 §2.3.2 system flags; the value is the bit in a stored flag mask. Keywords use bits 8..61."""

    SEEN = 1
    ANSWERED = 2
    FLAGGED = 4
    DELETED = 8
    DRAFT = 16


DELIMITER = "/"  # between the levels of a folder's name
INBOX = "INBOX"


class SpecialUse(StrEnum):
    """RFC 6154 roles of the folders every mailbox has. INBOX has a role too: delivery finds it by that,
    because it cannot read names."""

    INBOX = "inbox"
    SENT = "sent"
    DRAFTS = "drafts"
    TRASH = "trash"
    JUNK = "junk"
    ARCHIVE = "archive"


@dataclass(frozen=True, slots=True)
class Envelope:
    """An SMTP envelope: `sender` None is the null reverse-path (RFC 5321 §4.5.5); recipients distinct."""

    sender: Address | None
    recipients: tuple[Address, ...]


class Direction(StrEnum):
    """IN: the peer called us, as a TLS client. OUT: we called the peer, which is then the TLS server."""

    IN = "in"
    OUT = "out"


class MessageSource(StrEnum):
    """Who brought a message."""

    PEER = "peer"
    SUBMISSION = "submission"
    QUEUE = "queue"  # our own queue, to a mailbox of ours


class ForeignAuthors(StrEnum):
    """What is done with a letter whose author's domain is not one of the peer that brings it."""

    MARK = "mark"
    REFUSE = "refuse"


@dataclass(frozen=True, slots=True)
class PeerIdentity:
    """Who spoke to us over mutual TLS, as it is written in logs: DN in RFC 4514, hexadecimal serial number,
    SHA-256 fingerprint."""

    dn: str
    serial: str
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Secret:
    """A text that must never be shown: repr and str hide it."""

    value: str = field(repr=False)

    def __str__(self) -> str:
        return "***"
