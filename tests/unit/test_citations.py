"""What source, tests and pages name by a number has its place in the repository.

Read are comments, docstrings and pages: `facts §1`, `invariant 4`, and identifiers of the families below.
Strings and code are not read: `A3` is a tag in a dialogue, `C3` an octet of an encoded word. An identifier's
place is a table row whose first cell it is, in the home of its family and nowhere else; that of `facts §1` is
a heading.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FACTS, FINDINGS, CATALOGUE = "docs/facts.md", "docs/findings.md", "docs/attack-catalogue.md"
HOMES = {"A": FINDINGS, **dict.fromkeys("CDIKRSTX", CATALOGUE)}
INVARIANTS = "## Invariants of what is stored"

_FAMILY = f"[{''.join(HOMES)}]"
# `S12`, and `S12-S14` for three of them. In a longer word it is none: `=C3=A9`, `CDA-R2`, `TRE_R256`.
_IDENTIFIER = re.compile(
    rf"(?<![\w=%./@\\-])({_FAMILY})([1-9]\d{{0,2}})(?:[-–]({_FAMILY})([1-9]\d{{0,2}}))?(?![\w=%@]|[-–./]\w)"
)
_FACT = re.compile(r"\bfacts §(\d+)", re.IGNORECASE)
_INVARIANT = re.compile(r"\binvariant (\d+)\b", re.IGNORECASE)
# Texts that the repository does not hold. PERF's folder is a program's, and may be absent.
_ELSEWHERE = re.compile(
    r"security-reliability|(?:mssante|hospital|documents)-facts|\b(?:design|anchors|style)\.md"
    r"|\bshared/(?!perf\b)|\bissue \d"
)


def _prose(name: str, text: str) -> Iterator[tuple[int, str]]:
    """The lines of a file that are written for its reader, with their numbers."""
    if name.endswith(".py"):
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            if token.type == tokenize.COMMENT:
                yield token.start[0], token.string
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
                for number, line in enumerate(str(node.value.value).splitlines(), node.lineno):
                    yield number, line
    elif name.endswith(".md"):
        fenced = False
        for number, line in enumerate(text.splitlines(), 1):
            fenced ^= line.lstrip().startswith("```")
            if not fenced and not line.startswith("    "):
                yield number, re.sub(r"`[^`]*`", "", line)
    else:
        for number, line in enumerate(text.splitlines(), 1):
            comment = re.search(r"(?:^|\s)(?:#|//|--) (.*)", line)
            if comment is not None:
                yield number, comment[1]


def citations(name: str, text: str) -> Iterator[tuple[int, str]]:
    """What a file names, as `(line, "R10")`, `(line, "facts §1")`, `(line, "invariant 4")`."""
    for number, line in _prose(name, text):
        for family, first, _, last in _IDENTIFIER.findall(line):
            for each in range(int(first), int(last or first) + 1):
                yield number, f"{family}{each}"
        yield from ((number, f"facts §{found}") for found in _FACT.findall(line))
        yield from ((number, f"invariant {found}") for found in _INVARIANT.findall(line))


def places(texts: Mapping[str, str]) -> dict[str, list[str]]:
    """Each identifier with the pages that give it a place: one, if all is well."""
    found: dict[str, list[str]] = {}
    for page in (FINDINGS, CATALOGUE):
        for identifier in re.findall(rf"^\| ({_FAMILY}[1-9]\d*) \|", texts[page], re.MULTILINE):
            found.setdefault(identifier, []).append(page)
    for number in re.findall(r"^## (\d+)\. ", texts[FACTS], re.MULTILINE):
        found.setdefault(f"facts §{number}", []).append(FACTS)
    section = texts[FINDINGS].partition(f"\n{INVARIANTS}\n")[2].partition("\n## ")[0]
    for number in re.findall(r"^\| (\d+) \|", section, re.MULTILINE):
        found.setdefault(f"invariant {number}", []).append(FINDINGS)
    return found


def without_place(texts: Mapping[str, str]) -> list[str]:
    """`file:line: identifier` for each one that is named and has no place."""
    known = places(texts)
    return sorted(
        f"{name}:{line}: {identifier}"
        for name, text in texts.items()
        for line, identifier in citations(name, text)
        if identifier not in known
    )


def elsewhere(texts: Mapping[str, str]) -> list[str]:
    """`file:line: words` for each mention of a text that the repository does not hold."""
    return sorted(
        f"{name}:{number}: {found}"
        for name, text in texts.items()
        for number, line in _prose(name, text)
        for found in _ELSEWHERE.findall(line)
    )


@cache
def _repository() -> dict[str, str]:
    files = [*ROOT.glob("*.md"), *ROOT.glob("*.toml"), ROOT / "Makefile"]
    for folder in ("mssante", "tests", "annuaire", "certs", "docs"):
        files += (ROOT / folder).rglob("*")
    return {
        str(path.relative_to(ROOT)): path.read_text(encoding="utf-8")
        for path in files
        if path.is_file() and path.suffix not in (".pyc", ".json", ".png")
    }


def test_every_identifier_named_has_its_place() -> None:
    assert without_place(_repository()) == []


def test_no_identifier_has_two_places_or_lives_away_from_its_family() -> None:
    for identifier, pages in places(_repository()).items():
        assert len(pages) == 1, identifier
        assert HOMES.get(identifier[0], pages[0]) == pages[0], identifier


def test_what_is_cited_can_be_read_here() -> None:
    assert elsewhere(_repository()) == []


PAGES = {
    FACTS: "## 1. The trust space\n",
    FINDINGS: f"| A3 | x |\n| A4 | y |\n\n{INVARIANTS}\n\n| 4 | UIDs grow |\n\n## Bounds\n| 9 | of none |\n",
    CATALOGUE: "| R1 | a line |\n",
}


@pytest.mark.parametrize(
    ("name", "text", "missing"),
    [
        ("a.py", "x = 1  # R1, facts §1, A3-A4, invariant 4", []),
        ("a.py", '"""Facts §99."""', ["facts §99"]),
        ("a.py", "x = 1  # as R999 wants", ["R999"]),
        ("a.py", "def f():\n    'A made-up row (T22).'", ["T22"]),
        ("a.py", "x = 1  # A3–A5", ["A5"]),
        ("a.py", "x = 1  # invariant 9", ["invariant 9"]),
        ("a.md", "see K99, not `K98`\n```\nK97\n```\n", ["K99"]),
        ("a.imap", "# Facts §7: a clause\nC: A12 SELECT INBOX", ["facts §7"]),
        ("Makefile", "# S77\nS78 = 1", ["S77"]),
        ("a.py", "x = 'R999 facts §99'", []),
        ("a.py", "# =?utf-8?q?=C3=A9?=, %C3%A9, CDA-R2, TRE_R256, P256, SHA1, d@X7.test, R2D2", []),
    ],
)
def test_what_has_no_place_is_found(name: str, text: str, missing: list[str]) -> None:
    assert [found.rpartition(": ")[2] for found in without_place({**PAGES, name: text})] == missing


def test_two_places_are_found() -> None:
    assert places({**PAGES, CATALOGUE: "| A3 | again |\n"})["A3"] == [FINDINGS, CATALOGUE]


@pytest.mark.parametrize(
    "line", ["# security-reliability §5.3", "# see design.md", "# in ../shared/facts", "# issue 6 asks"]
)
def test_a_mention_of_a_text_that_is_elsewhere_is_found(line: str) -> None:
    assert len(elsewhere({"a.py": line})) == 1
    assert elsewhere({"a.py": "# docs/findings.md, ../shared/perf, redesign, a style of its own"}) == []
