"""tools/walks.py: what counts as a move and a climb, and which layer a file lies in."""

from __future__ import annotations

import tomllib

import pytest

from tools.recorder import Step
from tools.walks import Layers, figures, first_times, listing, moves

ONE_CONTRACT = """
[[tool.importlinter.contracts]]
type = "forbidden"
source_modules = ["mssante"]
forbidden_modules = ["aiosmtpd"]

[[tool.importlinter.contracts]]
type = "layers"
containers = ["mssante"]
layers = ["app", "imap.server | smtp.server", "(mailbox)", "store : keys", "imap.rules", "imap", "model"]
"""
SEVERAL_CONTRACTS = """
[[tool.importlinter.contracts]]
type = "layers"
layers = ["mssante.app", "mssante.imap | mssante.smtp", "mssante.model"]

[[tool.importlinter.contracts]]
type = "layers"
containers = ["mssante.imap", "mssante.smtp"]
layers = ["server", "rules", "grammar"]
"""
LAYERS = Layers.of(tomllib.loads(ONE_CONTRACT))


def walk_of(*entered: str) -> tuple[Step, ...]:
    parted = (("mssante." + each).split(":") for each in entered)
    return first_times(Step(module, function) for module, function in parted)


@pytest.mark.parametrize(
    ("origin", "target"),
    [
        ("mssante.imap.server.fetch", "mssante.app.server"),
        ("mssante.store.reading", "mssante.mailbox.reading"),
        ("mssante.imap.rules.view", "mssante.imap.server.fetch"),  # the longest name decides
        ("mssante.imap.names", "mssante.imap.rules.view"),
        ("mssante.model", "mssante.keys.ring"),
    ],
)
def test_a_module_lies_above_those_of_the_lines_below_it(origin: str, target: str) -> None:
    assert LAYERS.climbs(origin, target)
    assert not LAYERS.climbs(target, origin)


def test_nobody_climbs_to_a_sibling_nor_to_or_from_what_has_no_layer() -> None:
    assert not LAYERS.climbs("mssante.store.reading", "mssante.keys.ring")
    assert not LAYERS.climbs("mssante.imap.server.fetch", "mssante.smtp.server.session")
    assert not LAYERS.climbs("mssante.model", "mssante")
    assert not LAYERS.climbs("mssante.modelling", "mssante.app.server")


def test_layers_may_be_named_in_full_and_spread_over_contracts() -> None:
    layers = Layers.of(tomllib.loads(SEVERAL_CONTRACTS))
    assert layers.climbs("mssante.imap.server.fetch", "mssante.app.server")
    assert layers.climbs("mssante.imap.grammar.fetch", "mssante.imap.server.fetch")
    assert not layers.climbs("mssante.imap.server.fetch", "mssante.imap.rules.view")
    assert not layers.climbs("mssante.imap.grammar.fetch", "mssante.smtp.server.session")


def test_a_function_is_read_once() -> None:
    walk = walk_of("app.server:run", "store.reading:row", "app.server:run", "store.reading:row")
    assert [step.function for step in walk] == ["run", "row"]
    assert len(moves(walk)) == 1


def test_moves_climbs_and_changes_of_room_are_told_apart() -> None:
    walk = walk_of(
        "imap.server.fetch:fetch",
        "imap.server.fetch:_Job.flush",  # the same file: no move
        "imap.server.talk:Talk.send",  # a move, within the room
        "imap.rules.view:positions",
        "imap.server.fetch:_Job.run",  # a climb, within the room
        "store.reading:row",  # a change of room
        "mailbox.reading:Reader.open",  # one that climbs
    )
    found = figures(walk, LAYERS)
    assert (found.files, found.moves, found.climbs) == (5, 5, 2)
    assert (found.room_changes, found.room_climbs) == (2, 1)


def test_a_listing_has_a_line_for_each_step_and_marks_a_climb() -> None:
    lines = listing(walk_of("store.reading:row", "store.reading:rows", "app.server:run"), LAYERS).splitlines()
    assert [line.split() for line in lines] == [
        ["store.reading", "row"],
        ["store.reading", "rows"],
        ["↑", "store.reading", "→", "app.server", "run"],
    ]
