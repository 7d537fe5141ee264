"""What any directory answers: the Protocol, and the search that all implementations share.

Invariants: an unlisted mailbox is found only by its exact address; a search shows only mailboxes that are
active and listed; the same data gives the same answers in every implementation.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from typing import Protocol

from mssante.annuaire.entries import MailboxEntry, TrustAnswer
from mssante.ldap.grammar.values import refuse_unsafe
from mssante.limits import DIRECTORY_FOUND_MAX, DIRECTORY_WORD_CHARACTERS_MIN, DIRECTORY_WORDS_MAX
from mssante.model import Address, MailboxStatus, Malformed


class Directory(Protocol):
    """There are two implementations, LdapDirectory and LdifDirectory. An answer may come late, but always
    comes.

    Every method raises Passing(DIRECTORY_UNAVAILABLE) when the directory cannot answer now. Such a
    failure must never block a letter to a mailbox of ours: local mailboxes are known without it.
    """

    async def mailbox(self, address: Address) -> MailboxEntry | None:
        """The mailbox at this exact address (letter case does not matter), even an unlisted one; None when
        there is none.

        Raises Passing(DIRECTORY_UNAVAILABLE) also when the entry is malformed or there twice, because a fault
        in the directory does not prove that a correspondent does not exist."""
        ...

    async def search(self, text: str, limit: int) -> tuple[MailboxEntry, ...]:
        """Active, listed mailboxes that have every word of `text` somewhere in their public attributes, best
        rank first, at most `limit` and never more than DIRECTORY_FOUND_MAX.

        Finds nothing when all words are shorter than 3 characters. Raises Malformed when the text has a
        control character or is longer than 256 octets."""
        ...

    async def trust_pairs(self) -> TrustAnswer:
        """Every (domain, certificate DN) that the directory states, and the entries set aside, with why."""
        ...

    async def aclose(self) -> None:
        """Ends its threads and connections. After that, every question raises Passing."""
        ...


def search_words(text: str) -> tuple[str, ...]:
    """The words of a search, as written; () when none is long enough. Raises Malformed."""
    refuse_unsafe(text)
    words = tuple(dict.fromkeys(text.split()))
    if len(words) > DIRECTORY_WORDS_MAX:
        raise Malformed(f"over {DIRECTORY_WORDS_MAX} words")
    return words if any(len(word) >= DIRECTORY_WORD_CHARACTERS_MIN for word in words) else ()


def best(entries: Iterable[MailboxEntry], words: Iterable[str], limit: int) -> tuple[MailboxEntry, ...]:
    """Those of `entries` that a search for `words` may show, best rank first, each address once."""
    folded = [_folded(word) for word in words]
    shown = {
        entry.address.key: entry
        for entry in entries
        if entry.status is MailboxStatus.ACTIVE and not entry.unlisted and _has(entry, folded)
    }
    ranked = sorted(shown.values(), key=lambda entry: (entry.rank or 1_000_000, entry.address.key))
    return tuple(ranked[: max(0, min(limit, DIRECTORY_FOUND_MAX))])


def _has(entry: MailboxEntry, folded: list[str]) -> bool:
    texts = [_folded(text) for text in entry.searched]
    return all(any(word in text for text in texts) for word in folded)


def _folded(text: str) -> str:
    """The form in which texts are compared, that of LDAP's caseIgnoreMatch (RFC 4518 §2.2-2.3). Letter case
    is folded one to one, as in OpenLDAP: ß is not ss. Accents make a difference."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).lower())
