"""Whether a letter's From field names somebody for whom its bringer may speak, and the mark where not.

The envelope's sender is proved by a peer's certificate, but what people see is the From field. A peer may
write there only the domains for which it is listed. Our own domains are refused from outside, but for one
that the list gives to the peer too. Another operator's domain is marked or refused, as the operator chooses:
a letter that was passed on automatically, or by a mailing list, has one. Resent fields change nothing, since
anybody can write them.

Invariants: the whole header is judged; a mark that a letter brings along is taken out, so that a mark in a
mailbox is always ours; nothing else of a letter is changed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from mssante.mime import writing
from mssante.mime.authors import NamedAuthor, author_of, field_named, sender_of
from mssante.mime.structure import Structure
from mssante.model import Domain, ForeignAuthors, Malformed
from mssante.reasons import Reason, Refused
from mssante.trust.policy import VerifiedPeer

MARK = "X-Mssante-Author-Unproved"
_MARKS = field_named(MARK.encode())


@dataclass(frozen=True, slots=True)
class JudgedHeader:
    """A header as it is kept. `unproved` are the domains for which its bringer does not speak."""

    octets: bytes
    unproved: tuple[Domain, ...] = ()


HeaderJudge = Callable[[bytes, bool], JudgedHeader]
"""Given a letter's header with its blank line, and True; or the beginning of one that is too long, and False.
May raise Refused."""


def unmarked(header: bytes, whole: bool = True) -> JudgedHeader:
    """The header without a mark it brought along; nothing is judged."""
    return JudgedHeader(_MARKS.sub(b"", header))


def of_peer(
    header: bytes,
    whole: bool,
    *,
    peer: VerifiedPeer,
    ours: frozenset[Domain],
    listed: Callable[[Domain], bool],
    foreign: ForeignAuthors,
) -> JudgedHeader:
    """Judges a letter that `peer` brings. `listed` tells the domains of the trust space: an address of none
    of them in a display name deceives nobody. Raises Refused(HEADER_FROM_MALFORMED, AUTHOR_OURS,
    AUTHOR_UNPROVED)."""
    if not whole:
        raise Refused(Reason.HEADER_FROM_MALFORMED, "a header too long to be read whole")
    named = _named(header)
    domains = {each.address.domain for each in named}
    if any(domain in ours and not _speaks(peer, domain) for domain in domains):
        raise Refused(Reason.AUTHOR_OURS)
    claimed = {claim.domain for each in named for claim in each.claims}
    domains |= {domain for domain in claimed if domain in ours or listed(domain)}
    unproved = tuple(sorted(domain for domain in domains if not _speaks(peer, domain)))
    kept = unmarked(header).octets
    if not unproved:
        return JudgedHeader(kept)
    if foreign is ForeignAuthors.REFUSE:
        raise Refused(Reason.AUTHOR_UNPROVED, ", ".join(map(str, unproved)))
    return JudgedHeader(writing.field(MARK, ", ".join(map(str, unproved))) + kept, unproved)


def require_author(
    structure: Structure, *, mine: frozenset[str], known: Callable[[Domain], bool] = lambda _: False
) -> None:
    """Returns when the letter names only a mailbox in `mine` as its author, in its one From and in its Sender
    if it has one. An address of a `known` domain (ours, or listed) in a display name must be one of mine too.
    Raises Refused(HEADER_FROM_MALFORMED) when these cannot be read without any doubt, or
    Refused(SENDER_NOT_YOURS)."""
    if structure.header_is_cut:
        raise Refused(Reason.HEADER_FROM_MALFORMED, "a header too long to be read whole")
    for each in _named(structure.header):
        claims = [claim for claim in each.claims if known(claim.domain)]
        if any(address.key not in mine for address in (each.address, *claims)):
            raise Refused(Reason.SENDER_NOT_YOURS)


def _named(header: bytes) -> list[NamedAuthor]:
    """The author, and the sender where another sent it."""
    try:
        author, sender = author_of(header), sender_of(header)
    except Malformed as error:
        raise Refused(Reason.HEADER_FROM_MALFORMED, str(error)) from None
    return [author] if sender is None else [author, sender]


def _speaks(peer: VerifiedPeer, domain: Domain) -> bool:
    try:
        peer.speaks_for(domain)
    except Refused:
        return False
    return True
