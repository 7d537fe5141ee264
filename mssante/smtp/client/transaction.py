"""One message over a connection whose other end has proved who it is: MAIL, RCPT, DATA, and what each means.

Invariants: every recipient has its own outcome; what is sent is what was stored, octet for octet, never
converted; an outcome is noted as soon as it is known, so that a line that breaks takes nothing of it away.
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
    """Fills `outcomes`; `dn` is whose server it is. Returns whether the connection may serve again. Raises
    Passing when the line breaks, Declined when the content cannot be had: `wire` is then to be closed."""
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
        if reply.code == 421:  # RFC 5321 §3.8: it is closing
            raise Passing(Reason.REMOTE_DEFERRED, "421 at RCPT")
    if not accepted:
        return False
    last = await wire.data(_framed(consignment.content()))
    outcomes.update(dict.fromkeys(accepted, replace(_outcome(last), dn=dn)))
    return last.code < 400


def _cannot_carry(extensions: Mapping[str, str], consignment: Consignment) -> Outcome | None:
    """What this remote can never take, so that nobody has to wait five days to hear of it."""
    if consignment.eight_bit and "8bitmime" not in extensions:
        # RFC 6152 §3 would let us convert; that would break signatures, so the letter goes back (S11).
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
    """The remote's words on one line of printable ASCII."""
    text = "".join(c if " " <= c <= "~" else " " if c.isspace() else "?" for c in reply.message)
    return judged(reply.code, text[:REMOTE_REPLY_CHARACTERS_MAX], at_recipient=at_recipient)
