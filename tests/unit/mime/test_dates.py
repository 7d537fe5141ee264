"""RFC 5322 dates."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from email.utils import format_datetime, parsedate_to_datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mssante.mime import dates


def at(*parts: int, minutes: int = 0) -> datetime:
    return datetime(*parts, tzinfo=timezone(timedelta(minutes=minutes)))  # type: ignore[arg-type, misc]  # year first


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"Thu, 01 Jan 2026 10:11:12 +0100", at(2026, 1, 1, 10, 11, 12, minutes=60)),
        (b"1 Jan 2026 10:11 -0330", at(2026, 1, 1, 10, 11, 0, minutes=-210)),
        (b"Thu, 1 jan 26 10:11:12 GMT (comment)", at(2026, 1, 1, 10, 11, 12)),
        (b"Thursday, 1-Jan-2026 10:11:12 EST", at(2026, 1, 1, 10, 11, 12, minutes=-300)),
        (b"1 Jan 99 00:00:60 Z", at(1999, 1, 1, 0, 0, 59)),
        (b"1 Jan 2026 10:00:00 +9999", at(2026, 1, 1, 10)),
        (b"1 January 2026", at(2026, 1, 1)),
        (b"Thu, 1 Jan 2026 1:02:03", at(2026, 1, 1, 1, 2, 3)),
    ],
)
def test_a_date_is_read_leniently(text: bytes, expected: datetime) -> None:
    assert dates.parse(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"yesterday",
        b"32 Jan 2026 10:00:00 +0000",
        b"1 Foo 2026",
        b"1 Jan 0001 00:00 +1400",
        b"31 Dec 9999 23:59 -1200",
        b"1 Jan 0000 10:00 +0000",
    ],
)
def test_what_is_no_date_is_none(text: bytes) -> None:
    assert dates.parse(text) is None


@given(st.binary(max_size=150))
@settings(deadline=None)
def test_nothing_written_in_a_date_raises(text: bytes) -> None:
    for value in (text, b"1 Jan 2026 " + text):
        found = dates.parse(value)
        assert found is None or found.utcoffset() is not None


offsets = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
instants = st.datetimes(datetime(1971, 1, 1), datetime(2100, 1, 1), timezones=offsets)


@given(instants)
@settings(deadline=None)
def test_a_date_written_is_read_back_and_is_as_the_standard_library_writes_it(when: datetime) -> None:
    when = when.replace(microsecond=0)
    text = dates.rfc5322(when)
    assert text == format_datetime(when)
    assert dates.parse(text.encode()) == when == parsedate_to_datetime(text)


def test_a_date_without_an_offset_is_refused_when_writing() -> None:
    with pytest.raises(AssertionError):
        dates.rfc5322(datetime(2026, 1, 1))
    assert dates.rfc5322(datetime(2026, 1, 1, tzinfo=UTC)) == "Thu, 01 Jan 2026 00:00:00 +0000"


@pytest.mark.parametrize("time", [b"25:00", b"10:61:00", b"99:99:99 +0100"])
def test_an_invalid_time_is_midnight(time: bytes) -> None:
    found = dates.parse(b"1 Jan 2026 " + time)
    assert found is not None
    assert (found.day, found.hour, found.minute, found.second) == (1, 0, 0, 0)
