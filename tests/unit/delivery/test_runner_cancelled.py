"""A runner that is cancelled: what a remote took is noted before the runner has ended."""

from __future__ import annotations

import asyncio

import pytest

from tests.support.operators.delivery_house import FakeCourier, House


async def test_what_a_remote_took_is_noted_before_a_cancelled_runner_ends(
    a_house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    await a_house.mailbox("dr.a@chu-a.test")
    await a_house.submit(["dr.b@cabinet-b.test"])
    noting, gate = asyncio.Event(), asyncio.Event()
    note = a_house.store.queue.settle

    async def slow(*arguments: object, **named: object) -> None:
        noting.set()
        await gate.wait()
        await note(*arguments, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(a_house.store.queue, "settle", slow)
    running = asyncio.create_task(a_house.runner(FakeCourier()).run())
    await noting.wait()
    running.cancel()
    for _ in range(5):
        await asyncio.sleep(0)
    assert not running.done()
    gate.set()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert await a_house.store.queue.messages() == []
