"""keys.*: the key store as a whole."""

from __future__ import annotations

from dataclasses import dataclass

from mssante.control.operations import OperationRequest, Parts
from mssante.keys.custody import StoreAccepted


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceptKeys(OperationRequest[StoreAccepted]):
    """Asks to take the key store as it lies there: an older copy that was put back knowingly, or one that
    somebody changed. With `dry_run`, only says what that would remove."""

    dry_run: bool = False


async def accept(parts: Parts, request: AcceptKeys) -> StoreAccepted:
    """Rows that the broker did not write are removed, the others count from now on; every session ends.
    Refused where there is nothing to accept."""
    return await parts.broker.accept(dry_run=request.dry_run)
