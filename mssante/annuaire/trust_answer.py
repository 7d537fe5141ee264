"""The trust space as the directory states it: domains joined to their operators' certificate names.

Invariants: a pair exists only when a domain entry names an operator entry that exists, only once, and is well
formed; a faulty entry is reported and left out, and the others count.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TypeVar

from mssante.annuaire.entries import (
    OddEntry,
    OperatorEntry,
    TrustAnswer,
    TrustPair,
    domain_entry,
    operator_entry,
)
from mssante.ldap.grammar.values import Found, RawEntry
from mssante.limits import ODD_ENTRY_CHARACTERS_MAX, WHITE_LIST_ENTRIES_MAX
from mssante.model import Malformed
from mssante.reasons import Passing, Reason
from mssante.trust.names import DistinguishedName

_Entry = TypeVar("_Entry")


def trust_answer(operators: Iterable[Found], domains: Iterable[Found]) -> TrustAnswer:
    """Joins domains to their operators. Beyond WHITE_LIST_ENTRIES_MAX pairs, raises
    Passing(DIRECTORY_UNAVAILABLE)."""
    odd: list[OddEntry] = []
    by_code = _by_code(_parsed(operators, operator_entry, odd), odd)
    pairs: set[TrustPair] = set()
    for where, entry in _parsed(domains, domain_entry, odd):
        for code in entry.operators:
            operator = by_code.get(code)
            if operator is None:
                odd.append(_odd(where, "mssCodeOperateur: no such operator"))
                continue
            pairs.update(TrustPair(domain=entry.domain, name=name) for name in operator.certificate_names)
        if len(pairs) > WHITE_LIST_ENTRIES_MAX:
            raise Passing(Reason.DIRECTORY_UNAVAILABLE, "too many pairs")
    return TrustAnswer(pairs=tuple(sorted(pairs)), odd=tuple(odd))


def odd_entry(where: str, error: Malformed) -> OddEntry:
    """The entry at `where` and what is wrong with it, made safe to print on a terminal."""
    return _odd(where, str(error))


def _by_code(entries: Iterable[tuple[str, OperatorEntry]], odd: list[OddEntry]) -> dict[str, OperatorEntry]:
    by_code: dict[str, OperatorEntry] = {}
    contradicted: set[str] = set()
    for where, entry in entries:
        if entry.code in by_code or entry.code in contradicted:
            odd.append(_odd(where, "mssCodeOperateur: there twice, neither counts"))
            contradicted.add(entry.code)
            by_code.pop(entry.code, None)
        else:
            by_code[entry.code] = _with_readable_names(where, entry, odd)
    return by_code


def _with_readable_names(where: str, entry: OperatorEntry, odd: list[OddEntry]) -> OperatorEntry:
    readable = []
    for name in entry.certificate_names:
        try:
            DistinguishedName.parse(name)
        except Malformed as error:
            odd.append(_odd(where, f"mssDnCertificat: {error}"))
        else:
            readable.append(name)
    return replace(entry, certificate_names=tuple(readable))


def _parsed(
    found: Iterable[Found], parse: Callable[[RawEntry], _Entry], odd: list[OddEntry]
) -> Iterable[tuple[str, _Entry]]:
    for where, raw in found:
        try:
            entry = parse(raw)
        except Malformed as error:
            odd.append(odd_entry(where, error))
        else:
            yield where, entry


def _odd(where: str, why: str) -> OddEntry:
    shown = "".join(character if character.isprintable() else "?" for character in where)
    return OddEntry(where=shown[:ODD_ENTRY_CHARACTERS_MAX], why=why)
