"""`mssante trust`: what the white list says, and what the policy would say of a certificate."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mssante.cli.run import (
    MISUSE,
    NO,
    TRY_LATER,
    configuration,
    end,
    finish,
    json_option,
    perform,
    plain,
    requested,
    show,
    table,
)
from mssante.model import Direction, Domain, Malformed
from mssante.reasons import Declined, Passing, Reason

if TYPE_CHECKING:
    from mssante.control.trust import TrustShown
    from mssante.trust.policy import Rules
    from mssante.trust.space import TrustSpace
    from mssante.trust.white_list import WhiteList

_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)
_FOLDER = click.Path(path_type=Path, exists=True, file_okay=False)

# What the operator can do about it. A reason missing here explains itself.
_NEXT = {
    Reason.CERTIFICATE_UNTRUSTED_ISSUER: "the peer needs a certificate of IGC-Santé, and its issuing CA",
    Reason.CERTIFICATE_EXPIRED: "the peer, or the CA named, must renew the certificate",
    Reason.CERTIFICATE_NOT_YET_VALID: "check the clocks, then wait for that day",
    Reason.CERTIFICATE_REVOKED: "the peer must ask IGC-Santé for another certificate",
    Reason.CERTIFICATE_WRONG_USAGE: "the peer needs a certificate for servers and clients; one that says no"
    " usage at all is accepted with trust.extended_key_usage_required = false",
    Reason.CERTIFICATE_WEAK: "the peer must renew with RSA-2048 or P-256, and SHA-256",
    Reason.CERTIFICATE_NAME_MISMATCH: "the peer must declare this DN in the liste blanche, or present the one"
    " listed, with a CN among its host names",
    Reason.REVOCATION_UNKNOWN: "put a fresh CRL of that authority into the folder",
    Reason.PEER_NOT_LISTED: "the peer must have this DN entered in the liste blanche; or this list is old",
    Reason.DOMAIN_NOT_LISTED: "check the domain's spelling, and the date of the list",
    Reason.DOMAIN_OF_ANOTHER_OPERATOR: "only the names listed for the domain may speak for it",
}


@click.group()
def trust() -> None:
    """The trust space (espace de confiance): who speaks for which domain."""


@trust.command("list")
@click.option("--file", "file", type=_FILE, help="A white list; the configured one by default.")
@json_option
def listing(file: Path | None, as_json: bool) -> None:
    """Read a white list; tell how much it holds and each entry that was odd."""
    file = file or configuration().trust.white_list
    if file is None:
        end(MISUSE, "no white list: name one with --file, or set trust.white_list in the configuration")
    found = _read_list(file)
    space = found.space()
    result = {
        "entries": found.count,
        "domains": len(space.names_by_domain),
        "names": len(space.names),
        "generated_at": found.generated_at.isoformat(),
        "odd": [
            {
                "entry": odd.rank,
                "domain": odd.domain,
                "name": odd.name,
                "why": list(odd.why),
                "kept": odd.kept,
            }
            for odd in found.odd
        ],
    }
    if as_json:
        click.echo(json.dumps(result, ensure_ascii=False))
        return
    click.echo(
        f"{found.count} entries, {len(space.names_by_domain)} domains, {len(space.names)} names,"
        f" generated at {found.generated_at.isoformat()}"
    )
    rows = [
        {
            "entry": odd.rank,
            "domain": odd.domain,
            "counts": "yes" if odd.kept else "no",
            "why": "; ".join(odd.why),
        }
        for odd in found.odd
    ]
    table(rows, "entry", "domain", "counts", "why", empty="no odd entry")


@trust.command("show")
@json_option
def showing(as_json: bool) -> None:
    """What was accepted last of each source, what is held back and why, and the newest revocation lists."""
    from mssante.control.trust import ShowTrust

    def human(shown: TrustShown) -> None:
        if shown.trouble:
            click.echo(f"nobody can be trusted: {shown.trouble}")
        sources = ("source", "dated", "pairs", "digest", "held_why", "held_digest")
        table(plain(shown.sources), *sources, empty="nothing was accepted yet")
        lists = ("authority", "number", "this_update")
        table(plain(shown.revocation_lists), *lists, empty="no revocation list")

    show(perform(ShowTrust()), as_json=as_json, human=human)


@trust.command()
@click.argument("source")
@click.argument("digest")
@json_option
def accept(source: str, digest: str, as_json: bool) -> None:
    """Put in force what a SOURCE says although it is held back. `trust show` tells its DIGEST."""
    from mssante.control.trust import AcceptTrust

    show(perform(requested(AcceptTrust, source=source, digest=digest)), as_json=as_json)


@trust.command()
@click.option("--cert", "cert", type=_FILE, required=True, help="PEM: the certificate, then its authorities.")
@click.option("--domain", required=True, help="The mail domain it should speak for.")
@click.option("--direction", type=click.Choice(["in", "out"]), default="in", show_default=True)
@click.option("--list", "list_", type=_FILE, help="A white list; the configured sources by default.")
@click.option("--anchors", type=_FILE, help="PEM of the roots.")
@click.option("--intermediates", type=_FILE, help="PEM of the issuing CAs we know.")
@click.option("--crl", "crls", type=_FOLDER, help="Folder of revocation lists.")
@click.option("--at", type=click.DateTime(), help="Judge as if at this time (UTC); now by default.")
@json_option
def explain(
    cert: Path, domain: str, direction: str, as_json: bool, at: datetime | None, **given: Any
) -> None:
    """Judge a certificate as a peer's, for a domain. What is not given comes from the configuration."""
    try:
        asked = Domain.parse(domain)
    except Malformed as error:
        end(MISUSE, f"--domain: {error}")
    result = _judged(cert, asked, direction, (at.replace(tzinfo=UTC) if at else datetime.now(UTC)), given)
    if as_json:
        click.echo(json.dumps(result, ensure_ascii=False))
    else:
        for key, value in result.items():
            click.echo(f"{key}: {_plain(value)}")
    sys.exit({"accepted": 0, "refused": NO, "passing": TRY_LATER}[result["verdict"]])


def _plain(value: Any) -> str:
    match value:
        case dict():
            return " = ".join(value.values())
        case list():
            return "".join(f"\n  {one}" for one in value) or "-"
        case _:
            return str(value or "-")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sources:
    white_list: Path | None  # None: the trust space of the configuration, whatever its sources
    anchors: Path
    intermediates: Path | None
    crls: Path
    rules: Rules | None = None  # None: the rules that hold where nothing is configured


def _configured() -> _Sources:
    """What the configuration says, for everything that the command line leaves out."""
    from mssante.app.trust import rules

    found = configuration().trust
    return _Sources(
        white_list=None,
        anchors=found.anchors,
        intermediates=found.intermediates,
        crls=found.crls,
        rules=rules(found),
    )


def _sources(
    list_: Path | None, anchors: Path | None, intermediates: Path | None, crls: Path | None
) -> _Sources:
    if list_ is not None and anchors is not None and crls is not None:
        return _Sources(white_list=list_, anchors=anchors, intermediates=intermediates, crls=crls)
    usual = _configured()
    return _Sources(
        white_list=list_,
        anchors=anchors or usual.anchors,
        # Anchors of another PKI come with their own intermediates or none.
        intermediates=intermediates or (usual.intermediates if anchors is None else None),
        crls=crls or usual.crls,
        rules=usual.rules,
    )


def _read_list(file: Path) -> WhiteList:
    from mssante.trust.white_list import read

    try:
        return read(file.read_bytes())
    except Malformed as error:
        end(NO, f"{file}: {error}. Nothing of it is used: fetch the list again.")
    except OSError as error:
        end(NO, f"{file}: {error.strerror}")


def _configured_space() -> TrustSpace:
    """As the server reads it: a pair counts only if every configured source has it."""
    from mssante.app.parts import CannotStart, configured_space

    try:
        return finish(configured_space(configuration()))
    except (CannotStart, Malformed, OSError) as error:
        end(MISUSE, f"{error}")


def _judged(
    cert: Path, domain: Domain, direction: str, now: datetime, given: dict[str, Any]
) -> dict[str, Any]:
    from mssante.trust.certificate import from_pem, identity_of
    from mssante.trust.path import Anchors, helpful
    from mssante.trust.policy import Rules, verify_peer
    from mssante.trust.revocation import Revocations

    sources = _sources(**given)
    space = _read_list(sources.white_list).space() if sources.white_list else _configured_space()
    try:
        chain = from_pem(cert.read_bytes())
        anchors = Anchors.load(sources.anchors, sources.intermediates)
        # Its own authorities too: what is explained here may come from a PKI that is not configured.
        issuers = (*anchors.issuers, *helpful(chain[1:], anchors))
        crls = Revocations.load(sources.crls, issuers=issuers, now=now)
    except (Malformed, OSError) as error:
        end(MISUSE, f"{error}")
    verdict: Declined | None = None
    try:
        verify_peer(
            chain,
            anchors=anchors,
            space=space,
            crls=crls,
            now=now,
            direction=Direction(direction),
            rules=sources.rules or Rules(),
        ).speaks_for(domain)
    except Declined as declined:
        verdict = declined
    identity = identity_of(chain[0])
    return {
        **_verdict(verdict),
        "domain": domain.name,
        "direction": direction,
        "name": identity.dn,
        "serial": identity.serial,
        "fingerprint": identity.fingerprint,
        "entry": _entry(space, domain, identity.dn) if identity.dn else None,
        "listed_names": sorted(str(name) for name in space.names_for(domain)),
        "unused_crls": [f"{unused.file}: {unused.why}" for unused in crls.unused],
        "unused_certificates": [f"{unused.file}: {unused.why}" for unused in anchors.unused],
    }


def _verdict(declined: Declined | None) -> dict[str, str]:
    if declined is None:
        return {
            "verdict": "accepted",
            "rule": "listed",
            "why": "in order, and listed for the domain",
            "next": "",
        }
    return {
        "verdict": "passing" if isinstance(declined, Passing) else "refused",
        "rule": declined.reason.value,
        "why": declined.detail,
        "next": _NEXT.get(declined.reason, ""),
    }


def _entry(space: TrustSpace, domain: Domain, dn: str) -> dict[str, str] | None:
    """The list's own entry that makes this name speak for this domain."""
    from mssante.trust.names import DistinguishedName

    name = DistinguishedName.parse(dn)
    listed = next((one for one in space.names_for(domain) if one == name), None)
    return None if listed is None else {"domain": domain.name, "name": str(listed)}
