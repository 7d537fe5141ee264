"""ENVELOPE (RFC 3501 §7.4.2), written from the values that a message's summary keeps."""

from __future__ import annotations

from collections.abc import Callable

from mssante.imap.grammar.encode import NIL
from mssante.imap.grammar.templates import Templates, ValueWriter
from mssante.mime.addresses import AddressEntry
from mssante.mime.envelope import EnvelopeValues
from mssante.mime.packed import Packed, Tree


def render(tree: Tree, writer: ValueWriter) -> bytes:
    """The ENVELOPE of an EnvelopeValues' tree."""
    values = EnvelopeValues.of_tree(tree)
    nstring = writer.nstring
    # The values must be written in the order in which they stand in the text: `Templates` notes that order
    # when it prepares a template.
    return b"(%b %b %b %b %b %b %b %b %b %b)" % (
        nstring(values.date),
        nstring(values.subject),
        _addresses(values.from_, writer),
        # RFC 3501 §7.4.2: the server MUST default sender and reply-to from From.
        _addresses(values.sender or values.from_, writer),
        _addresses(values.reply_to or values.from_, writer),
        _addresses(values.to, writer),
        _addresses(values.cc, writer),
        _addresses(values.bcc, writer),
        nstring(values.in_reply_to),
        nstring(values.message_id),
    )


def _addresses(entries: tuple[AddressEntry, ...], writer: ValueWriter) -> bytes:
    if not entries:
        return NIL
    nstring = writer.nstring
    return b"(%b)" % b"".join(
        [b"(%b %b %b %b)" % (nstring(name), nstring(route), nstring(mailbox), nstring(host))
         for name, route, mailbox, host in entries]
    )  # fmt: skip


# Packed EnvelopeValues to the parenthesised ENVELOPE. Raises Refused(CORRUPTION).
envelope: Callable[[Packed], bytes] = Templates(render).written
