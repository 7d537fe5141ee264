"""docs/imap4rev2.md names tests and dialogues that exist."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[3]
LINES = (ROOT / "docs/imap4rev2.md").read_text(encoding="utf-8").splitlines()
SHOWN = re.compile(r"\| `([^`]+)` \|$")


def exists(shown: str) -> bool:
    if shown.endswith(".imap"):
        return (ROOT / "tests/dialogues" / shown).is_file()
    file, _, test = shown.partition("::")
    found = [path for path in (ROOT / "tests").rglob(file) if "def " + test + "(" in path.read_text("utf-8")]
    return len(found) == 1


def test_every_clause_is_shown_by_a_test_that_is_there() -> None:
    rows = [line for line in LINES if re.match(r"\| ([0-9A-Z.]+) \|", line)]
    assert len(rows) > 60
    for row in rows:
        found = SHOWN.search(row)
        assert found is not None, row
        assert exists(found[1]), row
