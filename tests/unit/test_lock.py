"""What is installed is what was tested: every package by version and by the hash of its octets."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LOCKS = ["requirements.txt", "requirements-test.txt"]
ENTRY = re.compile(r"([A-Za-z0-9._-]+)==([^\s;]+)(?: ; [^\\]+)?((?: \\\n    --hash=sha256:[0-9a-f]{64})+)")


def _named(text: str) -> str:
    name = re.match(r"[A-Za-z0-9._-]+", text)
    assert name is not None, text
    return re.sub(r"[-_.]+", "-", name[0]).lower()


def locked(name: str) -> dict[str, str]:
    """The version of each package, all of whose lines are of the one form that has hashes."""
    text = (ROOT / name).read_text(encoding="utf-8")
    assert ENTRY.sub("", text).strip() == "", "a package without a version or a hash"
    return {_named(package): version for package, version, _ in ENTRY.findall(text)}


@pytest.mark.parametrize("name", LOCKS)
def test_every_package_has_its_hashes(name: str) -> None:
    assert len(locked(name)) > 20


def test_what_pyproject_asks_for_is_locked_and_tests_run_on_what_operators_install() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    program, tests = locked(LOCKS[0]), locked(LOCKS[1])
    wanted = [*project["project"]["dependencies"], *project["build-system"]["requires"]]
    assert {_named(each) for each in wanted} <= set(program)
    assert {_named(each) for each in project["project"]["optional-dependencies"]["test"]} <= set(tests)
    assert program.items() <= tests.items()


def test_no_documented_or_made_installation_goes_round_the_hashes() -> None:
    """The lock itself is made from names: that one line of the Makefile is the exception."""
    documents = [
        ROOT / "Makefile",
        ROOT / "README.md",
        ROOT / "CONTRIBUTING.md",
        *(ROOT / "docs").rglob("*.md"),
    ]
    installing = [
        line.strip()
        for document in documents
        for line in document.read_text(encoding="utf-8").splitlines()
        if re.match(r"(\t|\s*\S*/|.*&& \S*)(pip|\$\(PIP\)) ?(install|--|wheel)|\t\$\(PIP\)", line)
    ]
    assert len(installing) >= 6
    loose = [each for each in installing if not re.search(r"--require-hashes|--no-deps", each)]
    assert loose == ["$(LOCK)/bin/pip install -q --disable-pip-version-check '.[test]' 'setuptools>=80' uv"]
