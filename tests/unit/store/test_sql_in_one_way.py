"""docs/decisions/0013-sql-in-one-way.md: the stores' statements are Core constructs, never texts."""

from __future__ import annotations

import ast
from pathlib import Path

import mssante

PACKAGE = Path(mssante.__file__).parent
DRIVER = PACKAGE / "store" / "statements.py"  # hands compiled statements to the driver


def names(path: Path) -> set[str]:
    """What a file imports from SQLAlchemy, and which attributes it uses of anything."""
    found = set[str]()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("sqlalchemy"):
            found |= {f"sqlalchemy.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Attribute):
            found.add(node.attr)
    return found


def test_no_statement_is_a_text() -> None:
    for store in ("store", "keys"):
        for path in (PACKAGE / store).rglob("*.py"):
            if "migrations" in path.parts or path.name == "tables.py":
                continue  # tables.py: the condition of a partial index
            used = names(path)
            assert "sqlalchemy.text" not in used, path
            assert path == DRIVER or "exec_driver_sql" not in used, path
