"""Several clients on one mailbox, one after the other at random: every response is what the model says."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from tests.support.imap import folder_steps as folders
from tests.support.imap import steps
from tests.support.imap.client import ImapClient
from tests.support.imap.mirror import CutClient, Mirror, Step
from tests.support.imap.model import SHARED, Model

_ON_MESSAGES: tuple[Callable[[Mirror], Step | None], ...] = (
    steps.append, steps.append, steps.store, steps.store, steps.store, steps.fetch, steps.fetch, steps.fetch,
    steps.search, steps.search, steps.search, steps.copy, steps.copy, steps.expunge, steps.noop, steps.status,
)  # fmt: skip
_ANYWHERE: tuple[Callable[[Mirror], Step | None], ...] = (
    steps.append, steps.status, folders.create, folders.delete, folders.rename, folders.subscribe,
    folders.listing,
)  # fmt: skip


async def play(clients: list[ImapClient], *, seed: int, moves: int) -> None:
    """AssertionError at the first response that is not what the model says."""
    chance, model = Random(seed), Model()
    mirrors = []
    for number, client in enumerate(clients):
        client.__class__ = CutClient
        client.chance = Random(seed + number)  # type: ignore[attr-defined]  # a CutClient now
        if number == 0:
            for name in SHARED[1:]:
                await client.ok(f"CREATE {name}")
        mirrors.append(Mirror(client, model, chance))
        await mirrors[-1].open(chance.choice(SHARED))
    for _ in range(moves):
        await _move(chance.choice(mirrors))
    for mirror in mirrors:
        if mirror.idle_tag:
            await mirror.end_idle()
    for mirror in mirrors:
        if mirror.folder is not None:
            await mirror.run(steps.noop(mirror))


async def _move(mirror: Mirror) -> None:
    chance = mirror.chance
    if mirror.idle_tag:
        await mirror.end_idle()
        return
    kind = chance.random()
    if kind < 0.06:
        await _turn(mirror)
    elif kind < 0.11:
        await mirror.begin_idle()
    elif kind < 0.25 or mirror.folder is None:
        await _run(mirror, chance.choice(_ANYWHERE))
    elif kind < 0.33:
        await _together(mirror)
    else:
        await _run(mirror, chance.choice(_ON_MESSAGES))


async def _run(mirror: Mirror, make: Callable[[Mirror], Step | None]) -> None:
    step = make(mirror)
    if step is not None:
        await mirror.run(step)


async def _together(mirror: Mirror) -> None:
    """Commands that name messages by UID mean the same whatever is told in between (RFC 3501 §5.5)."""
    made = [mirror.chance.choice(_ON_MESSAGES)(mirror) for _ in range(6)]
    kept = [step for step in made if step is not None and _by_uid(step)]
    if kept:
        await mirror.run_together(kept[:4])


def _by_uid(step: Step) -> bool:
    verbs = ("UID STORE", "UID COPY", "UID MOVE", "UID EXPUNGE", "EXPUNGE", "NOOP", "STATUS")
    return step.text.startswith(verbs) and "*" not in step.text


async def _turn(mirror: Mirror) -> None:
    """Another folder, or none; CLOSE takes away what is marked, UNSELECT nothing."""
    chance, folder = mirror.chance, mirror.folder
    if folder is not None and chance.random() < 0.5:
        verb = chance.choice(["CLOSE", "UNSELECT"])
        mirror.did.append(verb)
        if verb == "CLOSE" and not mirror.read_only:
            mirror.model.expunge(folder, mirror.truth)
        assert (await mirror.client.ok(verb)).lines == []
        mirror.leave()
    if mirror.folder is not None or chance.random() < 0.7:
        await mirror.open(chance.choice(SHARED), read_only=chance.random() < 0.25)
