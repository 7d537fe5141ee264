"""The demo's story, without its operators."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import cast

from mssante.demo.story import Story


class FakeProcess:
    """Ends when told."""

    def __init__(self) -> None:
        self.ended = asyncio.Event()

    async def wait(self) -> int:
        await self.ended.wait()
        return 0


async def test_when_one_server_ends_nothing_waits_for_the_other_any_more(tmp_path: Path) -> None:
    story = Story(tmp_path, lambda text: None)
    processes = FakeProcess(), FakeProcess()
    for side, process in zip((story.a, story.b), processes, strict=True):
        side.process = cast(asyncio.subprocess.Process, process)
    before = asyncio.all_tasks()
    processes[0].ended.set()
    await story.until_stopped()
    assert asyncio.all_tasks() == before
