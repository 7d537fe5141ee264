"""docs/limits.md says of every bound what it is counted per, and leaves others their share of each shared one."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.unit.test_limits import LIMITS, UNITS

PAGE = Path(__file__).parents[2] / "docs" / "limits.md"
ROW = re.compile(r"^\| `([A-Z0-9_]+)` \| ([^|]+) \| ([^|]+) \|$", re.MULTILINE)
NAMES = re.findall(r"^([A-Z][A-Z0-9_]+) = ", LIMITS.read_text(encoding="utf-8"), re.MULTILINE)
BOUNDS = {name for name in NAMES if name not in UNITS}
SHARED = {"server", "port", "database", "disk"}
# A cache is filled again, a wait or a step ends by itself, and what only warns or stops us refuses nobody.
HARMLESS = re.compile(r"\b(again|forgotten|warns|does not start|the next|stranger)\b")


def _rows() -> list[tuple[str, str, str]]:
    return [(name, per.strip(), then.strip()) for name, per, then in ROW.findall(PAGE.read_text("utf-8"))]


def test_the_page_has_every_bound_once_and_no_other() -> None:
    named = [name for name, _, _ in _rows()]
    assert len(named) == len(set(named))
    assert set(named) == BOUNDS


@pytest.mark.parametrize(
    ("name", "per", "then"),
    [pytest.param(*row, id=row[0]) for row in _rows() if row[1].split(",")[0].split(" ")[0] in SHARED],
)
def test_a_shared_bound_leaves_others_their_share(name: str, per: str, then: str) -> None:
    others = set(re.findall(r"[A-Z][A-Z0-9_]{4,}", then)) - {name}
    assert HARMLESS.search(then) or others & BOUNDS, f"{name} is shared ({per}) and names no share"
