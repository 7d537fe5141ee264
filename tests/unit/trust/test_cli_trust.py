"""`mssante trust`: verdicts, entries, oddities and exit codes, as people and as programs see them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from mssante.cli.trust import trust
from mssante.demo.certs.make import UNLISTED
from mssante.demo.certs.white_list import white_list

from .conftest import NOW, World


@pytest.fixture
def list_file(world: World, tmp_path: Path) -> Path:
    """The dev world's list, with what real lists do to it."""
    pairs = [(leaf.domain, leaf.listed) for leaf in world.pki.leaves.values() if leaf.name != UNLISTED]
    a = world.leaf("operator-a").listed
    pairs = [(domain.upper() if name == a else domain, name.replace(",", ", ")) for domain, name in pairs]
    file = tmp_path / "liste.xml"
    file.write_bytes(white_list([*pairs, ("moi@b.mssante.fr", a)], generated_at=NOW))
    return file


def run(*words: str) -> Result:
    return CliRunner().invoke(trust, list(words))


def explain(world: World, list_file: Path, name: str, domain: str, *more: str) -> Result:
    pki = world.pki
    return run(
        "explain",
        f"--cert={world.leaf(name).chain_file}",
        f"--domain={domain}",
        f"--list={list_file}",
        f"--anchors={pki.anchors}",
        f"--crl={pki.crls}",
        f"--at={NOW:%Y-%m-%dT%H:%M:%S}",
        *more,
    )


def answer(result: Result) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def test_a_listed_operator_is_accepted_with_its_entry(world: World, list_file: Path) -> None:
    for direction in ("in", "out"):
        result = explain(
            world, list_file, "operator-a", "Operateur-A.test", "--json", f"--direction={direction}"
        )
        found = answer(result)
        assert (result.exit_code, found["verdict"], found["rule"]) == (0, "accepted", "listed")
        assert found["entry"] == {"domain": "operateur-a.test", "name": world.leaf("operator-a").dn}
        assert (found["direction"], found["name"]) == (direction, world.leaf("operator-a").dn)


@pytest.mark.parametrize(
    ("name", "domain", "direction", "rule"),
    [
        ("operator-b", "operateur-a.test", "in", "domain_of_another_operator"),
        ("operator-a", "ailleurs.test", "in", "domain_not_listed"),
        (UNLISTED, "operateur-a.test", "in", "peer_not_listed"),
        ("expire", "expire.conformite.test", "in", "certificate_expired"),
        ("revoque", "revoque.conformite.test", "out", "certificate_revoked"),
        ("non-igc", "non-igc.conformite.test", "out", "certificate_untrusted_issuer"),
        ("no-match", "no-match.conformite.test", "in", "peer_not_listed"),
        ("cn-diff-dn", "cn-diff-dn.conformite.test", "in", "certificate_name_mismatch"),
        ("eku-client-only", "eku-client-only.conformite.test", "out", "certificate_wrong_usage"),
        ("huge", "huge.conformite.test", "out", "certificate_malformed"),
    ],
)
def test_a_refusal_names_its_rule_and_what_to_do(
    world: World, list_file: Path, *, name: str, domain: str, direction: str, rule: str
) -> None:
    result = explain(world, list_file, name, domain, "--json", f"--direction={direction}")
    found = answer(result)
    assert (result.exit_code, found["verdict"], found["rule"]) == (1, "refused", rule)
    assert found["why"]
    assert found["next"] or rule == "certificate_malformed"


def test_a_doubt_is_passing_with_exit_code_75(world: World, list_file: Path, tmp_path: Path) -> None:
    empty = tmp_path / "crl"
    empty.mkdir()
    result = explain(world, list_file, "operator-a", "operateur-a.test", "--json", f"--crl={empty}")
    found = answer(result)
    assert (result.exit_code, found["verdict"], found["rule"]) == (75, "passing", "revocation_unknown")


def test_a_person_reads_the_same_in_lines(world: World, list_file: Path) -> None:
    result = explain(world, list_file, "operator-b", "operateur-a.test")
    assert result.exit_code == 1
    assert "verdict: refused\nrule: domain_of_another_operator\n" in result.stdout
    assert f"\n  {world.leaf('operator-a').dn}\n" in result.stdout


@pytest.mark.parametrize(
    "words",
    [
        ("explain",),
        ("explain", "--domain=a.test", "--cert=absent.pem"),
        ("list", "--file=absent.xml"),
    ],
)
def test_misuse_is_exit_code_2(words: tuple[str, ...]) -> None:
    assert run(*words).exit_code == 2


def test_a_domain_that_is_none_is_misuse(world: World, list_file: Path) -> None:
    assert explain(world, list_file, "operator-a", "pas un domaine").exit_code == 2


def test_a_file_that_is_no_certificate_is_misuse(world: World, list_file: Path, tmp_path: Path) -> None:
    (tmp_path / "x.pem").write_text("rien")
    assert explain(world, list_file, "operator-a", "a.test", f"--cert={tmp_path / 'x.pem'}").exit_code == 2


def test_the_list_tells_how_much_it_holds_and_each_odd_entry(world: World, list_file: Path) -> None:
    result = run("list", f"--file={list_file}", "--json")
    found = answer(result)
    listed = len(world.pki.leaves) - 1
    assert result.exit_code == 0
    assert found["entries"] == listed + 1
    assert found["domains"] == len({leaf.domain for leaf in world.pki.leaves.values()}) - 1
    assert found["names"] == listed
    assert found["generated_at"] == "2026-03-01T12:00:00+00:00"
    assert len(found["odd"]) == listed + 1
    assert [odd["domain"] for odd in found["odd"] if not odd["kept"]] == ["moi@b.mssante.fr"]
    assert "domain in upper case" in found["odd"][0]["why"]


def test_a_person_reads_the_list_as_a_table(list_file: Path) -> None:
    result = run("list", f"--file={list_file}")
    assert result.exit_code == 0
    assert "entries," in result.stdout
    assert "an @ inside it" in result.stdout


def test_a_list_that_cannot_be_used_is_refused_with_exit_code_1(tmp_path: Path) -> None:
    file = tmp_path / "liste.xml"
    file.write_text("<!DOCTYPE x><x/>")
    result = run("list", f"--file={file}")
    assert result.exit_code == 1
    assert "DTD" in result.stderr
