"""The header fields that mail programs ask for when they list a folder, kept in a message's summary.

Invariants: octets are kept as written, in the header's order, so that BODY[HEADER.FIELDS (...)] comes out
byte for byte as from the header itself; a field's place in NAMES is stored, so names are only ever added at
its end.

Nothing is kept here of a header with more than LISTED_OCTETS_MAX of such fields, or of one that is itself too
long to be kept apart from the content. To list such a message, the header is read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from operator import itemgetter

import msgpack

from mssante.limits import LISTED_CHOICES_REMEMBERED_MAX, LISTED_OCTETS_MAX
from mssante.mime import header
from mssante.reasons import Reason, Refused

# The fields that Thunderbird, Outlook, Apple Mail, K-9, Evolution, mutt and Roundcube ask for when they list
# a folder, and those that MSSanté adds. Never reorder them: summaries hold a field's place in this list.
NAMES = tuple(
    b"from to cc bcc sender reply-to subject date message-id in-reply-to references content-type"
    b" mime-version content-transfer-encoding content-description priority x-priority importance"
    b" x-msmail-priority newsgroups followup-to lines list-id list-post list-help list-archive list-owner"
    b" list-subscribe list-unsubscribe list-unsubscribe-post mail-followup-to mail-reply-to"
    b" resent-message-id resent-date resent-from resent-to resent-sender resent-cc"
    b" disposition-notification-to return-receipt-to x-confirm-reading-to return-path delivered-to"
    b" auto-submitted precedence keywords x-label x-draft-info x-uniform-type-identifier"
    b" x-universally-unique-identifier x-mailer user-agent thread-topic thread-index autocrypt"
    b" x-mss-nil x-mss-codecda x-mss-ins x-mss-mes".split()
)
_PLACES = {name: bytes((place,)) for place, name in enumerate(NAMES)}
_END = (b"", b"\r\n")  # two items, so that itemgetter gives a tuple even when it takes no field


class Chooser:
    """Answers one BODY[HEADER.FIELDS (...)] out of what summaries keep."""

    def __init__(self, places: bytes) -> None:
        self._wanted = frozenset(places)
        # The letters of a mailbox have their fields in few different orders. Which to take is found out once
        # for each order.
        self._takes: dict[bytes, Callable[[Sequence[bytes]], Iterable[bytes]]] = {}

    @classmethod
    def of(cls, names: Iterable[bytes]) -> Chooser | None:
        """For field names in lower case; None when one of them is not kept in summaries."""
        places = [_PLACES.get(name) for name in names]
        return None if None in places else cls(b"".join(filter(None, places)))

    def fields(self, packed: bytes) -> bytes | None:
        """The named fields as written, then the blank line (RFC 3501 §6.4.5). None when the summary keeps
        none, and the header must be read. Raises Refused(CORRUPTION)."""
        if not packed:
            return None
        found = _unpacked(packed)
        take = self._takes.get(found[0]) or self._take(found[0])
        found += _END
        return b"".join(take(found))

    def _take(self, places: bytes) -> Callable[[Sequence[bytes]], Iterable[bytes]]:
        if len(self._takes) >= LISTED_CHOICES_REMEMBERED_MAX:
            self._takes.clear()
        wanted = [at for at, place in enumerate(places, 1) if place in self._wanted]
        self._takes[places] = take = itemgetter(*wanted, -2, -1)
        return take


def pack(block: bytes) -> bytes:
    """What a summary keeps of a whole header block; empty when there is too much of it."""
    if header.has_too_many_lines(block):
        return b""
    places, fields = [], []
    for field in header.fields(block):
        place = _PLACES.get(field.name)
        if place is not None:
            places.append(place)
            fields.append(block[field.start : field.end])
    if sum(map(len, fields)) > LISTED_OCTETS_MAX:
        return b""
    if fields and not fields[-1].endswith(b"\n"):  # a header cut short of its last line end
        fields[-1] += b"\r\n"
    packed: bytes = msgpack.packb([b"".join(places), *fields])
    return packed


def values(packed: bytes, name: bytes) -> tuple[bytes, ...] | None:
    """The values of the field `name` (lower case, one of NAMES), unfolded, in order. None when the summary
    keeps none, and the header must be read. Raises Refused(CORRUPTION)."""
    if not packed:
        return None
    places, *fields = _unpacked(packed)
    place = _PLACES[name][0]
    return tuple(
        header.unfold(field[field.index(b":") + 1 :])
        for found, field in zip(places, fields, strict=False)
        if found == place
    )


def first_values(packed: bytes, names: Sequence[bytes]) -> list[bytes] | None:
    """The first value of each of `names`, unfolded, empty where there is none. Otherwise as `values`."""
    if not packed:
        return None
    places, *fields = _unpacked(packed)
    found = []
    for name in names:
        at = places.find(_PLACES[name])
        field = fields[at] if 0 <= at < len(fields) else b":"
        found.append(header.unfold(field[field.index(b":") + 1 :]))
    return found


def _unpacked(packed: bytes) -> list[bytes]:
    try:
        found: list[bytes] = msgpack.unpackb(packed)
        if type(found) is list and found and type(found[0]) is bytes and len(found) == len(found[0]) + 1:
            return found
    except (ValueError, TypeError, msgpack.UnpackException):
        pass
    raise Refused(Reason.CORRUPTION, "listed fields: not readable")
