"""The dialogues under tests/dialogues are well formed, as far as the core alone can tell."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mssante.imap.events import Bye
from mssante.imap.wire import Wire
from tests.unit.imap.spoken import events, logged_in

DIALOGUES = sorted((Path(__file__).parents[2] / "dialogues").glob("*.imap"))
CLAUSE = re.compile(r"# .*(RFC \d+|Facts §\d+)")
LINE = re.compile(r"#.*|! (messages: \d+|state: (greeting|clear))|2?[CSN]: .*|2?C: |")


@pytest.mark.parametrize("path", DIALOGUES, ids=lambda path: path.stem)
def test_a_dialogue_cites_its_clause_and_speaks_whole_commands(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    assert CLAUSE.match(lines[0])
    assert all(LINE.fullmatch(line) for line in lines)
    for side in ("", "2"):
        said = "".join(
            line.removeprefix(f"{side}C: ") + "\r\n" for line in lines if line.startswith(f"{side}C:")
        )
        answered = [line.split()[1] for line in lines if re.match(rf"{side}S: \w+ ", line)]
        wire = Wire() if "! state" in lines[1] else logged_in()
        told = events(wire, [said.encode()])
        assert not any(isinstance(event, Bye) for event in told)
        tags = {getattr(event, "tag", None) for event in told}
        assert tags >= {tag for tag in answered if not tag.endswith(":")}
        assert not wire.pending


def test_there_are_dialogues() -> None:
    assert len(DIALOGUES) >= 10
