"""One development PKI for the whole run, and the world that lists all its names."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from certs.make import Leaf, Pki, build
from mssante.model import Domain
from mssante.trust.names import DistinguishedName
from mssante.trust.path import Anchors
from mssante.trust.policy import Direction, Rules, VerifiedPeer, verify_peer
from mssante.trust.revocation import Revocations
from mssante.trust.space import Entry, TrustSpace

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
UNLISTED = "operateur-inconnu"


def chain_of(leaf: Leaf) -> list[bytes]:
    text = leaf.chain_file.read_text()
    end = "-----END CERTIFICATE-----\n"
    return [ssl.PEM_cert_to_DER_cert(part + end) for part in text.split(end) if part]


@dataclass(frozen=True)
class World:
    """A PKI, and a trust space that lists every leaf for its domain, but the unlisted operator."""

    pki: Pki
    anchors: Anchors
    space: TrustSpace
    crls: Revocations

    def leaf(self, name: str) -> Leaf:
        return self.pki.leaves[name]

    def domain(self, name: str) -> Domain:
        return Domain.parse(self.leaf(name).domain)

    def verify(
        self,
        name: str,
        direction: Direction = Direction.IN,
        *,
        now: datetime = NOW,
        chain: list[bytes] | None = None,
        anchors: Anchors | None = None,
        crls: Revocations | None = None,
        space: TrustSpace | None = None,
        rules: Rules | None = None,
    ) -> VerifiedPeer:
        return verify_peer(
            chain if chain is not None else chain_of(self.leaf(name)),
            anchors=anchors or self.anchors,
            space=space or self.space,
            crls=crls or self.crls,
            now=now,
            direction=direction,
            rules=rules or Rules(),
        )


def world_of(pki: Pki) -> World:
    anchors = Anchors.load(pki.anchors, pki.issuing)
    entries = [
        Entry(Domain.parse(leaf.domain), DistinguishedName.parse(leaf.listed))
        for leaf in pki.leaves.values()
        if leaf.name != UNLISTED
    ]
    return World(
        pki=pki,
        anchors=anchors,
        space=TrustSpace.from_entries(entries, source="test"),
        crls=Revocations.load(pki.crls, issuers=anchors.issuers),
    )


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    directory: Path = tmp_path_factory.mktemp("pki")
    return world_of(build(directory, now=NOW, operators=("a", "b", "c", "d", "e")))


Verify = Callable[..., VerifiedPeer]
