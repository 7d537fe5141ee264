"""A mailbox opened by its owner, on SQLite, without a socket."""

from tests.support.owner import desk, owner

__all__ = ["desk", "owner"]
