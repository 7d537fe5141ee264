"""trust.*: what was accepted of each source of the trust space, what is held back, and an operator's yes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from mssante.control.operations import OperationRequest, Parts
from mssante.model import Malformed
from mssante.reasons import Reason, Refused


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceState:
    """One source: the date, number of pairs and digest of what was accepted last (None if nothing ever was);
    and, if it says now what is not put in force, why, and the digest by which that may be accepted."""

    source: str
    dated: datetime | None
    pairs: int | None
    digest: str | None
    held_why: str | None
    held_digest: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RevocationFloor:
    """The newest revocation list that was accepted of one of our authorities."""

    authority: str
    number: int
    this_update: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustShown:
    """`trouble` says why nobody can be trusted, and is empty otherwise."""

    trouble: str
    sources: tuple[SourceState, ...]
    revocation_lists: tuple[RevocationFloor, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustAccepted:
    source: str
    pairs: int


@dataclass(frozen=True, slots=True)
class ShowTrust(OperationRequest[TrustShown]):
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceptTrust(OperationRequest[TrustAccepted]):
    """`digest` is that of the statement held back, as `ShowTrust` tells it: what an operator has not looked
    at is never accepted."""

    source: str
    digest: str


async def show(parts: Parts, request: ShowTrust) -> TrustShown:
    """What is in force, and what is held back."""
    trust = parts.trust
    sources = []
    for name in sorted(trust.floors.sources.keys() | trust.held.keys()):
        kept, held = trust.floors.sources.get(name), trust.held.get(name)
        sources.append(
            SourceState(
                source=name,
                dated=kept.floor.dated if kept else None,
                pairs=kept.floor.pairs if kept else None,
                digest=kept.floor.digest if kept else None,
                held_why=held.why if held else None,
                held_digest=held.floor.digest if held and held.acceptable else None,
            )
        )
    issuers = {issuer.public_key_id: issuer for issuer in trust.anchors.issuers}
    lists = tuple(
        RevocationFloor(authority=str(issuers[key].name), number=floor.number, this_update=floor.this_update)
        for key, floor in trust.floors.crls.items()
        if key in issuers
    )
    return TrustShown(trouble=trust.trouble, sources=tuple(sources), revocation_lists=lists)


async def accept(parts: Parts, request: AcceptTrust) -> TrustAccepted:
    """Puts in force what was held back. Raises Refused, Passing."""
    try:
        floor = await parts.trust.accept(request.source, request.digest)
    except (Malformed, OSError) as error:
        raise Refused(Reason.ARGUMENT_MALFORMED, f"{error}") from error
    return TrustAccepted(source=request.source, pairs=floor.pairs)
