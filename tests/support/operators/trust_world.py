"""A development PKI, and a trust space that lists every leaf for its domain, but the unlisted operator."""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Self

from mssante.demo.certs.make import UNLISTED, Leaf, Pki
from mssante.model import Direction, Domain
from mssante.trust.names import DistinguishedName
from mssante.trust.path import Anchors
from mssante.trust.policy import Rules, VerifiedPeer, verify_peer
from mssante.trust.revocation import Revocations
from mssante.trust.space import Entry, TrustSpace


def chain_of(leaf: Leaf) -> list[bytes]:
    text = leaf.chain_file.read_text()
    end = "-----END CERTIFICATE-----\n"
    return [ssl.PEM_cert_to_DER_cert(part + end) for part in text.split(end) if part]


@dataclass
class TrustWorld:
    """What a verdict rests on. `now` is the time of verdicts; None: the machine's."""

    pki: Pki
    anchors: Anchors
    space: TrustSpace
    crls: Revocations
    now: datetime | None = None

    @classmethod
    def of(cls, pki: Pki, *, now: datetime | None = None) -> Self:
        anchors = Anchors.load(pki.anchors, pki.issuing)
        entries = [
            Entry(Domain.parse(leaf.domain), DistinguishedName.parse(leaf.listed))
            for leaf in pki.leaves.values()
            if leaf.name != UNLISTED
        ]
        return cls(
            pki=pki,
            anchors=anchors,
            space=TrustSpace.from_entries(entries, source="test"),
            crls=Revocations.load(pki.crls, issuers=anchors.issuers, now=now or datetime.now(UTC)),
            now=now,
        )

    def leaf(self, name: str) -> Leaf:
        return self.pki.leaves[name]

    def domain(self, name: str) -> Domain:
        return Domain.parse(self.leaf(name).domain)

    def verify(
        self,
        name: str = "",
        direction: Direction = Direction.IN,
        *,
        now: datetime | None = None,
        chain: Sequence[bytes] | None = None,
        anchors: Anchors | None = None,
        crls: Revocations | None = None,
        space: TrustSpace | None = None,
        rules: Rules | None = None,
    ) -> VerifiedPeer:
        """The verdict on the leaf of that name, or on `chain`."""
        return verify_peer(
            chain if chain is not None else chain_of(self.leaf(name)),
            anchors=anchors or self.anchors,
            space=space or self.space,
            crls=crls or self.crls,
            now=now or self.now or datetime.now(UTC),
            direction=direction,
            rules=rules or Rules(),
        )
