"""Sends one message to a remote that has proved who it is: MAIL, RCPT, DATA, and what each reply means.

Invariants: every recipient has its own outcome; the message is sent as it was stored, octet for octet, and is
never converted; an outcome is noted as soon as it is known, so that it is not lost if the connection breaks.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import replace

from mssante.delivery.couriers import Consignment
from mssante.delivery.retry import Fate, Outcome, judged
from mssante.limits import REMOTE_REPLY_CHARACTERS_MAX
from mssante.model import Address
from mssante.reasons import Passing, Reason, Refused
from mssante.smtp.client.wire import ClientWire, Reply
from mssante.smtp.grammar.sending import DotStuffer


async def transact(
    wire: ClientWire,
    extensions: Mapping[str, str],
    consignment: Consignment,
    batch: tuple[Address, ...],
    outcomes: dict[Address, Outcome],
    *,
    dn: str,
) -> bool:
    """Fills `outcomes`; `dn` is the name in the server's certificate. Returns whether the connection may be
    used again. Raises Passing when the connection breaks, and Declined when the content cannot be read; the
    caller must then close `wire`."""
    if trouble := _cannot_carry(extensions, consignment):
        outcomes.update(dict.fromkeys(batch, trouble))
        return True
    reply = await wire.command(_mail_line(extensions, consignment))
    if not 200 <= reply.code < 300:
        outcomes.update(dict.fromkeys(batch, _outcome(reply)))
        return False
    accepted: list[Address] = []
    for address in batch:
        reply = await wire.command(f"RCPT TO:<{address}>".encode("ascii"))
        outcome = _outcome(reply, at_recipient=True)
        if outcome.fate is Fate.DELIVERED:
            accepted.append(address)
        else:
            outcomes[address] = outcome
        if reply.code == 421:  # RFC 5321 §3.8: the remote is closing the connection
            raise Passing(Reason.REMOTE_DEFERRED, "421 at RCPT")
    if not accepted:
        return False
    last = await wire.data(_framed(consignment.content()))
    outcomes.update(dict.fromkeys(accepted, replace(_outcome(last), dn=dn)))
    return last.code < 400


def _cannot_carry(extensions: Mapping[str, str], consignment: Consignment) -> Outcome | None:
    """The failure of a message that this remote can never take. We say it at once, so that the sender need
    not wait five days for it."""
    if consignment.eight_bit and "8bitmime" not in extensions:
        # RFC 6152 §3 allows a conversion, but that would break signatures, so we return the letter (S11).
        return Outcome.of(Refused(Reason.REMOTE_SEVEN_BIT))
    limit = extensions.get("size", "")
    if limit.isascii() and limit.isdigit() and 0 < int(limit[:20]) < consignment.size:  # RFC 1870 §4
        return Outcome.of(Refused(Reason.MESSAGE_TOO_LARGE))
    return None


def _mail_line(extensions: Mapping[str, str], consignment: Consignment) -> bytes:
    line = f"MAIL FROM:<{consignment.sender or ''}>"
    if "size" in extensions:
        line += f" SIZE={consignment.size}"
    if consignment.eight_bit:
        line += " BODY=8BITMIME"
    return line.encode("ascii")


async def _framed(content: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    stuffer = DotStuffer()
    async for block in content:
        yield stuffer.feed(block)
    yield stuffer.end()


def _outcome(reply: Reply, *, at_recipient: bool = False) -> Outcome:
    """What the reply means, with its text made into one line of printable ASCII."""
    text = "".join(c if " " <= c <= "~" else " " if c.isspace() else "?" for c in reply.message)
    return judged(reply.code, text[:REMOTE_REPLY_CHARACTERS_MAX], at_recipient=at_recipient)
