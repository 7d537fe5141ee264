"""docs/imap.md says what is advertised, neither more nor less, and what it names exists."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from mssante import limits
from mssante.imap.rules.state import ProtocolState, State

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/imap.md").read_text(encoding="utf-8")
TESTS = re.compile(r"`(tests/[\w/.-]+?)(?:::(test_\w+))?`")


def _section(title: str) -> list[str]:
    found = re.search(rf"^## {title}\n(.*?)(?=^## |\Z)", PAGE, re.DOTALL | re.MULTILINE)
    assert found is not None, title
    return found[1].splitlines()


def _rows(title: str) -> dict[str, str]:
    """A table's rows by what their first cell names in code."""
    rows = {}
    for line in _section(title):
        cell = line.split("|")[1] if line.startswith("|") else ""
        for name in re.findall(r"`([^`]+)`", cell):
            rows[name] = line
    return rows


def _advertised() -> set[str]:
    session = ProtocolState(tls=False, append_octets_max=1)
    found = set(session.capabilities())
    session.tls_started()
    found.update(session.capabilities())
    session.authenticated()
    assert session.state is State.AUTHENTICATED
    found.update(session.capabilities())
    return {re.sub(r"^(APPENDLIMIT)=\d+$", r"\1", name) for name in found}


@cache
def _tests_of(file: str) -> set[str]:
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def test_every_capability_stands_on_the_page_and_no_other() -> None:
    assert set(_rows("What is offered")) == _advertised()


def test_what_is_not_offered_is_not_advertised() -> None:
    left_out = set(_rows("What is not offered"))
    assert left_out
    assert not left_out & _advertised()


def test_each_capability_names_what_proves_it() -> None:
    for name, line in _rows("What is offered").items():
        assert TESTS.search(line), name


@pytest.mark.parametrize(("file", "test"), sorted(set(TESTS.findall(PAGE))))
def test_what_is_named_exists(file: str, test: str) -> None:
    assert (ROOT / file).exists()
    if test:
        assert test in _tests_of(file)


def test_each_limit_has_the_value_the_page_gives() -> None:
    rows = _rows("Limits")
    assert len(rows) > 10
    for name, line in rows.items():
        value = getattr(limits, name)
        assert _written(value) in line, f"{name} is {_written(value)}"


def _written(value: int) -> str:
    for unit, name in ((limits.MIB, "MiB"), (limits.KIB, "KiB")):
        if value >= unit and value % unit == 0:
            return f"{value // unit} {name}"
    return f"{value:,}"
