"""How far one walks through the package to follow one command: `make walks`, or `python -m tools.walks`.

A real session runs in this process, and `sys.setprofile` tells which functions of the package are entered,
from when the octets of the command have been read until its last answer is written (of `bal create`: from the
command line's first function to its last). What is counted:

- A step is a function entered for the first time in the walk, as by somebody who follows the command and
  reads each function once. A coroutine or generator that goes on is no step, and neither is coming back from
  a call. Comprehensions and lambdas belong to the function that holds them.
- A move is a step into another file than that of the step before. A climb is a move into a higher layer, as
  import-linter's contract in pyproject.toml has the layers.
- A room is a folder directly in the package, or a file directly in it. A change of room is a move from one
  room to another; some of them climb too.

An earlier count of one FETCH, made otherwise, said 39 moves, 19 of them climbs. In the same tree this tool
finds 19 climbs, 43 changes of room and 80 moves; so the earlier moves probably were changes of room.

Steps are counted in all threads, because what reads the database and what decides a search runs beside the
server's loop, and whoever follows the command reads it; `--loop-only` leaves those out. Each row is taken
several times in a session that has done the same before, and the commonest walk is shown, because a timer of
the server may add a step to one of them.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import tempfile
import threading
import tomllib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tools.recorder import Recorder, Step

if TYPE_CHECKING:
    from tools.one_operator import Operator

PACKAGE = "mssante"
_WARM_UPS, _TIMES = 3, 5
ROWS = ("FETCH", "FETCH-BODY", "SEARCH", "LETTER", "BAL-CREATE")
Walk = tuple[Step, ...]


class Layers:
    """Which module lies above which."""

    def __init__(self, heights: Iterable[Mapping[str, int]]) -> None:
        self._heights = tuple(heights)

    @classmethod
    def of(cls, pyproject: Mapping[str, Any]) -> Layers:
        """From import-linter's contracts of type `layers`: the first that tells two modules apart decides.
        A layer is named in full or within its container; siblings stand between `|` or `:`."""
        heights = []
        for contract in pyproject["tool"]["importlinter"]["contracts"]:
            if contract["type"] == "layers":
                rows = [row.replace(":", "|").split("|") for row in contract["layers"]]
                for container in contract.get("containers", [""]):
                    heights.append(
                        {_full(name, container): -depth for depth, row in enumerate(rows) for name in row}
                    )
        return cls(heights)

    def climbs(self, origin: str, target: str) -> bool:
        """Whether `target`, a module, lies in a higher layer than `origin`."""
        for heights in self._heights:
            before, after = _height(origin, heights), _height(target, heights)
            if before is not None and after is not None and before != after:
                return after > before
        return False


def _full(name: str, container: str) -> str:
    name = name.strip().strip("()")  # in parentheses: a layer that may be missing
    return name if not container or name.startswith(f"{PACKAGE}.") else f"{container}.{name}"


def _height(module: str, heights: Mapping[str, int]) -> int | None:
    """The height of the longest layer name the module lies in."""
    while module not in heights and module:
        module = module.rpartition(".")[0]
    return heights.get(module)


@dataclass(frozen=True, slots=True)
class Figures:
    """What one walk comes to. `room_changes` are among the moves, `room_climbs` among the climbs."""

    files: int
    moves: int
    climbs: int
    room_changes: int
    room_climbs: int


def first_times(steps: Iterable[Step]) -> Walk:
    """Each function where it was entered first."""
    return tuple(dict.fromkeys(steps))


def moves(walk: Sequence[Step]) -> list[tuple[str, str]]:
    """From which module to which, wherever the file changes."""
    return [(one.module, other.module) for one, other in pairwise(walk) if one.module != other.module]


def room(module: str) -> str:
    return module.removeprefix(f"{PACKAGE}.").partition(".")[0]


def figures(walk: Sequence[Step], layers: Layers) -> Figures:
    made = moves(walk)
    changes = [move for move in made if room(move[0]) != room(move[1])]
    return Figures(
        files=len({step.module for step in walk}),
        moves=len(made),
        climbs=sum(layers.climbs(*move) for move in made),
        room_changes=len(changes),
        room_climbs=sum(layers.climbs(*move) for move in changes),
    )


def listing(walk: Sequence[Step], layers: Layers) -> str:
    """A line for each step: where from if the file changed, where to, the function; ↑ marks a climb."""
    lines, before = [], ""
    for step in walk:
        moved = before != step.module
        mark = "↑" if moved and before and layers.climbs(before, step.module) else " "
        origin = f"{_short(before)} →" if moved and before else ""
        beside = "" if step.on_loop else "   (not on the server's loop)"
        lines.append(f"{mark} {origin:>32} {_short(step.module):<32} {step.function}{beside}")
        before = step.module
    return "\n".join(lines)


def _short(module: str) -> str:
    return module.removeprefix(f"{PACKAGE}.")


def take_all(operator: Operator, recorder: Recorder) -> dict[str, list[Walk]]:
    """Every row's walks, in one session of each kind."""
    from tools.one_operator import DOMAIN, WORD

    operator.await_ready()
    peer = operator.peer()
    for number in range(3):
        peer.deliver(number)
    person = operator.person()
    taken: dict[str, list[Walk]] = {}

    def take(row: str, act: Callable[[int], object]) -> None:
        for number in range(_WARM_UPS + _TIMES):
            recorder.clear()
            act(number)
            walk = first_times(recorder.stop())
            if number >= _WARM_UPS:
                taken.setdefault(row, []).append(walk)

    def create_mailbox(number: int) -> None:
        with recorder.this_thread():
            operator.create_mailbox(f"bal.{number}@{DOMAIN}")

    def deliver(number: int) -> None:
        recorder.wait_for(b"MAIL FROM", None)  # its end is set below, when the content is about to be sent
        peer.deliver(100 + number, lambda: recorder.wait_for(None, b"250 "))

    fetch, fetch_body, search, letter, bal_create = ROWS
    take(fetch, lambda _: person.ask("FETCH 2 (ENVELOPE FLAGS)", recorder.wait_for))
    take(fetch_body, lambda _: person.ask("FETCH 2 BODY[]", recorder.wait_for))
    take(search, lambda _: person.ask(f"SEARCH TEXT {WORD}", recorder.wait_for))
    person.end()  # no session may be open that the server would tell of the letters
    take(letter, deliver)
    peer.end()
    take(bal_create, create_mailbox)
    return taken


def session(root: Path, *, loop_only: bool) -> dict[str, list[Walk]]:
    """Runs an operator in this thread, the process's first, and all that talks to it in another."""
    from tools.one_operator import Operator

    recorder = Recorder(root / PACKAGE, loop_only=loop_only)
    taken: dict[str, list[Walk]] = {}
    troubles: list[BaseException] = []

    def talk() -> None:
        sys.setprofile(None)  # what the clients do is not counted
        try:
            taken.update(take_all(operator, recorder))
        except BaseException as trouble:
            troubles.append(trouble)
        finally:
            os.kill(os.getpid(), signal.SIGTERM)

    with tempfile.TemporaryDirectory() as folder:
        operator = Operator.make(Path(folder))
        talking = threading.Thread(target=talk, daemon=True)  # a daemon, to end when the server cannot start
        threading.setprofile(recorder.hear)
        talking.start()
        sys.setprofile(recorder.hear)
        try:
            operator.serve()
        finally:
            sys.setprofile(None)
            threading.setprofile(None)
        talking.join()
    if troubles:
        raise troubles[0]
    return taken


def table(rows: Mapping[str, Figures], alike: Mapping[str, int]) -> str:
    text = f"{'':12}{'files':>8}{'moves':>8}{'climbs':>8}{'changes of room':>18}{'climbing':>10}{'alike':>10}"
    for name, row in rows.items():
        text += (
            f"\n{name:12}{row.files:8}{row.moves:8}{row.climbs:8}{row.room_changes:18}{row.room_climbs:10}"
        )
        text += f"{f'{alike[name]} of {_TIMES}':>10}"
    return text


def main() -> None:
    parser = argparse.ArgumentParser(description="Moves and climbs through the package's files, by command.")
    parser.add_argument("--root", type=Path, default=Path.cwd(), help="the checkout whose package is walked")
    parser.add_argument("--list", choices=ROWS, type=str.upper, help="print the steps of one row")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--loop-only", action="store_true", help="count the server's loop, no other thread")
    wanted = parser.parse_args()
    root = wanted.root.resolve()
    sys.path.insert(0, str(root))  # before anything of the package is imported
    layers = Layers.of(tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8")))
    taken = session(root, loop_only=wanted.loop_only)
    commonest = {row: Counter(walks).most_common(1)[0] for row, walks in taken.items()}
    rows = {row: figures(walk, layers) for row, (walk, _) in commonest.items()}
    if wanted.list:
        print(listing(commonest[wanted.list][0], layers))
    elif wanted.json:
        print(json.dumps({row: asdict(found) for row, found in rows.items()}))
    else:
        print(table(rows, {row: count for row, (_, count) in commonest.items()}))


if __name__ == "__main__":
    main()
