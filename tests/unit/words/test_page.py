"""docs/refusals.md says of each Reason what the table says, and nothing else."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from mssante.reasons import Reason
from mssante.words.imap import imap_answer
from mssante.words.row import NEVER_IN_A_NOTICE, Words
from mssante.words.table import GROUPS

PAGE = (Path(__file__).parents[3] / "docs/refusals.md").read_text(encoding="utf-8")
HEAD = (
    "| Reason | SMTP | IMAP | notice | what is wrong | who must act | what to do |",
    "|---|---|---|---|---|---|---|",
)


def row(reason: Reason, words: Words) -> str:
    """The line of the page that tells `reason`."""
    codes = dict.fromkeys(code for code in (words.smtp.refused, words.smtp.passing) if code)
    code = imap_answer(reason).code
    cells = (
        f"`{reason.value}`",
        " or ".join(codes),
        f"`{code}`" if code else "–",
        "–" if words.notice is NEVER_IN_A_NOTICE else words.notice.status,
        words.operator.cause,
        words.operator.actor.value,
        re.sub(r"(?<!\w)'([^']+)'", r"`\1`", words.operator.action),
    )
    return f"| {' | '.join(cells)} |"


def rows(group: Mapping[Reason, Words]) -> list[str]:
    return [*HEAD, *(row(reason, words) for reason, words in group.items())]


@pytest.mark.parametrize("title", GROUPS)
def test_the_page_says_what_the_table_says(title: str) -> None:
    section = re.search(rf"^## {title}\n(.*?)(?=^## |\Z)", PAGE, re.DOTALL | re.MULTILINE)
    assert section is not None
    written = [line for line in section[1].splitlines() if line.startswith("|")]
    assert written == rows(GROUPS[title])


def test_no_section_tells_of_something_else() -> None:
    assert re.findall(r"^## (.+)$", PAGE, re.MULTILINE) == list(GROUPS)
