"""docs/attack-catalogue.md answers every row of the catalogue, by tests that exist or by what is missing."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
# The whole catalogue: S is about framing, R sessions, T trust, I IMAP, K storage and keys, D the directory,
# X content, C campaigns.
LAST = {"S": 15, "R": 15, "T": 22, "I": 17, "K": 20, "D": 5, "X": 4, "C": 31}
ROWS = {f"{letter}{n}" for letter, last in LAST.items() for n in range(1, last + 1)}
FINDINGS = {str(n) for n in range(1, 21)} | {"12b", "17b"}
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


def _lines() -> list[str]:
    return (ROOT / "docs/attack-catalogue.md").read_text(encoding="utf-8").splitlines()


def _rows(pattern: str) -> dict[str, str]:
    found = [(row[1], line) for line in _lines() if (row := re.match(pattern, line))]
    assert len(found) == len(dict(found)), "a row is there twice"
    return dict(found)


def test_every_test_named_exists_and_is_a_campaign_where_it_says_so() -> None:
    for line in _lines():
        named = NAMED.findall(line)
        assert line.count(".py::") == len(named), line
        for file, test, campaign in named:
            assert test in _written_in(file), f"{file}::{test}"
            assert _written_in(file)[test] == bool(campaign), f"{file}::{test}"


def test_each_row_of_the_catalogue_is_shown_by_a_test_or_says_what_is_missing() -> None:
    rows = _rows(r"\| ([A-Z]\d+) \|")
    assert rows.keys() == ROWS
    for row, line in rows.items():
        assert NAMED.search(line) or re.search(r"\| – \| not (yet|in the tests): ", line), row


def test_each_finding_of_the_attack_on_the_code_is_shown_by_a_test() -> None:
    rows = _rows(r"\| (\d+b?) \|")
    assert rows.keys() == FINDINGS
    assert all(NAMED.search(line) for line in rows.values())
