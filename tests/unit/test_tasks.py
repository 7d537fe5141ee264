"""mssante.tasks: what was begun ends, its owner waits for it, and no failure is lost."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from mssante.observe.event import Event, add_sink
from mssante.observe.events import Crashed
from mssante.reasons import Passing, Reason
from mssante.tasks import Unbroken, end_task


@pytest.fixture
def events() -> Iterator[list[Event]]:
    seen: list[Event] = []
    remove = add_sink(seen.append)
    yield seen
    remove()


async def _started(work: asyncio.Task[object]) -> None:
    for _ in range(3):
        await asyncio.sleep(0)
    assert not work.done()


async def test_work_gives_its_result_or_its_error_to_who_waits(events: list[Event]) -> None:
    async def fails() -> None:
        raise ZeroDivisionError

    async def gives() -> int:
        return 7

    unbroken = Unbroken("test")
    assert await unbroken.run(gives()) == 7
    with pytest.raises(ZeroDivisionError):
        await unbroken.run(fails())
    await unbroken.finish()
    assert events == []


async def test_work_goes_on_when_its_caller_is_cancelled_and_is_waited_for_at_the_end() -> None:
    gate, done = asyncio.Event(), []

    async def work() -> None:
        await gate.wait()
        done.append("work")

    unbroken = Unbroken("test")
    caller = asyncio.create_task(unbroken.run(work()))
    await _started(caller)
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    finishing = asyncio.create_task(unbroken.finish())
    await _started(finishing)
    gate.set()
    await finishing
    assert done == ["work"]


@pytest.mark.parametrize(
    ("error", "told"), [(ZeroDivisionError(), ["test"]), (Passing(Reason.STORAGE_FULL), [])]
)
async def test_a_bug_in_work_whose_caller_has_left_is_reported(
    events: list[Event], error: Exception, told: list[str]
) -> None:
    gate = asyncio.Event()

    async def work() -> None:
        await gate.wait()
        raise error

    unbroken = Unbroken("test")
    caller = asyncio.create_task(unbroken.run(work()))
    await _started(caller)
    caller.cancel()
    await asyncio.wait((caller,))
    gate.set()
    await unbroken.finish()
    await asyncio.sleep(0)
    assert [event.boundary for event in events if isinstance(event, Crashed)] == told


async def test_a_task_that_is_ended_is_waited_for_and_its_failure_is_reported(events: list[Event]) -> None:
    left = []

    async def quiet() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            left.append("quiet")

    async def broken() -> None:
        raise ZeroDivisionError

    for work in (quiet(), broken()):
        task = asyncio.create_task(work, name="test")
        await asyncio.sleep(0)
        await end_task(task)
        assert task.done()
    assert left == ["quiet"]
    assert [event.boundary for event in events if isinstance(event, Crashed)] == ["test"]
