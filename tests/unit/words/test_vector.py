"""What is said of each Reason is what tests/vectors/words-v1.json holds, to the letter.

Practice software reads these codes, and people these texts. Who means to change one changes the vector in the
same commit, so that the change is seen.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mssante.reasons import Passing, Reason, Refused
from mssante.words.imap import imap_answer
from mssante.words.notice import explanation
from mssante.words.smtp import smtp_answer

VECTOR = json.loads((Path(__file__).parents[2] / "vectors/words-v1.json").read_text(encoding="utf-8"))


def test_the_vector_holds_every_reason_and_no_other() -> None:
    assert list(VECTOR) == [reason.value for reason in Reason]


@pytest.mark.parametrize("reason", Reason)
def test_what_is_said_of_a_reason_is_what_the_vector_holds(reason: Reason) -> None:
    notice = explanation(reason)
    assert VECTOR[reason.value] == {
        "smtp_refused": str(smtp_answer(Refused(reason))),
        "smtp_passing": str(smtp_answer(Passing(reason))),
        "imap": str(imap_answer(reason)),
        "notice": {"status": notice.status, "french": notice.french, "english": notice.english},
    }
