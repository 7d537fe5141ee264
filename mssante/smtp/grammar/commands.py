"""The arguments of MAIL and RCPT: paths and parameters, by a grammar of our own (RFC 5321 §4.1.2).

Invariants: only ASCII is accepted, without source route, comment, quoted local part or address literal; an
accepted address is in canonical form, so no other code parses it again; bad syntax gives a reply, not an
exception; every length is bounded.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from mssante.limits import ENVID_OCTETS_MAX, ESMTP_PARAMETERS_MAX, ORCPT_OCTETS_MAX, PATH_OCTETS_MAX
from mssante.model import Address, Malformed
from mssante.smtp.grammar import replies
from mssante.words.reply import Reply

_PARAMETER = re.compile(r"([A-Za-z0-9][A-Za-z0-9-]*)(?:=([!-<>-~]+))?")  # RFC 5321 §4.1.2 esmtp-param
_SIZE = re.compile(r"[0-9]{1,20}")  # RFC 1870 §3
_XTEXT = re.compile(r"(?:[!-*,-<>-~]|\+[0-9A-F]{2})*")  # RFC 3461 §4


class BodyType(StrEnum):
    """RFC 6152."""

    SEVEN_BIT = "7BIT"
    EIGHT_BIT_MIME = "8BITMIME"


class DsnReturn(StrEnum):
    """RFC 3461 §4.3: what a failure notice quotes."""

    FULL = "FULL"
    HEADERS = "HDRS"


class Notify(StrEnum):
    """RFC 3461 §4.1: the outcomes of which the sender wants to be told."""

    NEVER = "NEVER"
    SUCCESS = "SUCCESS"
    FAILURE = "FAILURE"
    DELAY = "DELAY"


_BODIES = {body.value: body for body in BodyType}
_RETURNS = {quote.value: quote for quote in DsnReturn}
_NOTIFIES = {wish.value: wish for wish in Notify}


@dataclass(frozen=True, slots=True, kw_only=True)
class MailCommand:
    """`MAIL FROM`: sender None is the null reverse-path. `envelope_id` is xtext, as given."""

    sender: Address | None
    size: int | None = None
    body: BodyType | None = None
    quote: DsnReturn | None = None
    envelope_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RcptCommand:
    """`RCPT TO`. `original` is ORCPT's address type and xtext, as given."""

    recipient: Address
    notify: frozenset[Notify] = frozenset()
    original: str | None = None


def parse_mail(argument: str) -> MailCommand | Reply:
    """Reads the argument of MAIL, all that follows the verb; or gives the reply that refuses it."""
    found = _path_and_parameters(argument, keyword="FROM:")
    if isinstance(found, Reply):
        return found
    path, parameters = found
    size: int | None = None
    body: BodyType | None = None
    quote: DsnReturn | None = None
    envelope_id: str | None = None
    for name, value in parameters.items():
        if name == "SIZE" and _SIZE.fullmatch(value):
            size = int(value)
        elif name == "BODY" and value.upper() in _BODIES:
            body = _BODIES[value.upper()]
        elif name == "RET" and value.upper() in _RETURNS:
            quote = _RETURNS[value.upper()]
        elif name == "ENVID" and _is_xtext(value, octets_max=ENVID_OCTETS_MAX):
            envelope_id = value
        elif name == "AUTH" and _is_xtext(value, octets_max=ORCPT_OCTETS_MAX):
            pass  # RFC 4954 §5: a server that offers AUTH must accept it; we make no use of it
        else:
            return _parameter_refused(name, known=("SIZE", "BODY", "RET", "ENVID", "AUTH"))
    try:
        sender = Address.parse(path) if path else None
    except Malformed:
        return replies.SENDER_MALFORMED
    return MailCommand(sender=sender, size=size, body=body, quote=quote, envelope_id=envelope_id)


def parse_rcpt(argument: str) -> RcptCommand | Reply:
    """Reads the argument of RCPT, all that follows the verb; or gives the reply that refuses it."""
    found = _path_and_parameters(argument, keyword="TO:")
    if isinstance(found, Reply):
        return found
    path, parameters = found
    notify: frozenset[Notify] = frozenset()
    original: str | None = None
    for name, value in parameters.items():
        if name == "NOTIFY" and (wanted := _notify(value)):
            notify = wanted
        elif name == "ORCPT" and _is_original(value):
            original = value
        else:
            return _parameter_refused(name, known=("NOTIFY", "ORCPT"))
    try:
        return RcptCommand(recipient=Address.parse(path), notify=notify, original=original)
    except Malformed:
        return replies.RECIPIENT_MALFORMED


def _path_and_parameters(argument: str, *, keyword: str) -> tuple[str, dict[str, str]] | Reply:
    malformed = replies.SENDER_MALFORMED if keyword == "FROM:" else replies.RECIPIENT_MALFORMED
    if not argument.isascii() or argument[: len(keyword)].upper() != keyword:
        return replies.BAD_ARGUMENT
    rest = argument[len(keyword) :].lstrip(" ")  # a space here is wrong, but common and harmless
    path, closed, tail = rest.partition(">")
    if not path.startswith("<") or not closed or len(path) + 1 > PATH_OCTETS_MAX:
        return malformed
    if tail and not tail.startswith(" "):
        return malformed
    parameters: dict[str, str] = {}  # "" stands for a parameter without a value
    for word in filter(None, tail.split(" ")):
        match = _PARAMETER.fullmatch(word)
        if match is None or match[1].upper() in parameters or len(parameters) >= ESMTP_PARAMETERS_MAX:
            return replies.BAD_PARAMETER
        parameters[match[1].upper()] = match[2] or ""
    return path[1:], parameters


def _parameter_refused(name: str, *, known: tuple[str, ...]) -> Reply:
    if name == "SMTPUTF8":
        return replies.UTF8_NOT_OFFERED
    return replies.BAD_PARAMETER if name in known else replies.UNKNOWN_PARAMETER


def _is_xtext(value: str, *, octets_max: int) -> bool:
    return 0 < len(value) <= octets_max and _XTEXT.fullmatch(value) is not None


def _is_original(value: str) -> bool:
    kind, semicolon, address = value.partition(";")
    return bool(kind and semicolon and address) and _is_xtext(value, octets_max=ORCPT_OCTETS_MAX)


def _notify(value: str) -> frozenset[Notify]:
    """Empty when malformed: NEVER must stand alone, and no word may come twice (RFC 3461 §4.1)."""
    words = value.upper().split(",")
    if len(set(words)) != len(words) or any(word not in _NOTIFIES for word in words):
        return frozenset()
    wanted = frozenset(_NOTIFIES[word] for word in words)
    return frozenset() if Notify.NEVER in wanted and len(wanted) > 1 else wanted
