"""RFC 5322 dates: read leniently, written strictly.

Invariants: reading never raises and looks at no more than 128 octets; what is written does not depend
on any locale.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone

from mssante.mime.header import without_comments

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_MONTH_NUMBERS = {name.lower().encode(): number for number, name in enumerate(_MONTHS, 1)}

_DATE = re.compile(
    rb"(?:[A-Za-z]{2,9}\.?,?\s*)?"
    rb"(\d{1,2})[\s-]+([A-Za-z]{3})[A-Za-z]{0,6}\.?[\s-]+(\d{2,4})"
    rb"(?:[\sT]+(\d{1,2})[:.](\d{1,2})(?:[:.](\d{1,2})(?:\.\d{1,9})?)?)?"
    rb"\s*([+-]\d{4}|[A-Za-z]{1,5})?"
)
# RFC 5322 §4.3; military letters are taken as UTC, as it advises.
_ZONES = {b"edt": -240, b"est": -300, b"cdt": -300, b"cst": -360, b"mdt": -360, b"mst": -420}
_ZONES |= {b"pdt": -420, b"pst": -480, b"cet": 60, b"cest": 120, b"met": 60, b"mest": 120}


def parse(value: bytes) -> datetime | None:
    """The instant a Date field names, with the offset it was written in; None when it is no date."""
    match = _DATE.match(without_comments(value[:128]).strip())
    if match is None:
        return None
    day, month, year, hour, minute, second, zone = match.groups()
    number = _MONTH_NUMBERS.get(month.lower())
    if number is None:
        return None
    full_year = int(year)
    if len(year) < 4:  # RFC 5322 §4.3: two or three digits
        full_year += 2000 if full_year < 50 else 1900
    hours, minutes, seconds = int(hour or 0), int(minute or 0), int(second or 0)
    if hours > 23 or minutes > 59:
        hours = minutes = seconds = 0  # RFC 5256 §2.2: an invalid time is midnight
    try:
        at = datetime(
            full_year,
            number,
            int(day),
            hours,
            minutes,
            min(seconds, 59),  # a leap second has no place in a datetime
            tzinfo=_zone(zone),
        )
        at.astimezone(UTC)  # on the first and last day of the calendar this may fall outside of it
    except (ValueError, OverflowError):
        return None
    return at


def _zone(text: bytes | None) -> timezone:
    if text is None:
        return UTC
    if text[:1] in b"+-":
        minutes = int(text[1:3]) * 60 + int(text[3:5])
        if minutes >= 24 * 60:
            return UTC
        return timezone(timedelta(minutes=-minutes if text[:1] == b"-" else minutes))
    return timezone(timedelta(minutes=_ZONES.get(text.lower(), 0)))


def rfc5322(at: datetime) -> str:
    """The date as a Date or Received field writes it (RFC 5322 §3.3). `at` must be aware."""
    offset = at.utcoffset()
    assert offset is not None, "a date without its offset names no instant"
    minutes = int(offset.total_seconds()) // 60
    sign = "-" if minutes < 0 else "+"
    hours, rest = divmod(abs(minutes), 60)
    return (
        f"{_DAYS[at.weekday()]}, {at.day:02d} {_MONTHS[at.month - 1]} {at.year:04d} "
        f"{at.hour:02d}:{at.minute:02d}:{at.second:02d} {sign}{hours:02d}{rest:02d}"
    )
