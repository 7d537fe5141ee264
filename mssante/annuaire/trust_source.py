"""The directory as a source of the trust space (trust.state.Source)."""

from __future__ import annotations

from mssante.annuaire.directory import Directory
from mssante.reasons import Passing, Reason
from mssante.trust.state import Source
from mssante.trust.statement import Statement


def source_of(directory: Directory) -> Source:
    """The source raises Passing(DIRECTORY_UNAVAILABLE) also when the directory names no operator at all."""

    async def state() -> Statement:
        answer = await directory.trust_pairs()
        if not answer.pairs:
            raise Passing(Reason.DIRECTORY_UNAVAILABLE, "the directory names no operator")
        return Statement(answer.space(), entries=len(answer.pairs) + len(answer.odd), odd=len(answer.odd))

    return state
