"""One development PKI for the whole run, and the world that lists all its names."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from mssante.demo.certs.make import UNLISTED, build
from tests.support.operators.trust_world import TrustWorld as World
from tests.support.operators.trust_world import chain_of

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    directory: Path = tmp_path_factory.mktemp("pki")
    return World.of(build(directory, now=NOW, operators=("a", "b", "c", "d", "e")), now=NOW)


__all__ = ["NOW", "UNLISTED", "World", "chain_of"]
