"""Writes a white list in the published format (facts §1), for development: who speaks for which domain."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from lxml import etree

NAMESPACE = "https://listeblanche.mssante.fr/schema"


def white_list(pairs: Iterable[tuple[str, str]], *, generated_at: datetime) -> bytes:
    """The XML of (domain, operator's DN in RFC 4514) pairs, in their order, dated to the second."""
    stamp = generated_at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    root = etree.Element(
        f"{{{NAMESPACE}}}ListeBlancheMSSante",
        nsmap={None: NAMESPACE},  # type: ignore[dict-item] # lxml-stubs: None is the default namespace
    )
    _child(root, "DateDeGeneration", stamp)
    domains = _child(root, "ListeDomaines")
    for domain, name in pairs:
        entry = _child(domains, "Domaine")
        _child(entry, "Nom", domain)
        _child(entry, "Description", "Domaine de développement")
        _child(entry, "DNCertificatOperateur", name)
        _child(entry, "ResponsableContact", "contact@operateur.test")
        _child(entry, "SupportContact", "support@operateur.test")
        _child(entry, "DateMAJ", stamp)
    return etree.tostring(root, xml_declaration=True, encoding="UTF-8", pretty_print=True)


def write(file: Path, pairs: Iterable[tuple[str, str]], *, generated_at: datetime) -> None:
    """Puts `white_list` into a file, whole or not at all: a server may be reading it."""
    fresh = file.with_name(f".{file.name}.new")
    fresh.write_bytes(white_list(pairs, generated_at=generated_at))
    fresh.replace(file)


def _child(parent: etree._Element, name: str, text: str | None = None) -> etree._Element:
    child = etree.SubElement(parent, f"{{{NAMESPACE}}}{name}")
    child.text = text
    return child


def main() -> None:
    """`python -m mssante.demo.certs.white_list FILE DOMAIN=DN…`: a white list dated now, for a trial."""
    parser = argparse.ArgumentParser(prog="python -m mssante.demo.certs.white_list", description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("pairs", nargs="+", metavar="DOMAIN=DN")
    asked = parser.parse_args()
    pairs = [(domain, name) for domain, _, name in (pair.partition("=") for pair in asked.pairs)]
    write(asked.file, pairs, generated_at=datetime.now(UTC))


if __name__ == "__main__":
    main()
