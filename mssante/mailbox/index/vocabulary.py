"""Which of up to 256 messages hold a needle: their words, laid out as one segment of the index.

SEARCH asks for a part of a text, not for words: `dup` must find Dupont, and one letter must find what holds
it. A list of whole words with the messages of each would not answer that, and one of all their pieces of
three letters says nothing of shorter needles. So a segment keeps every word of its messages once, one behind
the other in one long piece of octets, and looks through these for the needle. That is quick, because the
different words of 256 letters take few octets compared with their texts.

Texts are folded (`mime.folding`), and a word is what stands between two blanks of a folded text. From that
follows what a segment can decide:

- A needle without a blank is in a text exactly if it is in one of the text's words. What is found decides,
  whatever the needle's length, and no message is opened to make sure.
- A needle with blanks is in a text only if the part before a blank ends a word, the part behind it begins
  one, and what stands between two blanks is a whole word. The segment finds the messages that have such
  words, but not whether the words follow each other: those messages must be opened. (`Needle.exact`)

Words of the headers and of the bodies are kept apart, since a search may ask for either. Of each, the words
that one message alone has (names, numbers, identifiers) lie together message by message, so the place where
one is found tells whose it is. The others lie once, those of the most messages first, so that a search ends
early when all are found; beside each are the places of its messages, as single octets or as a map of bits.
An edge stands before every word, and behind the last: a pattern that begins or ends with an edge is found
only where a word begins or ends.

Invariants: pure; what is found is what a look through the texts would find; a message with more than
INDEX_WORDS_OCTETS_MAX of words is opaque: the index never decides about it, and a search always opens it.
"""

from __future__ import annotations

import struct
import sys
from array import array
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate

from mssante.limits import INDEX_WORDS_OCTETS_MAX

MESSAGES_MAX = 256  # a place is one octet
_FORMAT = 1
_HEAD = struct.Struct("<BBH")
_SIZES = struct.Struct("<4I")
_MAP_OCTETS = MESSAGES_MAX // 8  # from so many places on, a map of bits
_STRIDE = 16  # every so many words, where they and their places begin
_BLANK, _EDGE = " ", b"\n"


class OtherVersion(Exception):
    """The octets are a segment that this version does not read: it must be made again."""


@dataclass(frozen=True, slots=True)
class MessageWords:
    """The words of one message that are indexed. Both are None when the message is opaque."""

    number: int
    header: frozenset[bytes] | None = field(repr=False)
    body: frozenset[bytes] | None = field(repr=False)

    @classmethod
    def of(cls, number: int, header: str, body: str) -> MessageWords:
        """`header` and `body`: folded texts (mailbox.index.texts)."""
        octets = [_octets(text) for text in (header, body)]
        split = [frozenset(each.replace(b"\0", b" ").split()) for each in octets]
        # A short text cannot hold too many words. The sum is slow, so it is made for long texts only.
        if sum(map(len, octets)) > INDEX_WORDS_OCTETS_MAX and _size(split) > INDEX_WORDS_OCTETS_MAX:
            return cls(number, None, None)
        return cls(number, *split)


def _size(words: Sequence[frozenset[bytes]]) -> int:
    return sum(len(word) + 1 for each in words for word in each)


@dataclass(frozen=True, slots=True)
class Needle:
    """A folded needle, as `Segment.find` looks for it. `exact`: a message that is found holds the needle, and
    need not be opened to make sure."""

    patterns: tuple[bytes, ...] = field(repr=False)
    exact: bool

    @classmethod
    def of(cls, folded: str) -> Needle:
        """Of a needle that is not empty."""
        parts = _octets(folded.replace("\0", _BLANK)).split(b" ")
        last = len(parts) - 1
        edged = ((_EDGE * (n > 0), part, _EDGE * (n < last)) for n, part in enumerate(parts) if part)
        return cls(tuple(map(b"".join, edged)), exact=last == 0)


class _Area:
    """The words of the headers, or of the bodies, of a segment's messages."""

    __slots__ = ("_lengths", "_marks", "_own", "_place_marks", "_places", "_shared", "_starts")

    def __init__(self, octets: bytes, at: int, count: int) -> None:
        own, shared, words, places = _SIZES.unpack_from(octets, at)
        cut = _Cut(octets, at + _SIZES.size)
        marks = -(-words // _STRIDE)
        self._starts = cut.numbers("I", count + 1)
        self._marks = cut.numbers("I", marks)
        self._place_marks = cut.numbers("I", marks)
        self._lengths = cut.octets(words)
        self._own = cut.octets(own)
        self._shared = cut.octets(shared)
        self._places = cut.octets(places)

    @staticmethod
    def size(octets: bytes, at: int, count: int) -> int:
        own, shared, words, places = _SIZES.unpack_from(octets, at)
        size: int = _SIZES.size + 4 * (count + 1) + 8 * -(-words // _STRIDE) + words + own + shared + places
        return size

    def find(self, pattern: bytes) -> int:
        """The places whose words hold `pattern`, as bits."""
        found, everybody = 0, (1 << len(self._starts) - 1) - 1
        shared = self._shared
        at = shared.find(pattern)
        while at >= 0 and found != everybody:
            found |= self._places_of(self._word_at(at))
            at = shared.find(pattern, shared.find(_EDGE, at + 1))
        own, starts = self._own, self._starts
        at = own.find(pattern)
        while at >= 0 and found != everybody:
            place = bisect_right(starts, at) - 1
            found |= 1 << place
            at = own.find(pattern, starts[place + 1])
        return found

    def words(self) -> list[set[bytes]]:
        """Each place's words."""
        starts = self._starts
        found = [set(self._own[starts[n] : starts[n + 1]].split()) for n in range(len(starts) - 1)]
        for number, word in enumerate(self._shared.split()):
            for place in _bits(self._places_of(number)):
                found[place].add(word)
        return found

    def _word_at(self, at: int) -> int:
        """The number of the shared word at an offset, the edge before it included."""
        mark = bisect_right(self._marks, at) - 1
        return mark * _STRIDE + self._shared.count(_EDGE, self._marks[mark], at + 1) - 1

    def _places_of(self, word: int) -> int:
        mark = word // _STRIDE
        at = self._place_marks[mark] + sum(self._lengths[mark * _STRIDE : word])
        places = self._places[at : at + self._lengths[word]]
        if len(places) == _MAP_OCTETS:
            return int.from_bytes(places, "little")
        return sum(1 << place for place in places)


class Segment:
    """A segment read. `numbers`: its messages, place by place."""

    def __init__(self, octets: bytes, version: int) -> None:
        """`version` is that of the texts (texts.WORDS_VERSION). Raises OtherVersion."""
        kind, texts, count = _HEAD.unpack_from(octets)
        if (kind, texts) != (_FORMAT, version):
            raise OtherVersion
        cut = _Cut(octets, _HEAD.size)
        self.numbers = cut.numbers("Q", count)
        self._opaque = int.from_bytes(cut.octets(_MAP_OCTETS), "little")
        self._header = _Area(octets, cut.at, count)
        self._body = _Area(octets, cut.at + _Area.size(octets, cut.at, count), count)

    def find(self, needle: Needle, *, header: bool, body: bool) -> tuple[int, int]:
        """(places that hold `needle`, places that may hold it), as bits. No place is in both. The needle is
        looked for in the words of the headers, of the bodies, or of both."""
        found = 0
        for area, wanted in ((self._header, header), (self._body, body)):
            if wanted:
                found |= self._in(area, needle)
        found &= ~self._opaque
        return (found, self._opaque) if needle.exact else (0, found | self._opaque)

    def _in(self, area: _Area, needle: Needle) -> int:
        found = (1 << len(self.numbers)) - 1
        for pattern in needle.patterns:
            if found:
                found &= area.find(pattern)
        return found

    def numbers_at(self, places: int) -> list[int]:
        """The messages at these places."""
        return [self.numbers[place] for place in _bits(places)]

    def words(self) -> list[MessageWords]:
        """The words that the segment was made of."""
        return [
            MessageWords(number, None, None)
            if self._opaque >> place & 1
            else MessageWords(number, frozenset(header), frozenset(body))
            for place, (number, header, body) in enumerate(
                zip(self.numbers, self._header.words(), self._body.words(), strict=True)
            )
        ]


def laid_out(messages: Sequence[MessageWords], version: int) -> bytes:
    """A segment of at most MESSAGES_MAX messages."""
    assert len(messages) <= MESSAGES_MAX
    opaque = sum(1 << place for place, each in enumerate(messages) if each.header is None)
    return b"".join(
        (
            _HEAD.pack(_FORMAT, version, len(messages)),
            _packed("Q", [each.number for each in messages]),
            opaque.to_bytes(_MAP_OCTETS, "little"),
            _area([each.header or frozenset() for each in messages]),
            _area([each.body or frozenset() for each in messages]),
        )
    )


def _area(words: Sequence[frozenset[bytes]]) -> bytes:
    places: dict[bytes, list[int]] = {}
    for place, of_message in enumerate(words):
        for word in of_message:
            places.setdefault(word, []).append(place)
    own = [b"".join(_EDGE + word for word in sorted(each) if len(places[word]) == 1) for each in words]
    shared = sorted((word for word, at in places.items() if len(at) > 1), key=lambda word: -len(places[word]))
    kept = [_placed(places[word]) for word in shared]
    offsets = list(accumulate((len(word) + 1 for word in shared), initial=0))[: len(shared)]
    place_offsets = list(accumulate(map(len, kept), initial=0))[: len(kept)]
    texts = b"".join(own) + _EDGE, b"".join(_EDGE + word for word in shared) + _EDGE, b"".join(kept)
    return b"".join(
        (
            _SIZES.pack(len(texts[0]), len(texts[1]), len(shared), len(texts[2])),
            _packed("I", list(accumulate(map(len, own), initial=0))),
            _packed("I", offsets[::_STRIDE]),
            _packed("I", place_offsets[::_STRIDE]),
            bytes(map(len, kept)),
            *texts,
        )
    )


def _placed(places: Sequence[int]) -> bytes:
    if len(places) < _MAP_OCTETS:
        return bytes(places)
    return sum(1 << place for place in places).to_bytes(_MAP_OCTETS, "little")


def _bits(places: int) -> list[int]:
    found = []
    while places:
        lowest = places & -places
        found.append(lowest.bit_length() - 1)
        places ^= lowest
    return found


def _octets(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _packed(kind: str, numbers: Sequence[int]) -> bytes:
    packed = array(kind, numbers)
    if sys.byteorder == "big":
        packed.byteswap()
    return packed.tobytes()


class _Cut:
    """Takes one piece after another."""

    def __init__(self, octets: bytes, at: int) -> None:
        self._octets = octets
        self.at = at

    def octets(self, size: int) -> bytes:
        self.at += size
        return self._octets[self.at - size : self.at]

    def numbers(self, kind: str, count: int) -> array[int]:
        found = array(kind)
        found.frombytes(self.octets(count * found.itemsize))
        if sys.byteorder == "big":
            found.byteswap()
        return found
