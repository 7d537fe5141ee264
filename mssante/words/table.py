"""The table of all words: one row for each Reason, from seven files, which follow the groups of `reasons`.

To add a Reason: name it in `reasons`, write its row in the file of its group, and give its answers to
tests/vectors/words-v1.json and docs/refusals.md.

Invariants: every Reason has exactly one row, in one file; otherwise the package cannot be imported.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from mssante.reasons import Reason
from mssante.words.addresses import ADDRESSES
from mssante.words.asked import ASKED
from mssante.words.message import MESSAGE
from mssante.words.ours import OURS
from mssante.words.reading import READING
from mssante.words.row import Words
from mssante.words.session import SESSION
from mssante.words.trust import TRUST

GROUPS: Mapping[str, Mapping[Reason, Words]] = {
    "The peer and its certificate": TRUST,
    "Addresses and mailboxes": ADDRESSES,
    "The message": MESSAGE,
    "The session": SESSION,
    "Reading": READING,
    "What an operator asks": ASKED,
    "Ours": OURS,
}


def gathered(*groups: Mapping[Reason, Words]) -> Mapping[Reason, Words]:
    """All rows in one table. Raises ValueError naming the reasons without a row, or with two."""
    found = [reason for group in groups for reason in group]
    wrong = [reason.name for reason in Reason if found.count(reason) != 1]
    if wrong:
        raise ValueError(f"one row in words/ is due to each of: {', '.join(wrong)}")
    return MappingProxyType({reason: words for group in groups for reason, words in group.items()})


WORDS = gathered(*GROUPS.values())
