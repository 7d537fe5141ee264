"""A message as SEARCH sees it: two folded texts, its header's and its body's.

Invariants: what FROM, SUBJECT, HEADER… find in a message is in its header's text, so TEXT finds it too; the
index is made of these texts and of nothing else. Whoever changes what they hold must raise WORDS_VERSION.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from mssante.limits import TEXT_PIECE_CHARACTERS
from mssante.mime import text
from mssante.mime.folding import fold
from mssante.mime.structure import scan
from mssante.mime.summary import Summary
from mssante.mime.text import END, Step

WORDS_VERSION = 1


@dataclass(frozen=True, slots=True)
class MessageText:
    """A message's folded texts. END stands between two texts that do not follow each other."""

    header: str = field(repr=False)
    body: str = field(repr=False)


def of_message(content: bytes, summary: Summary, step: Step) -> MessageText:
    """The texts of a message whose octets are `content`. `step` is called often, and may raise to end it."""
    root = scan(content).root
    block = content[root.header_offset : root.header_offset + root.header_octets]
    return MessageText(
        header=_folded(_of_header(block, summary), step),
        body=_folded(text.of_body(content, root, step), step),
    )


def _of_header(block: bytes, summary: Summary) -> Iterator[str]:
    for piece in text.of_header(block):
        yield piece
        yield END
    for piece in summary.texts:
        yield piece
        yield END


def _folded(pieces: Iterable[str], step: Step) -> str:
    """The same text as `fold` of all the pieces together."""
    folded: list[str] = []
    waiting: list[str] = []
    size = 0
    for piece in pieces:
        waiting.append(piece)
        size += len(piece)
        if size >= TEXT_PIECE_CHARACTERS:
            _add(folded, waiting)
            step()
            waiting, size = [], 0
    _add(folded, waiting)
    return "".join(folded)


def _add(folded: list[str], pieces: list[str]) -> None:
    added = fold("".join(pieces))
    if folded and folded[-1].endswith(" "):
        added = added.removeprefix(" ")
    if added:
        folded.append(added)
