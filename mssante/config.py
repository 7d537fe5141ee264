"""Reads the configuration, a TOML file, into frozen values. All mistakes are told at once, with their lines.

Invariants: a Config that exists is complete and of the right types; paths are absolute, resolved against the
folder of the file; the file holds no secret, only where each secret lies.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Callable
from dataclasses import MISSING, dataclass, field, fields
from enum import StrEnum
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from mssante import limits
from mssante.model import Domain, ForeignAuthors, Malformed


class Environment(StrEnum):
    """TEST accepts the development PKI; PRODUCTION refuses any anchor named TEST (facts §2)."""

    TEST = "test"
    PRODUCTION = "production"


class TrustSource(StrEnum):
    LIST = "list"
    DIRECTORY = "directory"


@dataclass(frozen=True, slots=True)
class Mistake:
    """One thing wrong in the file: `line` counts from 1, 0 when the file as a whole is meant."""

    line: int
    where: str
    text: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.where}: {self.text}" if self.line else f"{self.where}: {self.text}"


class ConfigError(Exception):
    """Everything wrong in a configuration file."""

    def __init__(self, path: Path, mistakes: list[Mistake]) -> None:
        self.path = path
        self.mistakes = sorted(mistakes, key=lambda m: (m.line, m.where))
        super().__init__("\n".join(f"{path.name}, {mistake}" for mistake in self.mistakes))


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A host and a port. Port 0 lets the system choose (tests)."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"

    @property
    def on_loopback(self) -> bool:
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"


class DatabasePlace(str):
    """Where a database lies, as the configuration has it: a file of SQLite's, relative to the configuration's
    folder, or the URL of another database."""

    __slots__ = ()

    @property
    def is_url(self) -> bool:
        return "://" in self

    def file(self, folder: Path) -> Path | None:
        return None if self.is_url else folder / self

    def url(self, folder: Path) -> str:
        return self if self.is_url else f"sqlite:///{folder / self}"


# ---- How one value is read: each raises Malformed with what was expected.


def _text(value: Any, base: Path) -> str:
    if not isinstance(value, str) or not value:
        raise Malformed("expected a text")
    return value


def _database(value: Any, base: Path) -> DatabasePlace:
    place = DatabasePlace(_text(value, base))
    try:
        has_password = place.is_url and urlsplit(place).password is not None
    except ValueError:
        raise Malformed("expected a file's name or a URL") from None
    if has_password:
        raise Malformed("no password here: PostgreSQL's own PGPASSFILE, or its peer authentication")
    return place


def _path(value: Any, base: Path) -> Path:
    return Path(os.path.abspath(base / _text(value, base)))  # links stay to be seen: files of ours are none


def _domains(value: Any, base: Path) -> tuple[Domain, ...]:
    if not isinstance(value, list) or not value:
        raise Malformed("expected a list of domains")
    return tuple(Domain.parse(_text(item, base)) for item in value)


def _endpoint(value: Any, base: Path) -> Endpoint:
    match = re.fullmatch(r"\[?([^\s\]]+)\]?:(\d{1,5})", _text(value, base))
    if not match or int(match[2]) > 65535:
        raise Malformed("expected host:port")
    return Endpoint(match[1], int(match[2]))


def _routes(value: Any, base: Path) -> dict[Domain, Endpoint]:
    if not isinstance(value, dict):
        raise Malformed('expected a table of "domain" = "host:port"')
    return {Domain.parse(name): _endpoint(target, base) for name, target in value.items()}


def _whole(low: int, high: int) -> Callable[[Any, Path], int]:
    def read(value: Any, base: Path) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise Malformed(f"expected a whole number from {low} to {high}")
        return value

    return read


def _flag(value: Any, base: Path) -> bool:
    if not isinstance(value, bool):
        raise Malformed("expected true or false")
    return value


def _choice(kind: type[StrEnum]) -> Callable[[Any, Path], Any]:
    def read(value: Any, base: Path) -> StrEnum:
        if value not in [member.value for member in kind]:
            raise Malformed("expected one of " + ", ".join(kind))
        return kind(value)

    return read


def _choices(kind: type[StrEnum]) -> Callable[[Any, Path], Any]:
    def read(value: Any, base: Path) -> tuple[StrEnum, ...]:
        if not isinstance(value, list) or not value:
            raise Malformed("expected a list from " + ", ".join(kind))
        return tuple(_choice(kind)(item, base) for item in value)

    return read


def _is(read: Callable[[Any, Path], Any], default: Any = MISSING) -> Any:
    """A field of the file: how it is read, and its default."""
    if default is MISSING:
        return field(metadata={"read": read})
    return field(metadata={"read": read}, default=default)


# ---- The sections, as config.example.toml shows them.


@dataclass(frozen=True, slots=True, kw_only=True)
class Operator:
    name: str = _is(_text)
    hostname: str = _is(_text)
    domains: tuple[Domain, ...] = _is(_domains)
    environment: Environment = _is(_choice(Environment), Environment.PRODUCTION)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    certificate: Path = _is(_path)
    key: Path = _is(_path)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    anchors: Path = _is(_path)
    intermediates: Path = _is(_path)
    crls: Path = _is(_path)
    sources: tuple[TrustSource, ...] = _is(_choices(TrustSource), (TrustSource.LIST, TrustSource.DIRECTORY))
    white_list: Path | None = _is(_path, None)
    extended_key_usage_required: bool = _is(_flag, True)
    host_names_agree: bool = _is(_flag, True)
    space_hours_max: int = _is(_whole(1, 24 * 366), limits.TRUST_SPACE_HOURS_MAX)


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectorySource:
    ldif: Path | None = _is(_path, None)
    ldap: str | None = _is(_text, None)
    ldap_base: str | None = _is(_text, None)
    ldap_ca: Path | None = _is(_path, None)
    ldap_bind_dn: str | None = _is(_text, None)
    ldap_password_file: Path | None = _is(_path, None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Storage:
    database: DatabasePlace = _is(_database, DatabasePlace("mail.db"))
    keys: DatabasePlace = _is(_database, DatabasePlace("keys.db"))
    root_key: Path | None = _is(_path, None)
    root_key_credential: str | None = _is(_text, None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Listen:
    relay: Endpoint | None = _is(_endpoint, None)
    submission: Endpoint | None = _is(_endpoint, None)
    submissions: Endpoint | None = _is(_endpoint, None)
    imap: Endpoint | None = _is(_endpoint, None)
    imaps: Endpoint | None = _is(_endpoint, None)
    status: Endpoint | None = _is(_endpoint, None)
    status_for_others: bool = _is(_flag, False)  # /metrics tells how much mail there is, in clear


@dataclass(frozen=True, slots=True, kw_only=True)
class Messages:
    bytes_max: int = _is(_whole(64 * 1024, 1024 * limits.MIB), limits.MESSAGE_OCTETS_MAX)
    quota_mib: int = _is(_whole(1, 1 << 20), 10_240)
    foreign_authors: ForeignAuthors = _is(_choice(ForeignAuthors), ForeignAuthors.MARK)


@dataclass(frozen=True, slots=True, kw_only=True)
class Connections:
    """How many connections one port has at once, and how many of one address (a hospital behind NAT needs
    more)."""

    smtp_max: int = _is(_whole(10, 100_000), limits.CONNECTIONS_MAX)
    imap_max: int = _is(_whole(10, 100_000), limits.IMAP_CONNECTIONS_MAX)
    per_address_max: int = _is(_whole(1, 100_000), limits.CONNECTIONS_PER_ADDRESS_MAX)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What one person, and one mailbox, may send and have waiting; what nobody's letters may fill."""

    recipients_per_hour: int = _is(_whole(limits.RECIPIENTS_MAX, 1 << 30), limits.SENT_RECIPIENTS_PER_HOUR)
    queued_mib_max: int = _is(_whole(1, 1 << 30), limits.QUEUED_OCTETS_MAX // limits.MIB)
    queued_recipients_max: int = _is(_whole(limits.RECIPIENTS_MAX, 1 << 30), limits.QUEUED_RECIPIENTS_MAX)
    disk_reserve_mib: int = _is(_whole(0, 1 << 20), limits.DISK_RESERVE_OCTETS // limits.MIB)


@dataclass(frozen=True, slots=True, kw_only=True)
class CourierRoutes:
    routes: dict[Domain, Endpoint] = _is(_routes, None)
    only_routes: bool = _is(_flag, False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Log:
    file: Path | None = _is(_path, None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """A whole configuration. `path` is the file it was read from."""

    path: Path
    operator: Operator
    tls: Tls
    trust: Trust
    directory: DirectorySource
    storage: Storage
    listen: Listen
    messages: Messages
    connections: Connections
    bounds: Bounds
    courier: CourierRoutes
    log: Log

    @property
    def folder(self) -> Path:
        return self.path.parent


_SECTIONS: dict[str, type] = {
    "operator": Operator,
    "tls": Tls,
    "trust": Trust,
    "directory": DirectorySource,
    "storage": Storage,
    "listen": Listen,
    "messages": Messages,
    "connections": Connections,
    "bounds": Bounds,
    "courier": CourierRoutes,
    "log": Log,
}


def load(path: Path) -> Config:
    """Reads a configuration file. Raises ConfigError with every mistake, OSError if it cannot be read."""
    path = path.resolve()
    text = path.read_text(encoding="utf-8")
    try:
        tree = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        line = re.search(r"at line (\d+)", str(error))
        mistake = Mistake(int(line[1]) if line else 0, "TOML", str(error).partition(" (at ")[0])
        raise ConfigError(path, [mistake]) from None
    lines = _lines(text)
    mistakes = [Mistake(lines.get(n, 0), n, "unknown section") for n in tree if n not in _SECTIONS]
    sections: dict[str, Any] = {}
    for name, kind in _SECTIONS.items():
        table = tree.get(name, {})
        if not isinstance(table, dict):
            mistakes.append(Mistake(lines.get(name, 0), name, "expected a [section]"))
            continue
        sections[name] = _section(name, kind, table, base=path.parent, lines=lines, mistakes=mistakes)
    if not mistakes:
        config = Config(path=path, **sections)
        mistakes = _contradictions(config, lines)
    if mistakes:
        raise ConfigError(path, mistakes)
    return config


def _section(
    name: str,
    kind: type,
    table: dict[str, Any],
    *,
    base: Path,
    lines: dict[str, int],
    mistakes: list[Mistake],
) -> Any:
    known = {item.name: item for item in fields(kind)}
    values: dict[str, Any] = {}
    before = len(mistakes)
    for key, value in table.items():
        where = f"{name}.{key}"
        if key not in known:
            near = ", ".join(known)
            mistakes.append(Mistake(lines.get(where, 0), where, f"unknown key; this section has: {near}"))
            continue
        try:
            values[key] = known[key].metadata["read"](value, base)
        except Malformed as error:
            mistakes.append(Mistake(lines.get(where, 0), where, str(error)))
    for key, item in known.items():
        if key not in table and item.default is MISSING:
            mistakes.append(Mistake(lines.get(name, 0), f"{name}.{key}", "is missing"))
    if kind is CourierRoutes and values.get("routes") is None:
        values["routes"] = {}
    return kind(**values) if len(mistakes) == before else None


def _contradictions(config: Config, lines: dict[str, int]) -> list[Mistake]:
    found = []
    source = config.directory

    def wrong(where: str, text: str) -> None:
        found.append(Mistake(lines.get(where, lines.get(where.partition(".")[0], 0)), where, text))

    if (source.ldif is None) == (source.ldap is None):
        wrong("directory", "give either ldif (a file) or ldap (a URL)")
    if source.ldap is not None and source.ldap_base is None:
        wrong("directory.ldap", "ldap_base is missing: the entry under which the directory lies")
    if (config.storage.root_key is None) == (config.storage.root_key_credential is None):
        wrong("storage.root_key", "give either root_key (a file) or root_key_credential (systemd's name)")
    if TrustSource.LIST in config.trust.sources and config.trust.white_list is None:
        wrong("trust.sources", "the source 'list' needs trust.white_list (a file)")
    status = config.listen.status
    if status is not None and not status.on_loopback and not config.listen.status_for_others:
        wrong("listen.status", "keep it on loopback, or say status_for_others = true: it answers in clear")
    if not config.listen.relay:
        wrong("listen", "relay is missing: other operators reach us there")
    return found


def _lines(text: str) -> dict[str, int]:
    """The line on which each section and key stands, which tomllib does not tell."""
    found: dict[str, int] = {}
    section = ""
    for number, line in enumerate(text.splitlines(), start=1):
        if match := re.match(r"\s*\[+\s*([^\]\s]+)\s*\]+", line):
            section = match[1].strip("\"'")
            found.setdefault(section, number)
        elif match := re.match(r"\s*[\"']?([A-Za-z0-9_.-]+)[\"']?\s*=", line):
            found.setdefault(f"{section}.{match[1]}" if section else match[1], number)
    return found
