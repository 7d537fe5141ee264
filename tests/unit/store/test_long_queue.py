"""A long queue for one destination holds nobody's letter up: it is looked through on a snapshot, and brought
forward in slices."""

from __future__ import annotations

import pytest

from mssante import limits
from tests.unit.store.building import House, submission
from tests.unit.store.test_slices import Writes

BUSY, OTHER = b"busy", b"other"
LATER = 3600


async def _waiting(house: House, tag: bytes, letters: int, *, next_at: int) -> None:
    queue = await house.queue()
    for _ in range(letters):
        await house.store.accept(submission(queue, tag, next_at=next_at))


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "RECIPIENTS_HASTENED_AT_ONCE", 3)


async def test_a_destination_that_answers_again_is_brought_forward_in_slices(
    house: House, small: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    await _waiting(house, BUSY, 10, next_at=house.now + LATER)
    await _waiting(house, OTHER, 2, next_at=house.now + LATER)
    writes = Writes(house, monkeypatch)
    await house.store.queue.hasten(BUSY)
    assert writes.count == 4
    if house.database.dialect == "sqlite":
        assert max(writes.rows) == 3
    assert [each.destination_tag for each in await house.store.queue.lease(limit=100)] == [BUSY] * 10


async def test_an_attempt_asked_for_all_is_brought_forward_in_slices(
    house: House, small: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    await _waiting(house, BUSY, 10, next_at=house.now + LATER)
    writes = Writes(house, monkeypatch)
    assert await house.store.queue.retry() == 10
    assert writes.count == 4
    due = await house.store.queue.lease(limit=100)
    assert len(due) == 10
    assert all(each.asked_for for each in due)


async def test_looking_for_other_work_beside_a_busy_destination_waits_for_no_writer(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each attempt that ends looks for the next one: thousands that wait for a busy destination are looked
    through on a snapshot."""
    await _waiting(house, BUSY, 10, next_at=house.now)
    writes = Writes(house, monkeypatch)
    assert await house.store.queue.lease(limit=100, exclude=[BUSY]) == []
    assert writes.count == 0
