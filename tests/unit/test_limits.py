"""Every bound stands in mssante/limits.py with its reason, and in no other module.

What counts as a bound: a number (or a timedelta) given to an upper-case name at the top of a module, when the
name has a word of `BOUND_WORDS` in it. A value made of names alone is none, such as
`timedelta(days=limits.QUEUE_DAYS_MAX)`: its number stands in limits.py.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "mssante"
LIMITS = PACKAGE / "limits.py"
BOUND_WORDS = {
    *(
        "MAX",
        "MIN",
        "MS",
        "SECONDS",
        "MINUTES",
        "HOURS",
        "DAYS",
        "OCTETS",
        "BYTES",
        "KIB",
        "MIB",
        "CHARACTERS",
    ),
    *("ONCE", "PER", "TRIES", "BATCH", "STEP", "SLICE", "AGE", "LEASE", "TIMEOUT", "LIFETIME", "REMEMBERED"),
}
REASON_WORDS_MIN = 2
UNITS = {"KIB", "MIB"}

# What has such a name and is no bound of ours: nobody could choose it otherwise.
FIXED = {
    "mssante/crypto/envelope.py": {
        "_MLKEM768_PUBLIC_OCTETS": "FIPS 203 fixes it",
        "_X25519_OCTETS": "RFC 7748 fixes it",
    },
    "mssante/crypto/keys.py": {
        "KEY_OCTETS": "AES-256",
        "ID_OCTETS": "the stored format: identifiers of 16 octets",
        "NONCE_OCTETS": "AES-GCM",
        "TAG_OCTETS": "AES-GCM",
    },
    "mssante/crypto/passwords.py": {
        "_SALT_OCTETS": "the stored format of a password's hash",
        "_HASH_OCTETS": "the stored format of a password's hash",
    },
    "mssante/crypto/statement.py": {"_SIGNATURE_OCTETS": "Ed25519"},
    "mssante/crypto/stream.py": {"_CHUNKS_MAX": "the stored format: a counter of 32 bits"},
    "mssante/imap/grammar/lexer.py": {"NUMBER_MAX": "RFC 3501 §9: unsigned 32 bits"},
    "mssante/mailbox/index/vocabulary.py": {
        "MESSAGES_MAX": "the stored format: a place is one octet",
        "_MAP_OCTETS": "follows from MESSAGES_MAX",
    },
    "mssante/mime/archive.py": {"_COMMENT_MAX": "the zip format: a length of 16 bits"},
    "mssante/sealing/message.py": {"_SECONDS_PER_DAY": "a unit"},
    "mssante/imap/rules/matching.py": {"_DAY_SECONDS": "a unit"},
    "mssante/mime/packed.py": {"_VALUE_OCTETS_MIN": "the stored format: quotes and a space"},
    "mssante/store/reception.py": {"_UID_MAX": "RFC 3501 §9: unsigned 32 bits"},
    "mssante/store/records/messages.py": {"SECONDS_PER_DAY": "a unit"},
}


def assigned(tree: ast.Module) -> Iterator[tuple[str, ast.expr, int]]:
    """Name, value and last line of each assignment to one name at the top of a module."""
    for node in tree.body:
        match node:
            case (
                ast.Assign(targets=[ast.Name(id=name)], value=value)
                | ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value)
            ):
                yield name, value, node.end_lineno or node.lineno


def is_number(value: ast.expr) -> bool:
    """True for a number written out, however reckoned: `7 * 24`, `-1`, `timedelta(days=30)`, `4 * KIB`."""
    match value:
        case ast.Constant(value=number):
            return isinstance(number, int | float) and not isinstance(number, bool)
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name in UNITS
        case ast.UnaryOp(operand=operand):
            return is_number(operand)
        case ast.BinOp(left=left, right=right):
            return is_number(left) or is_number(right)
        case ast.Call(func=ast.Name(id="timedelta"), args=args, keywords=keywords):
            return any(map(is_number, [*args, *(each.value for each in keywords)]))
        case _:
            return False


def stray(text: str) -> list[str]:
    return [
        name
        for name, value, _ in assigned(ast.parse(text))
        if name.isupper() and is_number(value) and BOUND_WORDS & set(name.split("_"))
    ]


def without_reason(text: str) -> list[str]:
    """Names of limits.py whose last line has no comment of REASON_WORDS_MIN words, units apart."""
    lines = text.splitlines()
    return [
        name
        for name, _, line in assigned(ast.parse(text))
        if name not in UNITS
        and not re.search(
            rf"^[A-Z][A-Z0-9_]* = .*  # \S+(?: \S+){{{REASON_WORDS_MIN - 1},}}$", lines[line - 1]
        )
    ]


def test_every_bound_says_what_sets_it_on_its_line() -> None:
    assert without_reason(LIMITS.read_text(encoding="utf-8")) == []


def test_no_bound_stands_elsewhere() -> None:
    found = {
        name: strays
        for path in sorted(PACKAGE.rglob("*.py"))
        if path != LIMITS and (strays := stray(path.read_text(encoding="utf-8")))
        for name in [path.relative_to(ROOT).as_posix()]
    }
    assert {name: set(strays) for name, strays in found.items()} == {
        name: set(fixed) for name, fixed in FIXED.items()
    }


def test_no_bound_is_left_that_nobody_keeps() -> None:
    text = "\n".join(path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.py"))
    names = [name for name, _, _ in assigned(ast.parse(LIMITS.read_text(encoding="utf-8")))]
    assert len(names) == len(set(names))
    assert [name for name in names if len(re.findall(rf"\b{name}\b", text)) < 2] == []


@pytest.mark.parametrize(
    "line",
    [
        "LETTERS_MAX = 5",
        "_WAIT_SECONDS = 2.5",
        "ROWS_AT_ONCE: int = 2_000",
        "LIFETIME = timedelta(days=5)",
        "_HELD_OCTETS = 2 * CHUNK_OCTETS",
        "HELD_OCTETS = limits.MIB",
    ],
)
def test_a_stray_bound_is_found(line: str) -> None:
    assert len(stray(line)) == 1


@pytest.mark.parametrize(
    "line",
    ["LIFETIME = timedelta(days=limits.QUEUE_DAYS_MAX)", "PORT = 25", "WORD_MAX = 'x'", "seconds_max = 5"],
)
def test_what_is_no_stray_bound_is_left(line: str) -> None:
    assert stray(line) == []


@pytest.mark.parametrize("line", ["A_MAX = 5", "A_MAX = 5  # why", "A_MAX = (\n    5  # above any letter\n)"])
def test_a_bound_without_a_reason_on_its_line_is_found(line: str) -> None:
    assert without_reason(line) == ["A_MAX"]
