"""One row of the table: what a Reason says to each of the four who may hear of it.

Invariants: a row has something for all four, so that mypy finds what was forgotten; where there are no words,
the row says so with a member of `Unsaid`. A text for a wire says what is wrong, who must act and what to do,
in French and then in English, in ASCII, and holds nothing that a peer sent. A notice says the same in full
French and English, with accents.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, StrEnum
from typing import Final, Literal

NEVER_FOR_EVER: Final = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SmtpWords:
    """A code and an enhanced code (RFC 3463), one pair for Refused and one for Passing, and one text.
    `refused` is NEVER_FOR_EVER for a fault of ours: the reply is then always "try later", even if Refused was
    raised, so that no letter is lost."""

    refused: str | None
    passing: str
    text: str


@dataclass(frozen=True, slots=True)
class ImapAnswer:
    """A response code without its brackets ("" for none) and a text. The codes are those of RFC 5530, of
    RFC 9051 §7.1 or of an extension we offer."""

    code: str
    text: str

    def __str__(self) -> str:
        return f"[{self.code}] {self.text}" if self.code else self.text


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a letter was not delivered, for its author. `status` is an enhanced code (RFC 3463) of class 5."""

    status: str
    french: str
    english: str


class Actor(StrEnum):
    """Who can do something about it, in the words that an operator reads."""

    US = "this operator"
    PEER = "the other operator"
    BOTH = "both operators"
    OWNER = "the mailbox's owner"
    SENDER = "the sender"
    SOFTWARE = "the software at the other end"
    ASKER = "whoever asked"


@dataclass(frozen=True, slots=True)
class OperatorWords:
    """What is wrong, who must act, and what that one must do: the parts of one English sentence."""

    cause: str
    actor: Actor
    action: str

    @property
    def sentence(self) -> str:
        return f"{self.cause}; {self.actor} must {self.action}"


class Unsaid(Enum):
    """Stands where a row has no words of its own."""

    CANNOT_AS_IN_SMTP = "IMAP hardly meets it: [CANNOT], with SMTP's text"
    NEVER_IN_A_NOTICE = "no letter of ours ends by it: it is told while its author or a peer still listens"


CANNOT_AS_IN_SMTP: Final = Unsaid.CANNOT_AS_IN_SMTP
NEVER_IN_A_NOTICE: Final = Unsaid.NEVER_IN_A_NOTICE
OUR_TROUBLE: Final = Explanation(
    "5.3.0",
    "Un incident chez votre opérateur a empêché la remise. Prévenez-le, puis renvoyez votre message.",
    "Trouble at your operator prevented the delivery. Tell your operator, then send your message again.",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """What is said of one Reason to SMTP, to IMAP, in a notice, and to an operator."""

    smtp: SmtpWords
    imap: ImapAnswer | Literal[Unsaid.CANNOT_AS_IN_SMTP]
    notice: Explanation | Literal[Unsaid.NEVER_IN_A_NOTICE]
    operator: OperatorWords
