"""Nested values as one run of octets: their shape first, then the values one after another.

A tree is a sequence of octets, numbers, None and further sequences. Its shape has `s` for octets, `n` for a
number, `-` for None, and `(`…`)` around a sequence. The shape begins with `=` when all octets are printable
US-ASCII without quotation marks and backslashes, else with `~`. The shape of a letter's envelope is, for
example, `=ss((s-ss))()()((s-ss))()()-s`. The letters of a mailbox have few different shapes, so whoever
writes them out prepares each shape once and then only fills it in.

Invariants: values stay as they were, except that NUL, which separates them here, is removed from them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NewType

from mssante.reasons import Reason, Refused

Packed = NewType("Packed", bytes)
Tree = tuple[Any, ...]  # of bytes, int, None and trees

SEPARATOR = b"\0"
PLAIN, OTHER = b"=", b"~"
_PLAIN_OCTETS = SEPARATOR + bytes(octet for octet in range(32, 127) if octet not in b'"\\')
_VALUE_OCTETS_MIN = 3  # an empty value, written out: quotes and a space
_NEVER = 1 << 62


class TooLarge(Exception):
    """A tree larger than its bound. No honest message has one."""


def pack(tree: Iterable[Any], *, octets_max: int | None = None) -> Packed:
    """Packs a tree. `octets_max` is about what it may take when it is written out; raises TooLarge as soon as
    it is known to take more. A sequence may be an iterator, so that a tree need not be made in full before it
    is found too large."""
    shape: list[str] = []
    values: list[bytes] = []
    _lay(tree, shape, values, len_max=_NEVER if octets_max is None else octets_max // _VALUE_OCTETS_MIN)
    laid = "".join(shape).encode("ascii")
    run = SEPARATOR.join([laid, *values])
    if run.count(SEPARATOR) != len(values):
        run = SEPARATOR.join([laid, *[value.replace(SEPARATOR, b"") for value in values]])
    run = (OTHER if run.translate(None, _PLAIN_OCTETS) else PLAIN) + run
    if octets_max is not None:
        # Quotes around the values, something before each quote within them, a word for None.
        written = len(run) + 2 * laid.count(b"-") + run.count(b'"') + run.count(b"\\")
        if written > octets_max:
            raise TooLarge
    return Packed(run)


def unpack(packed: Packed) -> Tree:
    """Raises Refused(CORRUPTION)."""
    shape, *values = packed.split(SEPARATOR)
    return filled(shape, values)


def filled(shape: bytes, values: Sequence[bytes]) -> Tree:
    """The tree of that shape with these values in it, in order. Raises Refused(CORRUPTION)."""
    rows: list[list[Any]] = [[]]
    left = iter(values)
    try:
        if shape[:1] not in (PLAIN, OTHER):
            raise ValueError(shape[:1])
        for kind in shape[1:].decode("ascii"):
            match kind:
                case "s":
                    rows[-1].append(next(left))
                case "n":
                    rows[-1].append(int(next(left)))
                case "-":
                    rows[-1].append(None)
                case "(":
                    rows.append([])
                case ")":
                    row = tuple(rows.pop())
                    rows[-1].append(row)
                case _:
                    raise ValueError(kind)
        (tree,) = rows
    except (ValueError, IndexError, StopIteration) as error:
        raise Refused(Reason.CORRUPTION, "packed values: not readable") from error
    return tuple(tree)


def _lay(tree: Iterable[Any], shape: list[str], values: list[bytes], *, len_max: int) -> None:
    # Recursion is bounded: the scanner opens no more than MIME_DEPTH_MAX parts inside one another.
    for each in tree:
        if each is None:
            shape.append("-")
        elif isinstance(each, bytes):
            shape.append("s")
            values.append(each)
        elif isinstance(each, int):
            shape.append("n")
            values.append(b"%d" % each)
        elif each:
            shape.append("(")
            _lay(each, shape, values, len_max=len_max)
            shape.append(")")
        else:
            shape.append("()")
    if len(values) > len_max:
        raise TooLarge
