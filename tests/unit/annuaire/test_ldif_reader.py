"""LDIF is read whole or set aside record by record; how it was written does not matter."""

from __future__ import annotations

import base64
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mssante import limits
from mssante.annuaire.ldif_reader import LdifOdd, LdifRecord, read_ldif
from mssante.model import Malformed

NAMES = st.from_regex(r"[A-Za-z][A-Za-z0-9-]{0,10}", fullmatch=True).filter(
    lambda name: name.lower() not in {"dn", "version", "changetype", "control"}
)
VALUES = st.binary(max_size=80) | st.text(max_size=40).map(str.encode)
DNS = st.text(st.characters(blacklist_categories=["Cs"]), max_size=30)
RECORDS = st.tuples(DNS, st.lists(st.tuples(NAMES, VALUES), min_size=1, max_size=6))


def _is_safe(value: bytes) -> bool:
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return not value.startswith((b" ", b":", b"<")) and not set(value) & set(b"\0\r\n")


def _written(draw: st.DrawFn, name: str, value: bytes) -> bytes:
    """One attribute as some tool would write it: base64 or not, folded anywhere or not."""
    if _is_safe(value) and draw(st.booleans()):
        line = name.encode() + b":" + b" " * draw(st.integers(0, 2)) + value
    else:
        line = name.encode() + b"::" + b" " * draw(st.integers(0, 2)) + base64.b64encode(value)
    folds = sorted(draw(st.lists(st.integers(1, max(1, len(line) - 1)), max_size=4, unique=True)))
    pieces = [line[start:end] for start, end in zip([0, *folds], [*folds, len(line)], strict=True)]
    return b"\n ".join(pieces)


@st.composite
def _files(draw: st.DrawFn) -> tuple[bytes, list[tuple[str, list[tuple[str, bytes]]]]]:
    records = draw(st.lists(RECORDS, max_size=4))
    lines: list[bytes] = [b"version: 1"] if bool(records) and draw(st.booleans()) else []
    for dn, attributes in records:
        for name, value in [("dn", dn.encode()), *attributes]:
            if draw(st.integers(0, 5)) == 0:
                lines.append(b"# a comment: with a colon\n and a second line")
            lines.append(_written(draw, name, value))
        lines.extend([b""] * draw(st.integers(1, 3)))
    content = b"\n".join(lines) + b"\n"
    return (content.replace(b"\n", b"\r\n") if draw(st.booleans()) else content), records


@given(_files())
@settings(max_examples=60)
def test_what_was_written_is_read_however_it_was_written(
    written: tuple[bytes, list[tuple[str, list[tuple[str, bytes]]]]],
) -> None:
    content, records = written
    read = list(read_ldif(content))
    assert all(isinstance(record, LdifRecord) for record in read)
    for record, (dn, attributes) in zip(read, records, strict=True):
        assert isinstance(record, LdifRecord)
        assert record.dn == dn
        expected: dict[str, list[bytes]] = {}
        for name, value in attributes:
            expected.setdefault(name.lower(), []).append(value)
        assert record.attributes == expected


@given(st.binary(max_size=400) | st.text("dn:ac# \n\r<=,\0", max_size=200).map(str.encode))
def test_any_octets_are_read_or_set_aside(content: bytes) -> None:
    try:
        read = list(read_ldif(content))
    except Malformed:
        return
    assert all(isinstance(record, LdifRecord | LdifOdd) for record in read)


GOOD = b"dn: cn=a\ncn: a\n"


@pytest.mark.parametrize(
    ("record", "why"),
    [
        (b"cn: a\n", "does not begin with dn"),
        (b" cn: a\n", "begins with a continuation"),
        (b"dn: cn=a\n", "no attribute"),
        (b"dn: cn=a\ncn\n", "not an attribute"),
        (b"dn: cn=a\n: a\n", "not an attribute"),
        (b"dn: cn=a\nc n: a\n", "not an attribute"),
        (b"dn: cn=a\ncn:: a\n", "not base64"),
        (b"dn: cn=a\ncn:: YQ\n", "not base64"),
        (b"dn: cn=a\ncn:: YQ==YQ==\n", "not base64"),
        (b"dn: cn=a\ncn:: Y*==\n", "not base64"),
        (b"dn: cn=a\ncn:< file:///etc/passwd\n", "by URL"),
        (b"dn: cn=a\ncn: <x\n", "begins as base64 or a URL"),
        (b"dn: cn=a\ncn: : x\n", "begins as base64 or a URL"),
        (b"dn: cn=a\ncn: a\0b\n", "NUL"),
        (b"dn: cn=a\ncn: a\rcn: b\n", "bare CR"),
        (b"dn: cn=a\ndn: cn=b\ncn: a\n", "two dn"),
        (b"dn: cn=a\nchangetype: delete\n", "a change"),
        (b"dn: cn=a\ncontrol: 1.2.3 true\nchangetype: delete\n", "a change"),
        (b"dn:: //8=\ncn: a\n", "dn: not UTF-8"),
        (b"dn: cn=a\n" + b"cn: a\n" * limits.LDIF_LINES_PER_ENTRY_MAX, "lines"),
        (b"dn: cn=a\ncn: " + b"a" * limits.LDIF_LINE_OCTETS_MAX + b"\n", "octets"),
        (b"dn: cn=a\ncn:" + (b"\n " + b"a" * 999) * 17 + b"\n", "octets"),
        (b"dn: cn=a\ncn:" + b"\n a" * limits.LDIF_LINES_PER_ENTRY_MAX + b"\n", "lines"),
    ],
)
def test_a_bad_record_is_set_aside_with_its_line_and_the_next_is_read(record: bytes, why: str) -> None:
    before, odd, after = read_ldif(GOOD + b"\n" + record + b"\n" + GOOD)
    assert isinstance(before, LdifRecord)
    assert isinstance(after, LdifRecord)
    assert isinstance(odd, LdifOdd)
    assert odd.line == 4
    assert why in odd.why


@pytest.mark.parametrize(
    "content", [b"version: 2\n" + GOOD, b"version: 1 1\n\n" + GOOD, b"version::MQ==\n" + GOOD]
)
def test_another_version_is_refused(content: bytes) -> None:
    with pytest.raises(Malformed):
        list(read_ldif(content))


def test_too_large_and_too_many_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Malformed):
        list(read_ldif(bytes(limits.LDIF_OCTETS_MAX + 1)))
    monkeypatch.setattr("mssante.annuaire.ldif_reader.LDIF_ENTRIES_MAX", 3)
    assert len(list(read_ldif((GOOD + b"\n") * 3))) == 3
    with pytest.raises(Malformed):
        list(read_ldif((GOOD + b"\n") * 4))


def test_a_file_of_one_endless_record_costs_little_memory() -> None:
    content = b"dn: cn=a\n" + b"cn: a\n" * 50_000
    tracemalloc.start()
    (odd,) = read_ldif(content)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert isinstance(odd, LdifOdd)
    assert peak < limits.MIB
