"""docs/architecture.md draws the house as it stands: its layers are those of import-linter's contract, its
rooms and its Protocols those of the package."""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "mssante"
PAGE = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
ROW = re.compile(r"^\| `(\w+)` \| (.+?) \| (.+?) \|", re.MULTILINE)


def drawn(page: str) -> list[str]:
    """The indented lines of the page's section on layers, without what is said beside them."""
    section = page.partition("## Layers")[2].partition("\n## ")[0]
    return [re.split(r"\s{3,}", line.strip())[0] for line in section.splitlines() if line.startswith("    ")]


def test_the_layers_are_those_that_are_enforced() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
    (layers,) = (
        each["layers"] for each in contracts["contracts"] if each["name"] == "Imports point down only"
    )
    assert drawn(PAGE) == [layer for layer in layers if layer != "__main__"]


def test_every_room_is_drawn() -> None:
    plan = PAGE.partition("## The house")[2].partition("\n## ")[0]
    rooms = {path.stem for path in PACKAGE.iterdir() if path.is_dir() or path.suffix == ".py"} - {
        "__init__",
        "__main__",
        "__pycache__",
    }
    assert {room for room in rooms if not re.search(rf"(?<![a-z_]){room}(?![a-z_])", plan)} == set()


def protocols() -> dict[str, Path]:
    found = {}
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef) and any(
                isinstance(base, ast.Name) and base.id == "Protocol" for base in node.bases
            ):
                found[node.name] = path
    return found


def test_each_protocol_has_two_implementations_that_the_page_names() -> None:
    rows = {name: named for name, named, _ in ROW.findall(PAGE)}
    assert set(rows) == set(protocols())
    source = "\n".join(path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.py"))
    for name, named in rows.items():
        implementations = re.findall(r"`(\w+)`", named)
        assert len(implementations) >= 2, name
        for each in implementations:
            assert re.search(rf"^\s*(class|def|async def) {each}\b", source, re.MULTILINE), each
