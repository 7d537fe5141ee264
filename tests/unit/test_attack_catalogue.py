"""docs/attack-catalogue.md names tests that exist, and a campaign for one."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
ROWS = {f"S{n}" for n in range(1, 16)} | {f"T{n}" for n in range(1, 8)}
ROWS |= {"R1", "R2", "R4", "R5", "R7", "R8", "R9", "R13", "R14"}
ROWS |= {f"I{n}" for n in range(1, 18) if n != 11}
ROWS |= {"K1", "K2", "K3", "K5", "K9", "K10", "K13", "K14"}
ROWS |= {"X1", "X2"}
ROWS |= {f"D{n}" for n in range(1, 5)}
ROWS |= {"R3", "R10", "R11", "R12", "R15", "T8", "T9", "T10", "T12", "T14", "T16", "T17", "T19", "T20", "T21"}
ROWS |= {"D5", "K4", "K6", "K11", "K15", "K19", "K20"}
ROWS |= {f"C{n}" for n in (1, 3, 4, 6, 7, 9, 10, 11, 15, 16, 17, 28, 30)}
ROWS |= {"T22", "C31", "C32"}
NAMED = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`( \(campaign\))?")


@cache
def _written_in(file: str) -> dict[str, bool]:
    """Each test of a file, and whether it is a campaign."""
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    return {
        node.name: any("campaign" in ast.unparse(decorator) for decorator in node.decorator_list)
        for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }


def test_every_test_named_exists_and_is_a_campaign_where_it_says_so() -> None:
    lines = (ROOT / "docs/attack-catalogue.md").read_text(encoding="utf-8").splitlines()
    seen = set()
    for line in lines:
        row = re.match(r"\| ([A-Z]\d+) \|", line)
        if row is None:
            continue
        seen.add(row[1])
        named = NAMED.findall(line)
        assert named, row[1]
        assert line.count("::") == len(named), row[1]
        for file, test, campaign in named:
            assert test in _written_in(file), f"{row[1]}: {file}::{test}"
            assert _written_in(file)[test] == bool(campaign), f"{row[1]}: {file}::{test}"
    assert seen == ROWS
