"""One word, one thing: no class name stands twice in the package."""

from __future__ import annotations

import ast
from collections import defaultdict
from pathlib import Path

PACKAGE = Path(__file__).parents[2] / "mssante"
# The same idea in the same role, and why. None today.
SAME: dict[str, str] = {}


def doubled(sources: dict[str, str]) -> dict[str, list[str]]:
    """Class names, a leading underscore aside, that several of these files define."""
    found: dict[str, list[str]] = defaultdict(list)
    for name, source in sources.items():
        for node in ast.parse(source).body:
            if isinstance(node, ast.ClassDef):
                found[node.name.lstrip("_")].append(name)
    return {name: files for name, files in found.items() if len(files) > 1}


def test_no_class_name_means_two_things() -> None:
    sources = {str(path): path.read_text(encoding="utf-8") for path in sorted(PACKAGE.rglob("*.py"))}
    assert {name: files for name, files in doubled(sources).items() if name not in SAME} == {}


def test_a_name_used_twice_is_found() -> None:
    assert doubled({"a": "class Row: ...", "b": "class _Row: ...\nclass Line: ..."}) == {"Row": ["a", "b"]}
