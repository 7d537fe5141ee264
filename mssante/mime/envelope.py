"""A message's envelope as values: date, subject, addresses and identifiers, and how they are kept.

Invariants: what is kept is what the sender wrote, field by field, and nothing is made up: a field that is
missing is None, an address field without addresses is an empty list. The values do not depend on a protocol:
IMAP's grammar writes ENVELOPE from them, and SORT reads addresses from them.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from functools import lru_cache
from typing import NamedTuple

from mssante.limits import ENVELOPE_SHAPE_OCTETS_REMEMBERED_MAX
from mssante.mime import addresses
from mssante.mime.addresses import AddressEntry, Reading
from mssante.mime.content import EnvelopeFields
from mssante.mime.packed import SEPARATOR, Packed, Tree, filled, pack
from mssante.reasons import Refused


class EnvelopeValues(NamedTuple):
    """What a message's envelope says, with its address fields read. The order of the fields is part of the
    stored format, so it never changes."""

    date: bytes | None = None
    subject: bytes | None = None
    from_: tuple[AddressEntry, ...] = ()
    sender: tuple[AddressEntry, ...] = ()
    reply_to: tuple[AddressEntry, ...] = ()
    to: tuple[AddressEntry, ...] = ()
    cc: tuple[AddressEntry, ...] = ()
    bcc: tuple[AddressEntry, ...] = ()
    in_reply_to: bytes | None = None
    message_id: bytes | None = None

    @classmethod
    def of(cls, fields: EnvelopeFields, reading: Reading | None = None) -> EnvelopeValues:
        """Of these fields. Give a message's and those of the messages within the same `reading`."""
        reading = reading or Reading()
        return cls(
            fields.date,
            fields.subject,
            _entries(fields.from_, reading),
            _entries(fields.sender, reading),
            _entries(fields.reply_to, reading),
            _entries(fields.to, reading),
            _entries(fields.cc, reading),
            _entries(fields.bcc, reading),
            fields.in_reply_to,
            fields.message_id,
        )

    @classmethod
    def of_tree(cls, tree: Tree) -> EnvelopeValues:
        """The envelope that was given to `pack` as this tree."""
        date, subject, from_, sender, reply_to, to, cc, bcc, in_reply_to, message_id = tree
        lists = from_, sender, reply_to, to, cc, bcc
        from_, sender, reply_to, to, cc, bcc = (tuple([AddressEntry(*each) for each in one]) for one in lists)
        return cls(date, subject, from_, sender, reply_to, to, cc, bcc, in_reply_to, message_id)

    def packed(self) -> Packed:
        return pack(self)


class AddressField(Enum):
    """The address fields that SORT asks for. The value is the field's place in EnvelopeValues."""

    FROM = 2
    TO = 5
    CC = 6


def first_address(envelope: Packed, field: AddressField) -> AddressEntry | None:
    """The first entry of an address field; None when it has none. As in IMAP, a group's name is an entry of
    its own."""
    pieces = envelope.split(SEPARATOR)
    shape = pieces[0]
    find = _first if len(shape) <= ENVELOPE_SHAPE_OCTETS_REMEMBERED_MAX else _first.__wrapped__
    try:
        places = find(shape, field)
        return None if places is None else _entry(pieces, places)
    except (Refused, IndexError):
        return None  # it is not an envelope: SORT treats the message as one without an address


@lru_cache(maxsize=1000)
def _first(shape: bytes, field: AddressField) -> tuple[int | None, ...] | None:
    """Which of the values behind the shape are the four of the first entry."""
    at_places = [b"%d" % at for at in range(1, shape.count(b"s") + 1)]
    entries = filled(shape, at_places)[field.value]
    return tuple(None if at is None else int(at) for at in entries[0]) if entries else None


def _entry(pieces: Sequence[bytes], places: Sequence[int | None]) -> AddressEntry:
    return AddressEntry(*[None if at is None else pieces[at] for at in places])


def _entries(value: bytes | None, reading: Reading) -> tuple[AddressEntry, ...]:
    return addresses.parse(value, reading) if value else ()
