"""LIST and LSUB: patterns, hierarchy, subscriptions, special uses."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mssante.imap.grammar import responses
from mssante.imap.grammar.listing import ListedFolder, ListExtended, ListReturn, ListRow, Selection
from mssante.imap.rules.listing import Pattern, lsub_rows, rows
from mssante.model import SpecialUse
from tests.unit.imap.spoken import fastest


@given(st.text("ab/*%", max_size=8), st.text("ab/", max_size=8))
def test_a_pattern_matches_as_a_regular_expression_would(pattern: str, name: str) -> None:
    expression = "".join({"*": ".*", "%": "[^/]*"}.get(letter, letter) for letter in pattern)
    assert Pattern(pattern).matches(name) is bool(re.fullmatch(expression, name))


def test_inbox_matches_in_any_case() -> None:
    assert Pattern("inbox").matches("INBOX")
    assert Pattern("InBox/%").matches("INBOX/a")
    assert not Pattern("a").matches("A")


def test_a_hostile_pattern_costs_little_over_a_thousand_folders() -> None:
    pattern = Pattern("%a*" * 170 + "b")
    assert not pattern.matches("a" * 100)
    assert fastest(lambda: [pattern.matches("a" * 100) for _ in range(1000)], 2) < 0.5


FOLDERS = [
    ListedFolder("INBOX", subscribed=True, use=SpecialUse.INBOX),
    ListedFolder("Sent", subscribed=True, use=SpecialUse.SENT),
    ListedFolder("Work", subscribed=False),
    ListedFolder("Work/2024", subscribed=True),
    ListedFolder("Work/2025", subscribed=False),
    ListedFolder("Lost/child", subscribed=False),
    ListedFolder("Gone", subscribed=True, exists=False),
]


def listed(
    *patterns: str, select: tuple[Selection, ...] = (), tell: tuple[ListReturn, ...] = ()
) -> dict[str, str]:
    command = ListExtended("", patterns, frozenset(select), frozenset(tell))
    return {row.name: " ".join(row.attributes) + "+" * row.child_subscribed for row in rows(command, FOLDERS)}


def test_plain_list_says_children_and_uses() -> None:
    assert listed("*") == {
        "INBOX": r"\HasNoChildren",
        "Lost": r"\Noselect \HasChildren",  # RFC 3501 §6.3.4: what a deleted folder with children becomes
        "Lost/child": r"\HasNoChildren",
        "Sent": r"\HasNoChildren \Sent",
        "Work": r"\HasChildren",
        "Work/2024": r"\HasNoChildren",
        "Work/2025": r"\HasNoChildren",
    }
    assert listed("Lost") == {"Lost": r"\Noselect \HasChildren"}
    assert listed("*", tell=(ListReturn.CHILDREN,)).get("Lost") is None  # RFC 5258 §3


def test_a_level_of_hierarchy_shows_folder_or_not() -> None:  # RFC 3501 §6.3.8
    assert listed("%") == {
        "INBOX": r"\HasNoChildren",
        "Lost": r"\Noselect \HasChildren",
        "Sent": r"\HasNoChildren \Sent",
        "Work": r"\HasChildren",
    }
    assert list(listed("Work/%")) == ["Work/2024", "Work/2025"]


def test_the_empty_pattern_asks_for_the_delimiter() -> None:
    assert rows(ListExtended("", ("",)), FOLDERS) == [ListRow("", (r"\Noselect",), selectable=False)]
    assert rows(ListExtended("x", ("",)), FOLDERS) == [ListRow("", (r"\Noselect",), selectable=False)]


def test_the_reference_stands_before_the_pattern() -> None:
    assert [row.name for row in rows(ListExtended("Work/", ("%",)), FOLDERS)] == ["Work/2024", "Work/2025"]


def test_as_thunderbird_asks() -> None:
    found = listed("*", select=(Selection.SUBSCRIBED,), tell=(ListReturn.SPECIAL_USE,))
    assert found == {
        "INBOX": r"\Subscribed",
        "Gone": r"\NonExistent \Subscribed",
        "Sent": r"\Subscribed \Sent",
        "Work/2024": r"\Subscribed",
    }


def test_a_parent_speaks_for_subscribed_descendants_the_pattern_leaves_out() -> None:  # RFC 5258 §3.5
    select = (Selection.SUBSCRIBED, Selection.RECURSIVEMATCH)
    assert listed("Work", select=select) == {"Work": "+"}
    assert listed("Work", "Work/2024", select=select) == {"Work/2024": r"\Subscribed"}
    assert listed("*", select=select).get("Work") is None
    assert "Lost" not in listed("%", select=select)


def test_special_use_selection_and_several_patterns() -> None:
    assert listed("*", select=(Selection.SPECIAL_USE,)) == {"Sent": r"\Sent"}
    assert listed("S*", "W%") == {"Sent": "", "Work": ""}
    assert (
        listed("*", tell=(ListReturn.CHILDREN, ListReturn.SUBSCRIBED))["Work/2024"]
        == r"\Subscribed \HasNoChildren"
    )


def test_lsub_shows_unsubscribed_parents_only_with_percent() -> None:  # RFC 3501 §6.3.9
    def lsub(pattern: str) -> dict[str, tuple[str, ...]]:
        return {row.name: row.attributes for row in lsub_rows("", pattern, FOLDERS)}

    assert list(lsub("*")) == ["INBOX", "Gone", "Sent", "Work/2024"]
    assert lsub("%") == {"INBOX": (), "Gone": (r"\Noselect",), "Sent": (), "Work": (r"\Noselect",)}


@pytest.mark.parametrize("verb", [b"LIST", b"LSUB"])
def test_rows_on_the_wire(verb: bytes) -> None:
    told = responses.listed(
        [
            ListRow("Projet é&", (r"\Sent", r"\HasChildren"), True),
            ListRow('a"b\\', (), True, child_subscribed=True),
        ],
        verb=verb,
    )
    assert told == (
        b'* %b (\\Sent \\HasChildren) "/" "Projet &AOk-&-"\r\n'
        b'* %b () "/" "a\\"b\\\\" ("CHILDINFO" ("SUBSCRIBED"))\r\n' % (verb, verb)
    )
