"""Fixtures every test may use."""

from mssante.crypto import keys
from tests.support.databases import database_url, postgres, postgres_url
from tests.support.operators import running_trio, shared_world, trio

__all__ = ["database_url", "postgres", "postgres_url", "running_trio", "shared_world", "trio"]

# K3, over the whole suite: a nonce used for two contents under one key fails the test that does it.
keys.watch_nonces()
