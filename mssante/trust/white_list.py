"""Reads a white list (liste blanche, facts §1), with care: the file may be hostile until it has been read.

Invariants: no DTD, no entity and no network access; every size is bounded; an entry enters the trust space or
is reported as left out, but is never dropped in silence; a list is taken as a whole or not at all
(`Malformed`). Nothing here checks a signature: when the published list has one, it must be checked before,
on the same octets.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from io import BytesIO
from typing import Final, TypeVar

from lxml import etree

from mssante.limits import WHITE_LIST_DEPTH_MAX, WHITE_LIST_ENTRIES_MAX, WHITE_LIST_OCTETS_MAX
from mssante.model import Domain, Malformed
from mssante.trust.names import LOCALITY, STATE, DistinguishedName
from mssante.trust.space import Entry, TrustSpace

_NAMESPACE: Final = "{https://listeblanche.mssante.fr/schema}"
_ROOT = f"{_NAMESPACE}ListeBlancheMSSante"
_DATE = f"{_NAMESPACE}DateDeGeneration"
_ENTRIES = f"{_NAMESPACE}ListeDomaines"
_ENTRY = f"{_NAMESPACE}Domaine"
_DOMAIN = f"{_NAMESPACE}Nom"
_NAME = f"{_NAMESPACE}DNCertificatOperateur"
_USUAL_SUFFIX = ".mssante.fr"
# Forms that real lists hold besides plain RFC 4514 (facts §1). They are read all the same, and reported.
_REMARKS = (
    (re.compile(r"\s[,=]|[,=]\s"), "DN with spaces round separators"),
    (re.compile(r'="'), "DN with quotes round a value"),
    (re.compile(r'[^=]"(?!\s*(?:,|\Z))'), "DN with quotes inside a value"),
    (re.compile("[\u00a0\u2007\u202f]"), "DN with no-break spaces"),
    (re.compile(r"[^\S\r\n][^\S\r\n]"), "DN with several spaces in a row"),
)
_Value = TypeVar("_Value")


@dataclass(frozen=True, slots=True, kw_only=True)
class Odd:
    """An unusual entry, as written: its rank in the list (from 1), what is unusual, and whether it counts."""

    rank: int
    domain: str
    name: str
    why: tuple[str, ...]
    kept: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class WhiteList:
    """A list as read. Its `count` entries are those in `entries`, and those in `odd` that are not kept."""

    generated_at: datetime
    count: int
    entries: tuple[Entry, ...]
    odd: tuple[Odd, ...]

    def space(self) -> TrustSpace:
        return TrustSpace.from_entries(self.entries, source="list", generated_at=self.generated_at)


def read(content: bytes) -> WhiteList:
    """Reads the octets of a list. Raises `Malformed`, which says why, when the list cannot be used at all."""
    if len(content) > WHITE_LIST_OCTETS_MAX:
        raise Malformed("a white list too large")
    generated_at: datetime | None = None
    rows: list[_ListedDomain] = []
    try:
        for path, element in _elements(content):
            if path == [_ROOT, _ENTRIES, _ENTRY]:
                if len(rows) == WHITE_LIST_ENTRIES_MAX:
                    raise Malformed("a white list of too many entries")
                rows.append(_ListedDomain(_child_text(element, _DOMAIN), _child_text(element, _NAME)))
                element.clear()
            elif path == [_ROOT, _DATE]:
                if generated_at is not None:
                    raise Malformed("a white list of two dates")
                generated_at = _date(element.text or "")
    except etree.XMLSyntaxError as error:
        raise Malformed(f"a white list that is not sound XML: {error.msg}") from None
    if generated_at is None:
        raise Malformed("a white list without its date")
    if not rows:
        raise Malformed("an empty white list")
    return _judged(rows, generated_at)


def _elements(content: bytes) -> Iterator[tuple[list[str], etree._Element]]:
    """Each element, once it has been read to its end, with the tags from the root down to it."""
    path: list[str] = []
    for event, element in etree.iterparse(
        BytesIO(content),
        events=("start", "end"),
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        huge_tree=False,
    ):
        if event == "end":
            yield path, element
            path.pop()
            continue
        path.append(str(element.tag))
        if len(path) == 1:
            _check_root(element)
        if len(path) > WHITE_LIST_DEPTH_MAX:
            raise Malformed("a white list nested too deep")


def _check_root(root: etree._Element) -> None:
    # Any DTD is refused before one of its entities can be used. An entity could fill our memory, read files
    # of ours or reach the network.
    if root.getroottree().docinfo.internalDTD is not None:
        raise Malformed("a white list with a DTD")
    if root.tag != _ROOT:
        raise Malformed("not a white list")


def _child_text(entry: etree._Element, tag: str) -> str | None:
    """The text of the only child `tag`. None if there are several, or if it holds anything but text: with a
    comment in the middle of a value, two programs could read two different values."""
    found = entry.findall(tag)
    if len(found) != 1 or len(found[0]):
        return None
    return (found[0].text or "").strip()


def _date(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        raise Malformed("a white list whose date cannot be read") from None
    if moment.tzinfo is None:
        raise Malformed("a white list whose date has no time zone")
    return moment


def _judged(rows: list[_ListedDomain], generated_at: datetime) -> WhiteList:
    entries: list[Entry] = []
    odd: list[Odd] = []
    first_rank: dict[Entry, int] = {}
    for rank, row in enumerate(rows, start=1):
        entry, why = row.read()
        if entry is not None:
            entries.append(entry)
            if first_rank.setdefault(entry, rank) != rank:
                why.append(f"the same as entry {first_rank[entry]}")
        if why:
            odd.append(
                Odd(
                    rank=rank,
                    domain=row.domain or "",
                    name=row.name or "",
                    why=tuple(why),
                    kept=entry is not None,
                )
            )
    return WhiteList(generated_at=generated_at, count=len(rows), entries=tuple(entries), odd=tuple(odd))


@dataclass(frozen=True, slots=True)
class _ListedDomain:
    """An entry as written. A field is None when it is missing, given twice or not plain text."""

    domain: str | None
    name: str | None

    def read(self) -> tuple[Entry | None, list[str]]:
        """The entry (None if it cannot be understood), and what is odd in it."""
        why: list[str] = []
        domain = _read(self.domain, Domain.parse, "domain", why)
        name = _read(self.name, DistinguishedName.parse, "DN", why)
        if domain is None or name is None or self.domain is None or self.name is None:
            return None, why
        if self.domain != domain.name:
            why.append("domain in upper case")
        if not domain.name.endswith(_USUAL_SUFFIX):
            why.append("domain outside mssante.fr")
        why.extend(remark for pattern, remark in _REMARKS if pattern.search(self.name))
        if name.holds(LOCALITY) and not name.holds(STATE):
            why.append("DN with L in place of ST")
        return Entry(domain, name), why


def _read(text: str | None, parse: Callable[[str], _Value], field: str, why: list[str]) -> _Value | None:
    if text is None:
        why.append(f"{field} missing, given twice, or not plain text")
        return None
    try:
        return parse(text)
    except Malformed as error:
        at = " (an @ inside it)" if field == "domain" and "@" in text else ""
        why.append(f"{field} unreadable: {error}{at}")
        return None
