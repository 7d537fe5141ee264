"""The words that events tell by: causes, stages, shares."""

from __future__ import annotations

from enum import StrEnum


class ConnectionCause(StrEnum):
    """Why a connection is closed before it could speak."""

    TOO_MANY = "too many connections"
    TOO_MANY_FROM_ADDRESS = "too many connections from this address"
    TOO_MANY_WITHOUT_TLS = "too many connections without TLS"
    TOO_MANY_WITHOUT_TLS_FROM_ADDRESS = "too many connections without TLS from this address"
    PLAINTEXT_BEHIND_STARTTLS = "plaintext behind STARTTLS"


class Share(StrEnum):
    """Whose share of an amount is used up."""

    ALL = "all"
    PORT = "port"
    PARTY = "party"


class LoginProtocol(StrEnum):
    """What a person logs in to."""

    SUBMISSION = "submission"
    IMAP = "imap"


class SmtpStage(StrEnum):
    """How far an SMTP session had come: a command of a transaction, or SESSION outside of one."""

    MAIL = "mail"
    RCPT = "rcpt"
    DATA = "data"
    SESSION = "session"


class Oddity(StrEnum):
    """What is odd about a message that is kept all the same."""

    LONG_LINE = "long_line"
    AUTHOR_UNPROVED = "author_unproved"
