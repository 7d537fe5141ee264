"""A house for each test; passwords cost little here."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from mssante.crypto import passwords
from tests.support.operators.delivery_house import House, house


@pytest.fixture
async def a_house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[House]:
    monkeypatch.setattr(passwords, "PASSWORD_MEMORY_KIB", 512)
    monkeypatch.setattr(passwords, "PASSWORD_ITERATIONS", 1)
    async with house(tmp_path) as made:
        yield made
