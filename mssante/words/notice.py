"""Why a letter was not delivered, and who must act, in the words of a notice: French first, then English.

Invariants: every Reason has words; they hold nothing that comes from a peer or from the letter.
"""

from __future__ import annotations

from mssante.reasons import Reason
from mssante.words.row import NEVER_IN_A_NOTICE, OUR_TROUBLE, Explanation
from mssante.words.table import WORDS


def explanation(reason: Reason) -> Explanation:
    """The words for a reason. Some reasons never end a letter; if one does, we say that the fault is ours."""
    said = WORDS[reason].notice
    return OUR_TROUBLE if said is NEVER_IN_A_NOTICE else said
