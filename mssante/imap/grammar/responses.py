"""What the server says (RFC 3501 §7), as bytes ready for the socket.

Invariants: every response consists of whole lines, apart from the octets of a literal; names and texts are
written by `encode`, numbers by %d, codes by `code_*` or Code, and nothing else reaches the wire.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum

from mssante.imap.grammar import encode
from mssante.imap.grammar.flags import FlagWords
from mssante.imap.grammar.listing import ListRow, Selection, StatusItem
from mssante.imap.grammar.search import Result
from mssante.imap.grammar.sets import render
from mssante.model import DELIMITER


class ResponseStatus(StrEnum):
    """RFC 3501 §7.1."""

    OK = "OK"
    NO = "NO"
    BAD = "BAD"


class Code(StrEnum):
    """Response codes without arguments (RFC 3501 §7.1, RFC 5530 and as noted)."""

    ALERT = "ALERT"
    ALREADYEXISTS = "ALREADYEXISTS"
    AUTHENTICATIONFAILED = "AUTHENTICATIONFAILED"
    AUTHORIZATIONFAILED = "AUTHORIZATIONFAILED"
    CANNOT = "CANNOT"
    CLIENTBUG = "CLIENTBUG"
    CLOSED = "CLOSED"  # RFC 7162 §3.2.11
    CONTACTADMIN = "CONTACTADMIN"
    CORRUPTION = "CORRUPTION"
    EXPIRED = "EXPIRED"
    EXPUNGEISSUED = "EXPUNGEISSUED"
    HASCHILDREN = "HASCHILDREN"  # RFC 9051 §7.1
    LIMIT = "LIMIT"
    NONEXISTENT = "NONEXISTENT"
    NOPERM = "NOPERM"
    OVERQUOTA = "OVERQUOTA"
    PRIVACYREQUIRED = "PRIVACYREQUIRED"
    READ_ONLY = "READ-ONLY"
    READ_WRITE = "READ-WRITE"
    SERVERBUG = "SERVERBUG"
    TOOBIG = "TOOBIG"  # RFC 7889 §4
    TRYCREATE = "TRYCREATE"
    UNAVAILABLE = "UNAVAILABLE"
    USEATTR = "USEATTR"  # RFC 6154 §3


def code_uid_next(uid: int) -> str:
    return f"UIDNEXT {uid:d}"


def code_uid_validity(value: int) -> str:
    return f"UIDVALIDITY {value:d}"


def code_unseen(sequence: int) -> str:
    return f"UNSEEN {sequence:d}"


def code_highest_modseq(modseq: int) -> str:
    return f"HIGHESTMODSEQ {modseq:d}"


def code_modified(numbers: Iterable[int]) -> str:
    """RFC 7162 §3.1.3: sequence numbers or, for UID STORE, UIDs; ascending."""
    return f"MODIFIED {_set(numbers)}"


def code_permanent_flags(words: FlagWords, *, read_only: bool, may_add: bool = True) -> str:
    """RFC 3501 §7.1 PERMANENTFLAGS; `\\*` tells the client that it may create new keywords."""
    if read_only:
        return "PERMANENTFLAGS ()"
    flags = words.applicable.decode("ascii")
    return f"PERMANENTFLAGS ({flags} \\*)" if may_add else f"PERMANENTFLAGS ({flags})"


def code_append_uid(uid_validity: int, uids: Iterable[int]) -> str:
    """RFC 4315 §3; several UIDs after RFC 3502."""
    return f"APPENDUID {uid_validity:d} {_set(uids)}"


def code_copy_uid(uid_validity: int, sources: Sequence[int], targets: Sequence[int]) -> str:
    """RFC 4315 §3: `sources` and `targets` correspond one to one, both ascending."""
    return f"COPYUID {uid_validity:d} {_set(sources)} {_set(targets)}"


def code_mailbox_id(mailbox_id: str) -> str:
    """RFC 8474 §4.1."""
    return f"MAILBOXID {encode.object_id(mailbox_id).decode('ascii')}"


def code_capability(names: Iterable[str]) -> str:
    return f"CAPABILITY {' '.join(names)}"


def _set(numbers: Iterable[int]) -> str:
    return render(numbers).decode("ascii")


def tagged(tag: str, status: ResponseStatus, text: str, code: str | None = None) -> bytes:
    """The answer that ends a command. `tag` comes from an event of the wire, which has checked that it is a
    tag."""
    return b"%b %b\r\n" % (tag.encode("ascii"), _state(status, text, code))


def untagged(status: ResponseStatus, text: str, code: str | None = None) -> bytes:
    return b"* %b\r\n" % _state(status, text, code)


def greeting(text: str, capabilities: Iterable[str]) -> bytes:
    return untagged(ResponseStatus.OK, text, code_capability(capabilities))


def bye(text: str, code: str | None = None) -> bytes:
    """RFC 3501 §7.1.5: the connection closes."""
    return b"* BYE %b\r\n" % _text(text, code)


def continuation(text: str = "OK") -> bytes:
    """RFC 3501 §7.5: the client may go on."""
    return b"+ %b\r\n" % encode.human_text(text)


def challenge(base64: bytes) -> bytes:
    """A SASL challenge, already in base64; empty for the first step of PLAIN."""
    return b"+ %b\r\n" % base64


def _state(status: ResponseStatus, text: str, code: str | None) -> bytes:
    return b"%b %b" % (status.value.encode("ascii"), _text(text, code))


def _text(text: str, code: str | None) -> bytes:
    human = encode.human_text(text)
    if not code:
        return human
    return b"[%b] %b" % (code.replace("]", "?").encode("ascii", "replace"), human)


def capability(names: Iterable[str]) -> bytes:
    return b"* CAPABILITY %b\r\n" % " ".join(names).encode("ascii")


def enabled(names: Iterable[str]) -> bytes:
    """RFC 5161 §3.2: names what was enabled; the response is sent even if that is nothing."""
    return b"%b\r\n" % " ".join(["* ENABLED", *names]).encode("ascii")


def identity(parameters: Mapping[str, str]) -> bytes:
    """RFC 2971 §3.1; NIL for none."""
    if not parameters:
        return b"* ID NIL\r\n"
    words = [encode.string(word.encode("utf-8")) for pair in parameters.items() for word in pair]
    return b"* ID (%b)\r\n" % b" ".join(words)


def namespace() -> bytes:
    """RFC 2342: one personal namespace without prefix, nothing else."""
    return b'* NAMESPACE (("" "%b")) NIL NIL\r\n' % DELIMITER.encode("ascii")


def listed(rows: Iterable[ListRow], *, verb: bytes = b"LIST", utf8: bool = False) -> bytes:
    """LIST (or LSUB) responses."""
    delimiter = DELIMITER.encode("ascii")
    lines = []
    for row in rows:
        attributes = " ".join(row.attributes).encode("ascii")
        line = b'* %b (%b) "%b" %b' % (verb, attributes, delimiter, encode.mailbox(row.name, utf8=utf8))
        if row.child_subscribed:
            line += b' ("CHILDINFO" ("%b"))' % Selection.SUBSCRIBED.value.encode("ascii")
        if row.old_name is not None:
            line += b' ("OLDNAME" (%b))' % encode.mailbox(row.old_name, utf8=utf8)
        lines.append(line + b"\r\n")
    return b"".join(lines)


def status(mailbox: str, values: Mapping[StatusItem, int | bytes], *, utf8: bool = False) -> bytes:
    """The STATUS response; a value is a number, or octets that `encode` has made."""
    pairs = b" ".join(
        b"%b %b" % (item.value.encode("ascii"), value if isinstance(value, bytes) else b"%d" % value)
        for item, value in values.items()
    )
    return b"* STATUS %b (%b)\r\n" % (encode.mailbox(mailbox, utf8=utf8), pairs)


def flags(words: FlagWords) -> bytes:
    return b"* FLAGS (%b)\r\n" % words.applicable


def exists(count: int) -> bytes:
    return b"* %d EXISTS\r\n" % count


def recent(count: int) -> bytes:
    return b"* %d RECENT\r\n" % count


def expunge(sequence: int) -> bytes:
    return b"* %d EXPUNGE\r\n" % sequence


def vanished(uids: Iterable[int], *, earlier: bool = False) -> bytes:
    """RFC 7162 §3.2.10; `uids` ascending. No response at all when there are none."""
    known = render(uids)
    return b"* VANISHED %b%b\r\n" % (b"(EARLIER) " if earlier else b"", known) if known else b""


def search(numbers: Sequence[int], *, modseq: int | None = None) -> bytes:
    """RFC 3501 §7.2.5; `modseq` after RFC 7162 §3.1.6."""
    if not numbers:
        return b"* SEARCH\r\n"
    found = " ".join(map(str, numbers)).encode("ascii")
    return b"* SEARCH %b%b\r\n" % (found, b"" if modseq is None else b" (MODSEQ %d)" % modseq)


def esearch(
    tag: str, numbers: Sequence[int], results: frozenset[Result], *, uid: bool, modseq: int | None = None
) -> bytes:
    """RFC 4731 §3.1; `numbers` are ascending or, for a SORT, in the order it asked for (RFC 5267 §3.1). MIN,
    MAX, ALL and MODSEQ are left out when nothing was found."""
    pieces = [b'* ESEARCH (TAG "%b")' % tag.encode("ascii")]  # a tag cannot hold a quote
    if uid:
        pieces.append(b"UID")
    if numbers:
        if Result.MIN in results:
            pieces.append(b"MIN %d" % numbers[0])
        if Result.MAX in results:
            pieces.append(b"MAX %d" % numbers[-1])
        if Result.ALL in results:
            pieces.append(b"ALL " + render(numbers))
    if Result.COUNT in results:
        pieces.append(b"COUNT %d" % len(numbers))
    if numbers and modseq is not None:
        pieces.append(b"MODSEQ %d" % modseq)
    return b" ".join(pieces) + b"\r\n"


def sort(numbers: Sequence[int], *, modseq: int | None = None) -> bytes:
    """RFC 5256 §4; with the highest mod-sequence where the client asked for it (RFC 7162 §7)."""
    line = " ".join(["* SORT", *map(str, numbers)])
    if numbers and modseq is not None:
        line += f" (MODSEQ {modseq:d})"
    return line.encode("ascii") + b"\r\n"


def thread(threads: bytes) -> bytes:
    """RFC 5256 §4; `threads` as `Forest.render` writes them."""
    return b"* THREAD %b\r\n" % threads if threads else b"* THREAD\r\n"


def quota(root: str, resources: Mapping[str, tuple[int, int]]) -> bytes:
    """RFC 9208 §4.2.1: resource name to usage and limit (STORAGE in units of 1024 octets)."""
    triples = " ".join(f"{name} {used:d} {limit:d}" for name, (used, limit) in resources.items())
    return b"* QUOTA %b (%b)\r\n" % (encode.string(root.encode("utf-8")), triples.encode("ascii"))


def quota_root(mailbox: str, roots: Iterable[str], *, utf8: bool = False) -> bytes:
    """RFC 9208 §4.2.2."""
    words = [encode.mailbox(mailbox, utf8=utf8), *(encode.string(root.encode("utf-8")) for root in roots)]
    return b"* QUOTAROOT %b\r\n" % b" ".join(words)
