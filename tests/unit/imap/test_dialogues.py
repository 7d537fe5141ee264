"""The dialogues under tests/dialogues are well formed, as far as the core alone can tell."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mssante.imap.grammar.events import Bye
from mssante.imap.grammar.wire import Wire
from tests.unit.imap.spoken import events, logged_in

DIALOGUES = sorted((Path(__file__).parents[2] / "dialogues").glob("*.imap"))
CLAUSE = re.compile(r"# .*(RFC \d+|Facts §\d+)")
ANSWER = "(?:OK|NO|BAD|…)"
LINE = re.compile(
    r"#.*|! (messages: \d+|state: (greeting|clear)|strict: yes|received: .+)|2?[CSNE]: .*|2?C: |M:( .*)?|"
)


@pytest.mark.parametrize("path", DIALOGUES, ids=lambda path: path.stem)
def test_a_dialogue_cites_its_clause_and_speaks_whole_commands(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    assert CLAUSE.match(lines[0])
    assert all(LINE.fullmatch(line) for line in lines)
    for side in ("", "2"):
        said = "".join(
            line.removeprefix(f"{side}C: ") + "\r\n" for line in lines if line.startswith(f"{side}C:")
        )
        answered = [found[1] for line in lines if (found := re.match(rf"{side}S: ([^*+ ]+) {ANSWER}", line))]
        tags = set()
        for refuse in (False, True):  # what an APPEND's answer is, the core does not know
            wire = Wire() if any(line.startswith("! state") for line in lines) else logged_in()
            told = events(wire, [said.encode()], refuse=refuse)
            assert not any(isinstance(event, Bye) for event in told)
            tags |= {getattr(event, "tag", None) for event in told}
            assert not wire.pending
        assert tags >= set(answered)


def test_there_are_dialogues() -> None:
    assert len(DIALOGUES) >= 10
