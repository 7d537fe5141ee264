"""Kept values written as IMAP text, the text around them prepared once for each shape.

Invariants: what comes out is what rendering the tree value by value would give; the quotes are part
of the text only where all of a message's values are plain, else each is written as `encode.string` writes it;
what is remembered is bounded, whatever shapes letters come in.
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
    """The text of one shape; `take` gives the values that stand in it, in order. `numbers`: None where the
    text has the quotes already; else it leaves them to the values, and these are not to be quoted."""

    text: bytes
    take: Callable[[Sequence[bytes]], tuple[bytes, ...]]
    numbers: Sequence[int] | None


class Templates:
    """Writes packed trees as `render` does."""

    def __init__(self, render: Callable[[Tree, ValueWriter], bytes]) -> None:
        self._render = render
        self._known: dict[bytes, _Template] = {}

    def written(self, packed: Packed) -> bytes:
        """Raises Refused(CORRUPTION)."""
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
        """Renders a tree whose values are their own places, and notes which of them it writes where."""
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
    """itemgetter gives a tuple, but for one place its value."""
    if len(order) > 1:
        return itemgetter(*order)
    return lambda pieces: tuple([pieces[at] for at in order])
