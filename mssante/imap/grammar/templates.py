"""Values that a summary keeps, written as IMAP text; the text around them is prepared once for each shape.

Trees of the same shape differ in their values only. So the text around the values is rendered once, when a
shape first occurs, and is then used as a format for all others of that shape.

Invariants: the result is the same as if each tree were rendered value by value; quotes are part of the
prepared text only where all values of a message are plain, else `encode.string` writes each value; the number
and size of the remembered templates is bounded, whatever shapes messages have.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import NamedTuple

from mssante.imap.grammar import encode
from mssante.limits import IMAP_TEMPLATE_SHAPE_OCTETS_MAX, IMAP_TEMPLATES_REMEMBERED_MAX
from mssante.mime.packed import PLAIN, SEPARATOR, Packed, Tree, filled, unpack


class ValueWriter(NamedTuple):
    """How the values of a tree are written."""

    string: Callable[[bytes], bytes]
    number: Callable[[int], bytes]

    def nstring(self, octets: bytes | None) -> bytes:
        return encode.NIL if octets is None else self.string(octets)


PLAIN_WRITER = ValueWriter(encode.string, b"%d".__mod__)


class _Template(NamedTuple):
    """The text of one shape; `take` gives the values that stand in it, in order. `numbers` is None where the
    text holds the quotes already. Otherwise each value is written with its own quotes, except those at the
    places in `numbers`, which are numbers."""

    text: bytes
    take: Callable[[Sequence[bytes]], tuple[bytes, ...]]
    numbers: Sequence[int] | None


class Templates:
    """Writes packed trees as `render` would, but faster."""

    def __init__(self, render: Callable[[Tree, ValueWriter], bytes]) -> None:
        self._render = render
        self._known: dict[bytes, _Template] = {}

    def written(self, packed: Packed) -> bytes:
        """The IMAP text of a packed tree. Raises Refused(CORRUPTION)."""
        pieces = packed.split(SEPARATOR)
        template = self._known.get(pieces[0])
        if template is None:
            if len(pieces[0]) > IMAP_TEMPLATE_SHAPE_OCTETS_MAX:
                return self._render(unpack(packed), PLAIN_WRITER)
            template = self._prepared(pieces[0])
        text, take, numbers = template
        if numbers is None:
            return text % take(pieces)
        written = list(map(encode.string, pieces))
        for at in numbers:
            written[at] = pieces[at]
        return text % take(written)

    def _prepared(self, shape: bytes) -> _Template:
        """Renders a tree in which each value is its own place number, and so learns in which order `render`
        writes the values."""
        order: list[int] = []
        numbers: list[int] = []

        def string(place: bytes) -> bytes:
            order.append(int(place))
            return b'"%b"'

        def number(place: int) -> bytes:
            order.append(place)
            numbers.append(place)
            return b"%b"

        places = [b"%d" % at for at in range(1, shape.count(b"s") + shape.count(b"n") + 1)]
        text = self._render(filled(shape, places), ValueWriter(string, number))
        if len(self._known) >= IMAP_TEMPLATES_REMEMBERED_MAX:
            self._known.clear()
        if shape.startswith(PLAIN):
            template = _Template(text, _taking(order), None)
        else:
            template = _Template(text.replace(b'"%b"', b"%b"), _taking(order), numbers)
        self._known[shape] = template
        return template


def _taking(order: Sequence[int]) -> Callable[[Sequence[bytes]], tuple[bytes, ...]]:
    """Takes the pieces at these places, as a tuple. For a single place, itemgetter would give the bare piece,
    so it is not used there."""
    if len(order) > 1:
        return itemgetter(*order)
    return lambda pieces: tuple([pieces[at] for at in order])
