"""What checking and cleaning the store find."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokenInvariant:
    """A broken invariant: its number in docs/findings.md, invariants, where, and in which words."""

    invariant: int
    problem: str
    mailbox: str = ""
    message: str = ""
    folder: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Swept:
    """What a sweep took away. `log_emptied` False: shredded bytes may still lie in the write-ahead log."""

    blobs: int
    dedup_keys: int
    log_emptied: bool
