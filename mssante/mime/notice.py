"""Delivery status notifications (RFC 3464, 3462): French first, then English, then what programs read.

Invariants: a function of its arguments (ids and dates included); always marked as automatic (RFC 3834);
what a remote server said is bounded and printable ASCII; of the original only its header comes back.
The caller must send them with the null reverse-path, and never in answer to a message that came with it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from mssante import limits
from mssante.mime import dates, header, writing
from mssante.model import Address

_NOT_IN_7BIT = re.compile(rb"[^\t\r\n -~]")


class Action(StrEnum):
    """RFC 3464 §2.3.3, what we may say of a recipient."""

    FAILED = "failed"
    DELAYED = "delayed"
    DELIVERED = "delivered"
    RELAYED = "relayed"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportedOutcome:
    """What became of the message for one recipient. `status` is an enhanced code (RFC 3463); `french` and
    `english` say why, and who must act; `remote_server` and `remote_reply` are the other server, if there was
    one, and what it said; `original_recipient` is the sender's ORCPT as given (`rfc822;…`)."""

    recipient: Address
    action: Action
    status: str
    french: str
    english: str
    remote_server: str | None = None
    remote_reply: str | None = None
    original_recipient: str | None = None
    last_attempt: datetime | None = None
    retry_until: datetime | None = None


# What is said of each action: the subject's two halves, then the text's two openings.
_SUBJECTS = {
    Action.FAILED: "Message non remis / Undelivered message",
    Action.DELAYED: "Message retardé / Delayed message",
    Action.DELIVERED: "Message remis / Delivered message",
    Action.RELAYED: "Message transmis / Relayed message",
}
_FRENCH = {
    Action.FAILED: "Votre message n’a pas pu être remis à :",
    Action.DELAYED: "Votre message n’est pas encore remis à (les essais continuent, rien n’est à refaire) :",
    Action.DELIVERED: "Votre message a été remis dans la boîte aux lettres de :",
    Action.RELAYED: "Votre message a été transmis au serveur de :",
}
_ENGLISH = {
    Action.FAILED: "Your message could not be delivered to:",
    Action.DELAYED: "Your message has not been delivered yet to (we keep trying, there is nothing to do):",
    Action.DELIVERED: "Your message was delivered to the mailbox of:",
    Action.RELAYED: "Your message was relayed to the server of:",
}


def notice(
    *,
    reporting_server: str,
    author: Address,
    to: Address,
    outcomes: Sequence[ReportedOutcome],
    original_header: bytes,
    sent_at: datetime,
    unique: str,
    envelope_id: str | None = None,
    arrived_at: datetime | None = None,
) -> bytes:
    """The notification, a whole message in canonical CRLF. `unique`: letters and digits never used before;
    `envelope_id`: the ENVID of the original transaction; `author` is the postmaster's address."""
    assert writing.UNIQUE.fullmatch(unique), "a boundary and a Message-ID are made of it"
    assert outcomes, "a notification speaks of someone"
    boundary = b"=_notice_" + unique.encode("ascii")  # `=_` never occurs in quoted-printable
    top = [
        writing.field("From", f"<{author}>"),
        writing.field("To", f"<{to}>"),
        writing.text_field("Subject", _SUBJECTS[_gravest(outcomes)]),
        writing.field("Date", dates.rfc5322(sent_at)),
        writing.field("Message-ID", f"<{unique}@{reporting_server}>"),
        writing.field("Auto-Submitted", "auto-replied"),
        *_thread(original_header),
        writing.field("MIME-Version", "1.0"),
        b'Content-Type: multipart/report; report-type=delivery-status;\r\n boundary="%b"\r\n' % boundary,
    ]
    parts = [
        _text_part(_human(outcomes)),
        _status_part(reporting_server, envelope_id, arrived_at, outcomes),
        _header_part(original_header),
    ]
    body = b"".join(b"\r\n--%b\r\n%b" % (boundary, part) for part in parts)
    return b"%b%b\r\n--%b--\r\n" % (b"".join(top), body, boundary)


def _gravest(outcomes: Sequence[ReportedOutcome]) -> Action:
    return next(action for action in Action if any(outcome.action is action for outcome in outcomes))


def _thread(original_header: bytes) -> tuple[bytes, ...]:
    """In-Reply-To and References, so that a client shows the notice under the letter it speaks of."""
    for value in header.values(original_header, b"message-id"):
        for identifier in header.message_identifiers(value):
            if len(identifier) <= 250 and identifier.isascii():
                text = identifier.decode("ascii")
                return writing.field("In-Reply-To", text), writing.field("References", text)
    return ()


def _human(outcomes: Sequence[ReportedOutcome]) -> str:
    lines = ["Bonjour,", ""]
    lines += _told(outcomes, _FRENCH, "Réponse du serveur distant : ", french=True)
    lines += ["Ceci est un message automatique ; l’en-tête de votre message est joint.", ""]
    lines += ["-" * 66, "", "Hello,", ""]
    lines += _told(outcomes, _ENGLISH, "Reply of the remote server: ", french=False)
    lines += ["This is an automatic message; the header of your message is attached."]
    return "\n".join(lines)


def _told(
    outcomes: Sequence[ReportedOutcome], openings: dict[Action, str], reply_label: str, *, french: bool
) -> list[str]:
    lines: list[str] = []
    for action in Action:
        concerned = [outcome for outcome in outcomes if outcome.action is action]
        if not concerned:
            continue
        lines += [openings[action], ""]
        for outcome in concerned:
            lines.append(f"  {outcome.recipient}")
            lines += [f"    {line}" for line in (outcome.french if french else outcome.english).splitlines()]
            if outcome.remote_reply:
                lines.append(f"    {reply_label}{_reply(outcome.remote_reply)}")
            lines.append(f"    ({outcome.status})")
            lines.append("")
    return lines


def _reply(text: str) -> str:
    return writing.clean(text, characters_max=limits.REMOTE_REPLY_CHARACTERS_MAX)


def _text_part(text: str) -> bytes:
    return (
        b"Content-Type: text/plain; charset=utf-8\r\n"
        b"Content-Language: fr, en\r\n"
        b"Content-Transfer-Encoding: quoted-printable\r\n\r\n" + writing.quoted_printable(text)
    )


def _status_part(
    server: str, envelope_id: str | None, arrived_at: datetime | None, outcomes: Sequence[ReportedOutcome]
) -> bytes:
    """RFC 3464 §2: the fields of the message, then those of each recipient, blank lines between."""
    about = [writing.field("Reporting-MTA", f"dns; {server}")]
    if envelope_id:
        about.insert(0, writing.field("Original-Envelope-Id", envelope_id))
    if arrived_at:
        about.append(writing.field("Arrival-Date", dates.rfc5322(arrived_at)))
    groups = [b"".join(about), *(_status(outcome) for outcome in outcomes)]
    return b"Content-Type: message/delivery-status\r\n\r\n" + b"\r\n".join(groups)


def _status(outcome: ReportedOutcome) -> bytes:
    lines = []
    if outcome.original_recipient:
        lines.append(writing.field("Original-Recipient", outcome.original_recipient))
    lines.append(writing.field("Final-Recipient", f"rfc822; {outcome.recipient}"))
    lines.append(writing.field("Action", outcome.action.value))
    lines.append(writing.field("Status", outcome.status))
    if outcome.remote_server:
        lines.append(writing.field("Remote-MTA", f"dns; {outcome.remote_server}"))
    if outcome.remote_reply:
        lines.append(writing.field("Diagnostic-Code", f"smtp; {_reply(outcome.remote_reply)}"))
    if outcome.last_attempt:
        lines.append(writing.field("Last-Attempt-Date", dates.rfc5322(outcome.last_attempt)))
    if outcome.retry_until and outcome.action is Action.DELAYED:
        lines.append(writing.field("Will-Retry-Until", dates.rfc5322(outcome.retry_until)))
    return b"".join(lines)


def _header_part(original_header: bytes) -> bytes:
    """The original's header, as it was where mail can carry it, else quoted-printable."""
    kept = original_header[: limits.HEADER_KEPT_OCTETS_MAX]
    if len(kept) < len(original_header):
        kept = kept[: kept.rfind(b"\r\n") + 2]
    lines = kept.rstrip(b"\r\n").splitlines()
    kept = b"".join(line + b"\r\n" for line in lines)
    if not _NOT_IN_7BIT.search(kept) and max(map(len, lines), default=0) <= limits.LINE_OCTETS_OUT_MAX:
        return b"Content-Type: text/rfc822-headers\r\n\r\n" + kept
    return (
        b"Content-Type: text/rfc822-headers\r\n"
        b"Content-Transfer-Encoding: quoted-printable\r\n\r\n" + writing.quoted_printable_octets(kept)
    )
