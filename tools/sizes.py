"""Fails when a file or a function is longer than CONTRIBUTING.md allows. Files of tests may be longer."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

FILE_LINES_MAX = 400
FUNCTION_LINES_MAX = 60


def complaints(path: Path) -> list[str]:
    text = path.read_text(encoding="utf-8")
    found = []
    lines = text.count("\n")
    if lines > FILE_LINES_MAX and path.parts[0] != "tests":
        found.append(f"{path}: {lines} lines (limit {FILE_LINES_MAX})")
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            if length > FUNCTION_LINES_MAX:
                found.append(
                    f"{path}:{node.lineno}: {node.name} has {length} lines (limit {FUNCTION_LINES_MAX})"
                )
    return found


def main() -> int:
    listed = subprocess.run(
        ["git", "ls-files", "*.py"], check=True, capture_output=True, text=True
    ).stdout.split()
    found = [complaint for name in listed if Path(name).exists() for complaint in complaints(Path(name))]
    print("\n".join(found) or f"{len(listed)} files within the limits")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
