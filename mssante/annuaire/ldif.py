"""The embedded directory: an LDIF file, read once and held in memory.

Invariants: those of mssante.annuaire.directory. It needs no other host, so its answers are never late. Every
entry is parsed when the file is loaded; those that cannot be used are in `odd` and in `trust_pairs`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from pathlib import Path

from mssante.annuaire.directory import best, search_words
from mssante.annuaire.entries import (
    MailboxEntry,
    OddEntry,
    TrustAnswer,
    address_keys,
    is_of_class,
    mailbox_entry,
)
from mssante.annuaire.ldif_reader import LdifOdd, LdifRecord, read_ldif
from mssante.annuaire.trust_answer import odd_entry, trust_answer
from mssante.ldap.grammar.values import RawEntry
from mssante.limits import LDIF_OCTETS_MAX
from mssante.model import Address, Malformed
from mssante.reasons import Passing, Reason


class LdifDirectory:
    """A Directory over one file's content."""

    def __init__(self, content: bytes) -> None:
        """Raises Malformed when `content` is not LDIF at all."""
        odd: list[OddEntry] = []
        records: list[LdifRecord] = []
        for record in read_ldif(content):
            if isinstance(record, LdifOdd):
                odd.append(OddEntry(where=f"line {record.line}", why=record.why))
            else:
                records.append(record)
        trust = trust_answer(_of_class(records, "mssOperateur"), _of_class(records, "mssDomaine"))
        # A record that cannot be read may belong to the trust space, so it is listed there too.
        self._trust = TrustAnswer(pairs=trust.pairs, odd=(*odd, *trust.odd))
        self._mailboxes: dict[str, MailboxEntry | None] = {}  # None: malformed, or there twice
        for where, raw in _of_class(records, "mssBal"):
            self._add(where, raw, odd)
        self._believed = tuple(entry for entry in self._mailboxes.values() if entry is not None)
        self._closed = False
        self.odd = (*odd, *trust.odd)

    @classmethod
    def load(cls, path: Path) -> LdifDirectory:
        """The directory in the file at `path`, read now. Call it in a thread when the file is large.

        Raises Passing(DIRECTORY_UNAVAILABLE) when the file cannot be read, Malformed when it is not LDIF."""
        try:
            with path.open("rb") as file:
                return cls(file.read(LDIF_OCTETS_MAX + 1))
        except OSError as error:
            raise Passing(Reason.DIRECTORY_UNAVAILABLE, f"LDIF file: {type(error).__name__}") from error

    async def mailbox(self, address: Address) -> MailboxEntry | None:
        self._refuse_if_closed()
        entry = self._mailboxes.get(address.key)
        if entry is None and address.key in self._mailboxes:
            raise Passing(Reason.DIRECTORY_UNAVAILABLE, "malformed entry, or there twice")
        return entry

    async def search(self, text: str, limit: int) -> tuple[MailboxEntry, ...]:
        self._refuse_if_closed()
        words = search_words(text)
        # It looks at every mailbox, 7 microseconds each, so it runs in a thread.
        return await asyncio.to_thread(best, self._believed, words, limit) if words else ()

    async def trust_pairs(self) -> TrustAnswer:
        self._refuse_if_closed()
        return self._trust

    async def aclose(self) -> None:
        self._closed = True

    def _refuse_if_closed(self) -> None:
        if self._closed:
            raise Passing(Reason.DIRECTORY_UNAVAILABLE, "closed")

    def _add(self, where: str, raw: RawEntry, odd: list[OddEntry]) -> None:
        try:
            entry = mailbox_entry(raw)
        except Malformed as error:
            odd.append(odd_entry(where, error))
            self._mailboxes.update(dict.fromkeys(address_keys(raw)))
            return
        if entry.address.key in self._mailboxes:
            odd.append(odd_entry(where, Malformed("mssAdresse: there twice, neither counts")))
            self._mailboxes[entry.address.key] = None
        else:
            self._mailboxes[entry.address.key] = entry


def _of_class(records: Iterable[LdifRecord], name: str) -> Iterable[tuple[str, RawEntry]]:
    return ((record.dn, record.attributes) for record in records if is_of_class(record.attributes, name))
