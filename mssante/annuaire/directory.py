"""What a directory answers, whoever answers it: the Protocol, and the search they all agree on.

Invariants: an unlisted mailbox is found by its exact address alone; a search shows active, listed
mailboxes only; the same data gives the same answers whichever implementation holds it.
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
    """Two live implementations: LdapDirectory and LdifDirectory. All their answers may be late, none hangs.

    Every method raises Passing(DIRECTORY_UNAVAILABLE) when the directory cannot answer now. Such a
    failure must never block a letter to a mailbox of ours: local mailboxes are known without it.
    """

    async def mailbox(self, address: Address) -> MailboxEntry | None:
        """The mailbox at this exact address (case apart), unlisted ones included; None when there is none.

        Passing(DIRECTORY_UNAVAILABLE) also when its entry is there and malformed, or there twice:
        the directory's trouble is not proof that a correspondent does not exist."""
        ...

    async def search(self, text: str, limit: int) -> tuple[MailboxEntry, ...]:
        """Active, listed mailboxes having every word of `text` somewhere in their public attributes, best
        rank first, at most `limit` and never more than DIRECTORY_FOUND_MAX.

        Nothing is found by words all shorter than 3 characters. Malformed when the text has a control
        character or is over 256 octets."""
        ...

    async def trust_pairs(self) -> TrustAnswer:
        """Every (domain, certificate DN) the directory states, and the entries set aside, with why."""
        ...

    async def aclose(self) -> None:
        """Lets go of threads and connections; afterwards every question is Passing."""
        ...


def search_words(text: str) -> tuple[str, ...]:
    """The words of a search, as written; () when none is long enough. Raises Malformed."""
    refuse_unsafe(text)
    words = tuple(dict.fromkeys(text.split()))
    if len(words) > DIRECTORY_WORDS_MAX:
        raise Malformed(f"over {DIRECTORY_WORDS_MAX} words")
    return words if any(len(word) >= DIRECTORY_WORD_CHARACTERS_MIN for word in words) else ()


def best(entries: Iterable[MailboxEntry], words: Iterable[str], limit: int) -> tuple[MailboxEntry, ...]:
    """Those of `entries` a search for `words` may show, best rank first, each address once."""
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
    """RFC 4518 §2.2-2.3: what LDAP's caseIgnoreMatch compares, with OpenLDAP's one-to-one folding (ß is not
    ss). Accents count."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).lower())
