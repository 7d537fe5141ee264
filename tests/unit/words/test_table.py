"""Who adds a Reason writes its words in one row; what is missing is shown here."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import click
import pytest

from mssante.cli import main
from mssante.reasons import Reason
from mssante.words.row import NEVER_IN_A_NOTICE, OUR_TROUBLE
from mssante.words.table import GROUPS, WORDS, gathered

PACKAGE = Path(__file__).parents[3] / "mssante"
# A letter that leaves the queue passes through these, and may be ended or put off by what they raise.
ROAD_OF_A_LETTER = (
    *(PACKAGE / "smtp/client").glob("*.py"),
    *(PACKAGE / "trust").glob("*.py"),
    *(PACKAGE / "database").glob("*.py"),
    *(PACKAGE / "delivery" / name for name in ("letters.py", "reception.py", "retry.py", "runner.py")),
    PACKAGE / "smtp/grammar/sending.py",
)


def test_the_files_are_grouped_and_ordered_as_the_reasons_are() -> None:
    assert list(WORDS) == list(Reason)
    source = (PACKAGE / "reasons.py").read_text(encoding="utf-8")
    assert re.findall(r"^    # (.+)$", source, re.MULTILINE) == list(GROUPS)
    for title, group in GROUPS.items():
        first = next(iter(group))
        assert f"    # {title}\n    {first.name} = " in source


def test_a_reason_without_a_row_is_named() -> None:
    short = dict(WORDS)
    del short[Reason.TOO_SLOW]
    with pytest.raises(ValueError, match=r"due to each of: TOO_SLOW$"):
        gathered(short)


def test_a_reason_with_two_rows_is_named() -> None:
    again = {Reason.NUL_OCTET: WORDS[Reason.NUL_OCTET]}
    with pytest.raises(ValueError, match=r"due to each of: NUL_OCTET$"):
        gathered(*GROUPS.values(), again)


@pytest.mark.parametrize("reason", Reason)
def test_an_operator_reads_what_is_wrong_who_must_act_and_what_to_do(reason: Reason) -> None:
    said = WORDS[reason].operator
    for part in (said.cause, said.action):
        assert re.fullmatch(r"[^\s.;:|\n][^\s;|\n]*( [^\s;|\n]+)*(?<!\.)", part)
    assert re.match(r"[a-z]", said.action)
    assert said.sentence == f"{said.cause}; {said.actor.value} must {said.action}"
    assert reason.value not in said.sentence


def test_commands_named_to_an_operator_exist() -> None:
    named = {
        words for row in WORDS.values() for words in re.findall(r"'mssante ([^']+)'", row.operator.sentence)
    }
    assert len(named) > 5
    for words in named:
        command: click.Command = main
        for word in words.split():
            if word.startswith("--"):
                assert any(word in each.opts for each in command.params), words
            else:
                assert isinstance(command, click.Group), words
                command = command.commands[word]


@pytest.mark.parametrize("path", ROAD_OF_A_LETTER, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_what_can_end_a_letter_has_words_in_a_notice(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "Reason":
            assert WORDS[Reason[node.attr]].notice is not NEVER_IN_A_NOTICE, node.attr


def test_trouble_of_ours_is_told_as_ours() -> None:
    ours = {reason for reason, row in WORDS.items() if row.smtp.refused is None}
    assert len(ours) == 8
    assert all(WORDS[reason].notice is OUR_TROUBLE for reason in ours)


def test_words_stand_on_nothing_but_reasons_and_values() -> None:
    allowed = re.compile(r"mssante\.(reasons|limits|model|words)(\.|$)")
    for path in (PACKAGE / "words").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("mssante"):
                assert allowed.match(node.module or ""), (path.name, node.module)
            elif isinstance(node, ast.Import):
                assert not any(each.name.startswith("mssante") for each in node.names), path.name
