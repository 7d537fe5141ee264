"""docs/limits.md says whose each bound is, and what leaves others their share of a bound that all have."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.unit.test_limits import LIMITS, UNITS

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "limits.md"
ROW = re.compile(r"^\| `([A-Z0-9_]+)` \| ([^|]+) \| ([^|]+) \|$", re.MULTILINE)
NAMES = re.findall(r"^([A-Z][A-Z0-9_]+) = ", LIMITS.read_text(encoding="utf-8"), re.MULTILINE)
BOUNDS = {name for name in NAMES if name not in UNITS}
SHARED = ("server", "port", "database", "disk", "directory", "status page")
# What refuses nobody: a cache is filled again, a step ends, and what only warns or stops us.
HARMLESS = re.compile(r"\b(again|forgotten|warns|does not start|the next|nobody is refused)\b")
SHOWN = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`")


def _rows() -> list[tuple[str, str, str]]:
    return [(name, per.strip(), then.strip()) for name, per, then in ROW.findall(PAGE.read_text("utf-8"))]


def _shared() -> list[tuple[str, str, str]]:
    return [row for row in _rows() if row[1].startswith(SHARED)]


def test_the_page_has_every_bound_once_and_no_other() -> None:
    named = [name for name, _, _ in _rows()]
    assert len(named) == len(set(named))
    assert set(named) == BOUNDS


def test_what_the_page_names_exists() -> None:
    for name, _, then in _rows():
        others = set(re.findall(r"\b[A-Z]+_[A-Z0-9_]+\b", then))
        assert others <= BOUNDS, name
        for file, test in SHOWN.findall(then):
            assert f"def {test}(" in (ROOT / file).read_text("utf-8"), name


@pytest.mark.parametrize(("name", "per", "then"), [pytest.param(*row, id=row[0]) for row in _shared()])
def test_a_shared_bound_leaves_others_their_share(name: str, per: str, then: str) -> None:
    others = set(re.findall(r"\b[A-Z]+_[A-Z0-9_]+\b", then)) - {name}
    found = HARMLESS.search(then) or SHOWN.search(then) or others & BOUNDS
    assert found, f"{name} is shared ({per}) and names no share"
