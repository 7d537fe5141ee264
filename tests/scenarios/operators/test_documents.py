"""The operators' documents are true: every command in a `console` block runs, in the order they are read."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
DOCUMENTS = ["install.md", "operate.md", "recover.md"]
BLOCK = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SECRET = re.compile(r"\.(db|db-wal|db-shm|copy|key|dump)$|^secret$")
SECRET_NAMED = re.compile(r"\b[\w-]+\.(db|copy|key|dump)\b|/pki\b")
LINK = re.compile(r"\]\(([^)#]+)(?:#[^)]*)?\)")


def commands(document: str) -> list[str]:
    text = (ROOT / "docs/operators" / document).read_text(encoding="utf-8")
    lines = [line for block in BLOCK.findall(text) for line in block.splitlines()]
    assert all(line.startswith("$ ") for line in lines), document
    return [line[2:] for line in lines]


def test_every_documented_command_runs(tmp_path: Path) -> None:
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
    }
    ran = 0
    before = os.umask(0o022)  # what a shell has, whoever runs this
    try:
        ran = _run_all(tmp_path, environment)
    finally:
        os.umask(before)
    assert ran > 20


def _run_all(folder: Path, environment: dict[str, str]) -> int:
    ran = 0
    for document in DOCUMENTS:
        for command in commands(document):
            done = subprocess.run(
                ["bash", "-c", command],
                cwd=folder,
                env=environment,
                capture_output=True,
                text=True,
                timeout=60,
                stdin=subprocess.DEVNULL,
            )
            assert done.returncode == 0, f"{document}: {command}\n{done.stdout}{done.stderr}"
            assert open_to_others(folder) == [], f"{document}: {command}"
            ran += 1
    return ran


def open_to_others(folder: Path) -> list[str]:
    """Files with keys, mail, passwords or copies of them that others could read."""
    return [
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if SECRET.search(path.name) and path.is_file() and path.stat().st_mode & 0o077
    ]


def test_every_documented_copy_is_made_for_us_alone() -> None:
    """By umask, because a chmod afterwards comes too late. A copy of a certificate or a list is no secret."""
    documents = [*(ROOT / "docs").rglob("*.md"), ROOT / "README.md"]
    copying = [
        line.strip()
        for document in documents
        for line in document.read_text(encoding="utf-8").splitlines()
        if re.search(r"^\s*\$? ?.*(\bcp |\.backup\(|pg_dump .*>)", line) and SECRET_NAMED.search(line)
    ]
    assert len(copying) >= 4
    assert [line for line in copying if "umask 077" not in line] == []


def test_every_link_between_documents_leads_somewhere() -> None:
    documents = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *ROOT.glob("*/README.md")]
    assert len(documents) > 8
    for document in documents:
        for target in LINK.findall(document.read_text(encoding="utf-8")):
            if not re.match(r"[a-z]+:", target):
                assert (document.parent / target).exists(), f"{document.relative_to(ROOT)}: {target}"
