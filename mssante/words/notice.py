"""Why a letter was not delivered, and who must act, in the words of a notice: French first, then English.

Invariants: every Reason has words; none of them holds anything of a peer's or of the letter.
"""

from __future__ import annotations

from mssante.reasons import Reason
from mssante.words.row import NEVER_IN_A_NOTICE, OUR_TROUBLE, Explanation
from mssante.words.table import WORDS


def explanation(reason: Reason) -> Explanation:
    """Words for a reason. Should a letter be ended by one that never does that, the trouble is ours."""
    said = WORDS[reason].notice
    return OUR_TROUBLE if said is NEVER_IN_A_NOTICE else said
