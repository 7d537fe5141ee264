"""The grammar of SEARCH (RFC 3501 §9, RFC 4466 §2.6), shared by SORT and THREAD.

Invariants: more than IMAP_SEARCH_KEYS_MAX keys or IMAP_NESTING_MAX levels are refused while they are read;
texts are decoded from the query's charset.
"""

from __future__ import annotations

from mssante.flags import RECENT
from mssante.imap.grammar.flags import parse_keyword
from mssante.imap.grammar.lexer import Beyond, Cursor, Unacceptable
from mssante.imap.grammar.search import (
    All,
    And,
    Changed,
    Dated,
    Flagged,
    HasField,
    HasKeyword,
    Identified,
    Key,
    Not,
    Numbers,
    Or,
    Query,
    Result,
    Saved,
    Sized,
    Text,
    When,
    Within,
)
from mssante.imap.grammar.sets import parse as parse_set
from mssante.limits import IMAP_NESTING_MAX, IMAP_SEARCH_KEYS_MAX
from mssante.model import Flag

# The names are those told in [BADCHARSET (...)]; the values are Python codecs.
CHARSETS = {
    "UTF-8": "utf-8",
    "US-ASCII": "ascii",
    "ISO-8859-1": "latin-1",
    "ISO-8859-15": "iso8859-15",
    "WINDOWS-1252": "cp1252",
    "UTF-16": "utf-16",
    "UTF-16BE": "utf-16-be",
    "UTF-16LE": "utf-16-le",
}
_ALIASES = {"UTF8": "UTF-8", "ASCII": "US-ASCII", "LATIN1": "ISO-8859-1", "CP1252": "WINDOWS-1252"}

_NEW = And((Flagged(RECENT, True), Flagged(Flag.SEEN.value, False)))
_CONSTANT: dict[str, Key] = {
    "ALL": All(),
    "RECENT": Flagged(RECENT, True),
    "OLD": Flagged(RECENT, False),
    "NEW": _NEW,
    "SAVEDATESUPPORTED": All(),
    **{flag.name: Flagged(flag.value, True) for flag in Flag},
    **{f"UN{flag.name}": Flagged(flag.value, False) for flag in Flag},
}
_DATED = {
    **{when.value: (when, False) for when in When},
    **{f"SENT{when.value}": (when, True) for when in When},
}
_SAVED = {f"SAVED{when.value}": when for when in When}
_FIELDS = ("FROM", "TO", "CC", "BCC", "SUBJECT")
_RESULTS = {result.value: result for result in Result}


def parse(cursor: Cursor) -> Query:
    """Reads `[RETURN (...)] [CHARSET x] key...`; the cursor stands after the command's name."""
    cursor.space()
    results = take_results(cursor)
    charset = None
    try:
        if cursor.take(b"CHARSET "):
            charset = _charset(cursor)
            cursor.space()
        return Query(_KeyReader(cursor, charset).keys(depth=1), results)
    except Unacceptable as refusal:
        # RFC 5182 §2.1: a SEARCH that would have saved, and fails with NO, leaves nothing saved.
        refusal.unsaves = refusal.status == "NO" and results is not None and Result.SAVE in results
        raise


def parse_criteria(cursor: Cursor) -> Key:
    """RFC 5256 §5 search-criteria: a charset, which is obligatory here, and then keys."""
    charset = _charset(cursor)
    cursor.space()
    return _KeyReader(cursor, charset).keys(depth=1)


def take_results(cursor: Cursor) -> frozenset[Result] | None:
    """`RETURN (...)` and the space behind it, if they stand here."""
    if not cursor.take(b"RETURN "):
        return None
    results = _results(cursor)
    cursor.space()
    return results


def _results(cursor: Cursor) -> frozenset[Result]:
    cursor.expect(b"(")
    if cursor.take(b")"):
        return frozenset({Result.ALL})  # RFC 4731 §3.1: no option means ALL.
    found = set()
    while True:
        result = _RESULTS.get(cursor.word())
        if result is None:
            raise Unacceptable("Unknown SEARCH result option")
        found.add(result)
        if not cursor.take(b" "):
            cursor.expect(b")")
            return frozenset(found)


def _charset(cursor: Cursor) -> str:
    name = cursor.astring().decode("ascii", "replace").upper()
    codec = CHARSETS.get(_ALIASES.get(name, name))
    if codec is None:
        raise Unacceptable(
            "Jeu de caracteres inconnu: employez UTF-8 / Unknown charset: use UTF-8",
            status="NO",
            code=f"BADCHARSET ({' '.join(CHARSETS)})",
        )
    return codec


def _text(octets: bytes, codec: str | None) -> str:
    if codec is None:
        # Without a charset the RFC means US-ASCII, but clients send UTF-8. What is not UTF-8 is read as
        # Latin-1, in which all octets are valid.
        try:
            return octets.decode("utf-8")
        except UnicodeDecodeError:
            return octets.decode("latin-1")
    if codec == "utf-16" and octets[:2] not in (b"\xff\xfe", b"\xfe\xff"):
        codec = "utf-16-be"  # RFC 2781 §4.3: without a byte order mark, UTF-16 is big-endian.
    try:
        return octets.decode(codec)
    except UnicodeDecodeError:
        raise Unacceptable("A search string is not in its charset") from None


class _KeyReader:
    """Reads search keys at the cursor, and counts them."""

    def __init__(self, cursor: Cursor, codec: str | None) -> None:
        self._cursor = cursor
        self._codec = codec
        self._count = 0

    def keys(self, *, depth: int) -> Key:
        """Keys separated by spaces, all of which must hold."""
        found = [self._key(depth)]
        while self._cursor.take(b" "):
            found.append(self._key(depth))
        return found[0] if len(found) == 1 else And(tuple(found))

    def _key(self, depth: int) -> Key:
        cursor = self._cursor
        self._count += 1
        if self._count > IMAP_SEARCH_KEYS_MAX:
            raise Beyond("Trop de criteres de recherche / Too many search keys")
        if depth > IMAP_NESTING_MAX:
            raise Unacceptable("Search keys are nested too deep")
        if cursor.take(b"("):
            key = self.keys(depth=depth + 1)
            cursor.expect(b")")
            return key
        if cursor.peek() in b"0123456789*$" and cursor.peek():
            return Numbers(parse_set(cursor), uid=False)
        return self._named(cursor.word(), depth)

    def _named(self, name: str, depth: int) -> Key:
        constant = _CONSTANT.get(name)
        if constant is not None:
            return constant
        cursor = self._cursor
        cursor.space()
        if name == "NOT":
            return Not(self._key(depth + 1))
        if name == "OR":
            either = self._key(depth + 1)
            cursor.space()
            return Or(either, self._key(depth + 1))
        return self._leaf(name)

    def _leaf(self, name: str) -> Key:
        cursor = self._cursor
        if name in _FIELDS:
            return HasField(name.lower(), self._string())
        if name in _DATED:
            when, sent = _DATED[name]
            return Dated(when, cursor.date(), sent)
        if name in _SAVED:
            return Saved(_SAVED[name], cursor.date())
        match name:
            case "MODSEQ":
                return Changed(self._modseq())
            case "EMAILID" | "THREADID":
                found = Identified(cursor.atom())
                # RFC 8474 §5.2: we tell no THREADID, so a search for one matches no message.
                return found if name == "EMAILID" else Not(All())
            case "UID":
                return Numbers(parse_set(cursor), uid=True)
            case "HEADER":
                field = cursor.astring().decode("ascii", "replace").lower()
                cursor.space()
                return HasField(field, self._string())
            case "TEXT" | "BODY":
                return Text(self._string(), header=name == "TEXT")
            case "KEYWORD" | "UNKEYWORD":
                return HasKeyword(parse_keyword(cursor), present=name == "KEYWORD")
            case "LARGER" | "SMALLER":
                return Sized(cursor.number64(), larger=name == "LARGER")
            case "YOUNGER" | "OLDER":
                return Within(cursor.nz_number(), younger=name == "YOUNGER")
            case _:
                raise Unacceptable("Unknown search key")

    def _modseq(self) -> int:
        """RFC 7162 §3.1.5: a message has one mod-sequence, not one for each flag. So the name and type of an
        entry are read, and MUST be ignored."""
        cursor = self._cursor
        if cursor.peek() == b'"':
            if not cursor.string().lower().startswith(b"/flags/"):
                raise Unacceptable("Not the name of a flag's entry")
            cursor.space()
            if cursor.word() not in ("PRIV", "SHARED", "ALL"):
                raise Unacceptable("priv, shared or all")
            cursor.space()
        return cursor.number64()

    def _string(self) -> str:
        wide = self._codec is not None and self._codec.startswith("utf-16")
        return _text(self._cursor.astring(nul=wide), self._codec)
