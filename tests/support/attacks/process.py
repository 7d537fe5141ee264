"""The attack players, in a process of their own: what they cost is not counted as the good clients' time.

`python -m tests.support.attacks.process`, with a Scene in the first line of its input. Says `ready` when
mailboxes are prepared, plays from `go` to `stop` (or the end of its input), then says its tallies in JSON.
It is nicer than the servers (nice(2)): two cores are shared by all.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import sys
import traceback
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from tests.support.attacks import (
    copy_doubling,
    guesses,
    harvesting,
    headers,
    idle_data,
    large_mailbox,
    multiappend,
    nested,
    refused,
    segments,
    silent,
    spraying,
    tls_flood,
)
from tests.support.attacks.stage import Scene, Stage, Tally

NICENESS = 10
STOP_SECONDS_MAX = 3
Play = Callable[[Stage, Tally], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Attack:
    """`row`: of the table that the campaign answers; `people`: who must have a mailbox for it."""

    row: str
    name: str
    play: Play
    prepare: Play | None = None
    people: tuple[str, ...] = ()


ATTACKS = (
    Attack("1", "TLS flood behind a broken record", tls_flood.play),
    Attack("2", "COPY doubling", copy_doubling.play, people=(copy_doubling.PERSON,)),
    Attack("3", "APPEND of many letters", multiappend.play, people=(multiappend.PERSON,)),
    Attack("4", "idle DATA of one peer", idle_data.play_one),
    Attack("4b", "idle DATA of many", idle_data.play_many, people=idle_data.PEOPLE),
    Attack("5", "guesses from changing networks", guesses.play),
    Attack("6", "spraying from a known address", spraying.play),
    Attack("8", "refused connections", refused.play),
    Attack("9", "silent destinations", silent.play, people=(silent.PERSON,)),
    Attack("10", "replies in small segments", segments.play, people=(segments.PERSON,)),
    Attack("11", "letters nested in letters", nested.play),
    Attack("12", "harvesting by reconnecting", harvesting.play),
    Attack("12b", "large headers in ten sessions", headers.play, headers.prepare, (headers.PERSON,)),
    Attack(
        "13",
        "STORE and SEARCH on a large folder",
        large_mailbox.play,
        large_mailbox.prepare,
        (large_mailbox.PERSON,),
    ),
)


def attacks_of(rows: str) -> list[Attack]:
    """Those rows, in the order of the table; all of them when none is named. Raises for one there is not."""
    wanted = rows.split()
    assert set(wanted) <= {attack.row for attack in ATTACKS}, f"no such row: {rows}"
    return [attack for attack in ATTACKS if not wanted or attack.row in wanted]


async def _play(attack: Attack, stage: Stage, tally: Tally) -> None:
    """A defect of a player is told, and costs the others nothing."""
    try:
        await attack.play(stage, tally)
    except Exception as bug:
        traceback.print_exc()
        tally.heard[f"PLAYER BROKE: {bug!r}"[:60]] += 1


async def main() -> None:
    told = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(told), sys.stdin)
    stage = Stage(Scene.from_json((await told.readline()).decode()))
    attacks = {attack: Tally() for attack in attacks_of((await told.readline()).decode())}
    for attack, tally in attacks.items():
        if attack.prepare is not None:
            await attack.prepare(stage, tally)
    print("ready", flush=True)
    await told.readline()
    players = [asyncio.create_task(_play(attack, stage, tally)) for attack, tally in attacks.items()]
    await told.readline()
    stage.stop.set()
    await asyncio.wait(players, timeout=STOP_SECONDS_MAX)
    for player in players:
        player.cancel()
    await asyncio.gather(*players, return_exceptions=True)
    tallies = [
        {"row": attack.row, "name": attack.name, "made": tally.made, "heard": tally.heard}
        for attack, tally in attacks.items()
    ]
    print(json.dumps(tallies), flush=True)
    await asyncio.sleep(0.1)  # connections that were reset say so to their tasks


if __name__ == "__main__":
    os.nice(NICENESS)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(4096, hard)), hard))
    asyncio.run(main())
