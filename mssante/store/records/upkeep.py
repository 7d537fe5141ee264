"""What checking and cleaning the store return."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokenInvariant:
    """A broken invariant: its number in docs/findings.md, the problem in words, and where it was found."""

    invariant: int
    problem: str
    mailbox: str = ""
    message: str = ""
    folder: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Swept:
    """How much a sweep deleted. If `log_emptied` is False, shredded bytes may still lie in the write-ahead
    log."""

    blobs: int
    dedup_keys: int
    log_emptied: bool
