"""What a reader sees of a message, as text to be searched: its header, its text parts decoded, markup as it
is shown, the names of attachments, and the documents inside an IHE_XDM.zip.

Invariants: never raises on what a peer wrote; linear in the message; at most SEARCH_TEXT_OCTETS_MAX octets of
the text parts are read, in pieces, and `step` is called between two pieces (it may raise, to end the work).
The pieces of one text follow each other, cut anywhere; END stands between two texts. PDF and pictures are not
read: reading formats so complex would open the server to attacks through them.
"""

from __future__ import annotations

import html
import re
from binascii import Error, a2b_base64, a2b_qp
from collections.abc import Callable, Iterator

from mssante.limits import SEARCH_TEXT_OCTETS_MAX, TEXT_DECODED_OCTETS_AT_ONCE, TEXT_PIECE_CHARACTERS
from mssante.mime import archive, encoded_words, header
from mssante.mime.content import Content
from mssante.mime.structure import Part

Step = Callable[[], None]
END = "\0"
_FOLDED = re.compile(rb"\r?\n(?=[ \t])")  # RFC 5322 §2.2.3: the CRLF goes, the blank after it stays
_HIDDEN = re.compile(r"(?is)<!--.*?(?:-->|\Z)|<(script|style)\b.*?(?:</\1\s*+>|\Z)|<!\[CDATA\[|\]\]>")
# These may stand inside a word without cutting it: f<b>ièv</b>re.
_INLINE = re.compile(
    r"(?i)</?+(?:a|abbr|b|bdo|big|cite|code|del|em|font|i|ins|mark|o:p|q|s|small|span|strong|sub|sup|tt|u|wbr)"
    r"(?:\s[^<>]*+)?+>"
)
_TAG = re.compile(r"<[^<>]*+>")
_VALUES = re.compile(r"""=\s*+(?:"([^"<>]++)"|'([^'<>]++)')""")
_DECLARED = re.compile(rb"""(?i)(?:encoding|charset)\s*+=\s*+["']?([a-z0-9_:.-]{1,40}+)""")


def of_header(block: bytes) -> Iterator[str]:
    """A header block line by line, unfolded, each with its value decoded by itself. Lines that are not fields
    come too."""
    for line in _FOLDED.sub(b"", block).split(b"\n"):
        if b"=?" in line or not line.isascii():
            name, colon, value = line.partition(b":")
            yield encoded_words.decode(name) + colon.decode() + encoded_words.decode(value)
        elif line != b"\r" and line:
            yield line.decode("ascii")


def of_body(content: bytes, root: Part, step: Step) -> Iterator[str]:
    """The text of a message's body: of each part its header (not the message's own), and what it shows."""
    return _Body(content, step).texts(root)


class _Body:
    def __init__(self, content: bytes, step: Step) -> None:
        self._content = content
        self._step = step
        self._room = SEARCH_TEXT_OCTETS_MAX

    def texts(self, root: Part) -> Iterator[str]:
        pending = [root]
        while pending:
            part = pending.pop()
            self._step()
            if part is not root:
                for text in of_header(self._slice(part.header_offset, part.header_octets)):
                    yield text
                    yield END
            yield from names(part.content)
            if part.children:
                pending.extend(reversed(part.children))
            else:
                yield from self._shown(part)

    def _slice(self, offset: int, octets: int) -> bytes:
        return self._content[offset : offset + octets]

    def _shown(self, part: Part) -> Iterator[str]:
        kind = part.content
        markup = _markup_of(kind)
        if archive.is_archive(kind):
            octets = self._decoded(part, part.body_octets)
            for name, inside in archive.texts(octets, octets_max=self._room):
                self._room -= len(inside)
                yield from self._pieces(inside, None, _MARKUP.get(name.rpartition(".")[2], shown_as_it_is))
        elif markup is not None:
            octets = self._decoded(part, min(part.body_octets, self._room))
            self._room -= min(part.body_octets, self._room)
            yield from self._pieces(octets, header.parameter(kind.parameters, b"charset"), markup)

    def _decoded(self, part: Part, most: int) -> bytes:
        body = self._slice(part.body_offset, most)
        match part.content.encoding:
            case b"quoted-printable":
                return a2b_qp(body)
            case b"base64":
                return self._from_base64(body)
            case _:
                return body

    def _from_base64(self, body: bytes) -> bytes:
        letters = body.translate(None, b"\r\n\t =")
        letters += b"=" * (-len(letters) % 4) if len(letters) % 4 != 1 else b"==="
        found = bytearray()
        for at in range(0, len(letters), TEXT_DECODED_OCTETS_AT_ONCE):
            self._step()
            try:
                found += a2b_base64(letters[at : at + TEXT_DECODED_OCTETS_AT_ONCE])
            except Error:
                return body
        return bytes(found)

    def _pieces(self, octets: bytes, charset: bytes | None, shown: Callable[[str], str]) -> Iterator[str]:
        edge = " " if shown is shown_as_it_is else "<"
        if edge == "<" and charset is None and (declared := _DECLARED.search(octets, 0, 1024)):
            charset = declared[1]
        for piece in _cut(encoded_words.text(octets, charset), edge):
            self._step()
            yield shown(piece)
        yield END


def shown_as_it_is(text: str) -> str:
    return text


def shown_by_html(text: str) -> str:
    """HTML without its tags, and without scripts and styles, which are not shown."""
    return html.unescape(_TAG.sub(" ", _INLINE.sub("", _HIDDEN.sub(" ", text))))


def shown_by_xml(text: str) -> str:
    """XML without its tags, then the attributes' values: a CDA has its codes and identifiers there."""
    values = " ".join(one or other for one, other in _VALUES.findall(text))
    return html.unescape(f"{_TAG.sub(' ', _HIDDEN.sub(' ', text))} {values} ")


_MARKUP = {"htm": shown_by_html, "html": shown_by_html, "xml": shown_by_xml}


def _markup_of(kind: Content) -> Callable[[str], str] | None:
    """How a part is shown; None when it is not a text."""
    if kind.subtype == b"xml" or kind.subtype.endswith(b"+xml"):
        return shown_by_html if kind.subtype == b"xhtml+xml" else shown_by_xml
    if kind.media != b"text":
        return None
    return shown_by_html if kind.subtype == b"html" else shown_as_it_is


def _cut(text: str, edge: str) -> Iterator[str]:
    """Pieces of about TEXT_PIECE_CHARACTERS characters, cut before an `edge` where there is one."""
    at = 0
    while at < len(text):
        cut = (
            text.rfind(edge, at + 1, at + TEXT_PIECE_CHARACTERS)
            if at + TEXT_PIECE_CHARACTERS < len(text)
            else -1
        )
        end = cut if cut > 0 else at + TEXT_PIECE_CHARACTERS
        yield text[at:end]
        at = end


def names(content: Content) -> Iterator[str]:
    """What the part is called, decoded, where its header alone would not show it (RFC 2231, RFC 2047)."""
    for parameters, name in ((content.disposition_parameters, b"filename"), (content.parameters, b"name")):
        for found, value in parameters:
            if found == name:
                yield encoded_words.decode(value)
                yield END
            elif found == name + b"*":
                yield encoded_words.extended(value)
                yield END
