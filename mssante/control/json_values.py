"""Turns plain JSON values into frozen dataclasses and back, where they enter and leave an operation.

How a value is read follows from the type of its field; `_READERS` has one way for each type that operations
use.

Invariants: what is decoded has every field of its class, each of the right type, and no others; the text of a
mistake names the argument and what it takes, and never repeats what was given (it may be a password).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass
from datetime import datetime
from enum import StrEnum
from functools import cache
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from mssante.limits import WHOLE_NUMBER_BITS_MAX
from mssante.model import Address, MailboxKind, Malformed, PersonId, Secret
from mssante.reasons import Reason, Refused
from mssante.store.records import MessageNumber

T = TypeVar("T")
_LOGIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,127}")


@dataclass(frozen=True, slots=True)
class _ValueReader:
    """How a JSON value is read as one type. `read` raises Malformed with what is wrong; `takes` says what
    would be right."""

    takes: str
    read: Callable[[Any], Any]
    reason: Reason = Reason.ARGUMENT_MALFORMED


def _text(value: Any) -> str:
    try:
        if isinstance(value, str) and value.encode() is not None:
            return value
    except UnicodeEncodeError:  # half of a surrogate pair, which JSON can write and UTF-8 cannot
        pass
    raise Malformed("not a text")


def _login(value: Any) -> PersonId:
    if not _LOGIN.fullmatch(_text(value)):
        raise Malformed("not a login")
    return PersonId(value)


def _kind(value: Any) -> MailboxKind:
    try:
        return MailboxKind(_text(value).upper())
    except ValueError:
        raise Malformed("not a kind of mailbox") from None


def _moment(value: Any) -> datetime:
    try:
        at = datetime.fromisoformat(_text(value))
        return at if at.tzinfo else at.astimezone()
    except (ValueError, OverflowError):  # the year 1 has no local time
        raise Malformed("not a date") from None


def _whole(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value.bit_length() > WHOLE_NUMBER_BITS_MAX:
        raise Malformed("not a whole number, or too large a one")
    return value


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise Malformed("neither of the two")
    return value


def _object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise Malformed("not an object")
    return value


_WHOLE = _ValueReader("a whole number", _whole)
_READERS: dict[Any, _ValueReader] = {
    str: _ValueReader("a text", _text),
    int: _WHOLE,
    MessageNumber: _WHOLE,
    bool: _ValueReader("true or false", _flag),
    dict[str, Any]: _ValueReader("an object, of names and values", _object),
    datetime: _ValueReader("YYYY-MM-DD, or a date with time and zone", _moment),
    Address: _ValueReader("name@domain", lambda value: Address.parse(_text(value)), Reason.ADDRESS_MALFORMED),
    MailboxKind: _ValueReader("PER, ORG, APP or CAB", _kind),
    PersonId: _ValueReader("1 to 128 letters, digits and . _ @ + -", _login),
    Secret: _ValueReader("a text", lambda value: Secret(_text(value))),
}


def decoded(kind: type[T], values: object, *, what: str = "a request") -> T:
    """The dataclass `kind`, made of `values` by the names of its fields. Raises Refused(ARGUMENT_MALFORMED),
    or Refused(ADDRESS_MALFORMED) for an address; `what` is what its detail calls the whole."""
    if not isinstance(values, Mapping):
        raise malformed(what, "not an object", takes="an object, of names and values")
    known = {field.name: field for field in fields(kind)}  # type: ignore[arg-type] # a dataclass
    for name in values:
        if name not in known:
            raise malformed(str(name), "unknown", takes=", ".join(known) or "no argument", of=what)
    types = _types(cast(Any, kind))
    read = {
        name: _read(types[name], values.get(name), name)
        for name, field in known.items()
        if name in values or not _has_default(field)
    }
    return kind(**read)


def malformed(
    name: str, wrong: str, *, takes: str, of: str = "it", reason: Reason = Reason.ARGUMENT_MALFORMED
) -> Refused:
    """The refusal of an argument: its name, what is wrong ("missing", "not a text"), and what `of` takes."""
    return Refused(reason, f"{name} is {wrong}; {of} takes {takes}")


def encoded(value: Any) -> Any:
    """A value of an operation as a JSON value: a dataclass becomes an object, with its fields in order."""
    match value:
        case Secret():
            return value.value
        case Address():
            return str(value)
        case StrEnum():
            return value.value
        case datetime():
            return value.isoformat()
        case tuple():
            return [encoded(each) for each in value]
        case _ if is_dataclass(value):
            return {field.name: encoded(getattr(value, field.name)) for field in fields(value)}
        case _:
            return value


@cache
def _types(kind: Any) -> dict[str, Any]:
    """The type of each field."""
    return get_type_hints(kind)


def _has_default(field: Field[Any]) -> bool:
    return field.default is not MISSING


def _read(kind: Any, value: Any, name: str) -> Any:
    """Raises Refused."""
    if get_origin(kind) in (Union, UnionType):  # X | None
        if value is None:
            return None
        (kind,) = (one for one in get_args(kind) if one is not NoneType)
    if get_origin(kind) is tuple:  # tuple[X, ...]
        if not isinstance(value, list):
            raise malformed(name, "not a list", takes="a list")
        return tuple(_read(get_args(kind)[0], each, name) for each in value)
    if kind not in _READERS and is_dataclass(kind):
        return decoded(kind, value, what=name)  # type: ignore[arg-type] # a class, not one of its values
    reader = _READERS.get(kind) or _of_enum(kind)
    if value is None:
        raise malformed(name, "missing", takes=reader.takes)
    try:
        return reader.read(value)
    except Malformed as error:
        raise malformed(name, str(error), takes=reader.takes, reason=reader.reason) from None


def _of_enum(kind: type[StrEnum]) -> _ValueReader:
    def read(value: Any) -> StrEnum:
        try:
            return kind(_text(value))
        except ValueError:
            raise Malformed("none of these") from None

    return _ValueReader(" or ".join(kind), read)
