"""Tasks of asyncio and who owns them: the rule for the whole package, and two ways to keep it.

The rule: every task has an owner. The owner is a TaskGroup, or an object that holds the task and, before it
counts as ended itself, awaits it (`Unbroken.finish`) or cancels and awaits it (`end_task`). When a task
fails, whoever awaits it gets the exception; when nobody does, the failure is reported as a crash. A task that
repeats its work for ever catches and reports what one round raises, so that a fault costs that round and not
all later ones.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from mssante.observe.event import report
from mssante.observe.events import crashed
from mssante.reasons import Declined

T = TypeVar("T")


class Unbroken:
    """Work that runs to its end even when whoever waits for it is cancelled, such as a commit that was begun,
    or a note of what another host has taken. Its owner calls `finish` before it closes what the work
    needs."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._tasks: set[asyncio.Task[Any]] = set()

    async def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Returns or raises what `work` does. When this is cancelled, the work goes on; what it raises then
        is reported, unless it is a refusal or trouble that passes."""
        task = asyncio.create_task(work, name=self._name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        try:
            await asyncio.wait((task,))  # cancelling a wait does not cancel what is waited for
        except asyncio.CancelledError:
            task.add_done_callback(_tell_failure)
            raise
        return task.result()

    async def finish(self) -> None:
        """Waits for all work that was begun. Does not raise what the work raises."""
        if self._tasks:
            await asyncio.wait(self._tasks)


async def end_task(task: asyncio.Task[Any]) -> None:
    """Cancels `task` and waits until it is over. If it failed, before or because of this, that is reported:
    for a task whose result nobody wants any more."""
    if not task.done():
        task.cancel()
        await asyncio.wait((task,))
    _tell_failure(task)


def _tell_failure(task: asyncio.Task[Any]) -> None:
    if task.cancelled():
        return
    error = task.exception()
    if error is not None and not isinstance(error, Declined):
        report(crashed(task.get_name(), error))
