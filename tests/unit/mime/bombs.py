"""Hostile messages (catalogue R10), each of about the size asked for. CRLF throughout."""

from __future__ import annotations

from collections.abc import Callable

from mssante import limits


def _filled(start: bytes, unit: bytes, size: int, end: bytes = b"") -> bytes:
    return start + unit * max(1, (size - len(start) - len(end)) // len(unit)) + end


def depth(size: int) -> bytes:
    levels = min(size // 80, 20_000)
    opened = b"".join(
        b'Content-Type: multipart/mixed; boundary="b%d"\r\n\r\n--b%d\r\n' % (level, level)
        for level in range(levels)
    )
    return _filled(opened + b"\r\n", b"x" * 76 + b"\r\n", size)


def messages_in_messages(size: int) -> bytes:
    return _filled(b"", b"Content-Type: message/rfc822\r\n\r\n", size)


def siblings(size: int) -> bytes:
    return _filled(
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n", b"--b\r\n\r\n\r\n", size, b"--b--\r\n"
    )


def digest(size: int) -> bytes:
    return _filled(
        b"Content-Type: multipart/digest; boundary=b\r\n\r\n", b"--b\r\n\r\nSubject: x\r\n\r\n", size
    )


def header_lines(size: int) -> bytes:
    return _filled(b"", b"A: b\r\n", size, b"\r\nbody\r\n")


def one_field(size: int) -> bytes:
    return _filled(b"Subject: x", b"\r\n y", size, b"\r\n\r\nbody\r\n")


def addresses(size: int) -> bytes:
    return _filled(b"To: a", b",b", size, b"\r\n\r\nbody\r\n")


def comments(size: int) -> bytes:
    return _filled(b"From: ", b"(", size, b"\r\n\r\nbody\r\n")


def parameters(size: int) -> bytes:
    fields = b"".join(b"; name*%d*=utf-8''x" % (n % 1000) for n in range(size // 20))
    return b"Content-Type: text/plain" + fields + b"\r\n\r\nbody\r\n"


def parameter_without_value(size: int) -> bytes:
    return _filled(b"Content-Type: text/plain; ", b"a", size, b"\r\n\r\nbody\r\n")


def encoded_words(size: int) -> bytes:
    return _filled(b"Subject: ", b"=?utf-8?q?=C3=A9?= ", size, b"\r\n\r\nbody\r\n")


def near_encoded_words(size: int) -> bytes:
    return _filled(b"Subject: ", b"=?a?b?", size, b"\r\n\r\nbody\r\n")


def false_delimiters(size: int) -> bytes:
    return _filled(b"Content-Type: multipart/mixed; boundary=b\r\n\r\n", b"--c\r\n", size)


def false_delimiters_in_header(size: int) -> bytes:
    return _filled(b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n", b"--c\r\n", size)


def like_boundaries(size: int) -> bytes:
    """Fifty boundaries open at once that differ in their last octets, then lines that differ there too."""
    names = [b"n" * 197 + b"%03d" % n for n in range(50)]
    opened = b"".join(b"Content-Type: multipart/mixed; boundary=%b\r\n\r\n--%b\r\n" % (n, n) for n in names)
    return _filled(opened + b"\r\n", b"--" + b"n" * 197 + b"999\r\n", size)


def reopened(size: int) -> bytes:
    """Multiparts that open and close as fast as can be written."""
    inner = b"--b\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n--c\r\n\r\nx\r\n--c--\r\n"
    return _filled(b"Content-Type: multipart/mixed; boundary=b\r\n\r\n", inner, size, b"--b--\r\n")


def rich_parts(size: int) -> bytes:
    """Parts whose headers are as large as their rendering can be."""
    part = b"--b\r\nContent-Type: message/rfc822\r\n\r\nTo: a" + b",b" * 400 + b"\r\n\r\nx\r\n"
    return _filled(b"Content-Type: multipart/mixed; boundary=b\r\n\r\n", part, size)


def quotes(size: int) -> bytes:
    return _filled(b"To: ", b'"\\', size, b"\r\n\r\nbody\r\n")


def short_lines(size: int) -> bytes:
    return _filled(b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\n", b"\r\n", size)


def groups(size: int) -> bytes:
    return _filled(b"To: ", b"a:", size, b"\r\n\r\nbody\r\n")


def groups_in_messages(size: int) -> bytes:
    """Messages in messages, each with as much of an address field that never ends as it can have."""
    to = b"a:" * (min(size, limits.MIB) // 100)
    opened = (b"Content-Type: message/rfc822\r\nTo: " + to + b"\r\n\r\n") * 49
    return _filled(opened, b"x" * 76 + b"\r\n", size)


def groups_in_sibling_messages(size: int) -> bytes:
    part = b"--b\r\nContent-Type: message/rfc822\r\n\r\nTo: " + b"a:" * 1000 + b"\r\n\r\nx\r\n"
    return _filled(b"Content-Type: multipart/mixed; boundary=b\r\n\r\n", part, size)


def comments_of_a_part(size: int) -> bytes:
    """Comments in each field of a header that may have them."""
    comment = b"(" * (min(size, 200 * limits.KIB) // 4)
    names = (b"Type", b"Disposition", b"Language", b"Transfer-Encoding")
    head = b"".join(b"Content-%b: a %b\r\n" % (name, comment) for name in names)
    return _filled(head + b"\r\n", b"x" * 76 + b"\r\n", size)


def encoded_names(size: int) -> bytes:
    address = b", =?utf-8?q?=C3=A9?= =?utf-8?b?w6k=?= <a@b.fr>"
    return _filled(b"To: x@y.fr", address, size, b"\r\n\r\nbody\r\n")


BOMBS: tuple[Callable[[int], bytes], ...] = (
    depth,
    messages_in_messages,
    siblings,
    digest,
    header_lines,
    one_field,
    addresses,
    comments,
    parameters,
    parameter_without_value,
    encoded_words,
    near_encoded_words,
    false_delimiters,
    false_delimiters_in_header,
    like_boundaries,
    reopened,
    rich_parts,
    quotes,
    short_lines,
    groups,
    groups_in_messages,
    groups_in_sibling_messages,
    comments_of_a_part,
    encoded_names,
)
