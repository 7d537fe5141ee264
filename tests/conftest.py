"""Fixtures every test may use."""

from hypothesis import HealthCheck, settings

from mssante.crypto import keys
from tests.support.databases import database_url, postgres, postgres_url
from tests.support.heard import events
from tests.support.operators.world import running_trio, shared_world, trio

__all__ = ["database_url", "events", "postgres", "postgres_url", "running_trio", "shared_world", "trio"]

# K3, over the whole suite: a nonce used for two contents under one key fails the test that does it.
keys.watch_nonces()

# A busy machine is no defect: what is about speed measures it itself.
settings.register_profile("house", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("house")
