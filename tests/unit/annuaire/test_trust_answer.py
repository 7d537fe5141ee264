"""The directory's trust space: one bad entry costs itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from mssante.annuaire.ldif import LdifDirectory
from mssante.annuaire.trust_answer import trust_answer
from mssante.demo.annuaire import dev_ldif_path
from mssante.demo.certs.make import operator_subject
from mssante.ldap.grammar.values import Found
from mssante.model import Malformed
from mssante.reasons import Passing, Reason
from mssante.trust.names import DistinguishedName


def _operator(code: str, *names: str, where: str = "") -> Found:
    return where or f"op {code}", {
        "msscodeoperateur": [code.encode()],
        "mssdncertificat": [name.encode() for name in names],
    }


def _domain(name: str, *codes: str) -> Found:
    return f"dom {name}", {
        "mssnomdomaine": [name.encode()],
        "msscodeoperateur": [code.encode() for code in codes],
    }


def test_domains_are_joined_to_the_names_of_their_operators() -> None:
    answer = trust_answer(
        [_operator("a", "CN=a1", "CN=a2"), _operator("b", "CN=b")],
        [_domain("one.test", "a"), _domain("two.test", "A", "b"), _domain("ONE.test", "b")],
    )
    assert [(str(pair.domain), pair.name) for pair in answer.pairs] == [
        ("one.test", "CN=a1"),
        ("one.test", "CN=a2"),
        ("one.test", "CN=b"),
        ("two.test", "CN=a1"),
        ("two.test", "CN=a2"),
        ("two.test", "CN=b"),
    ]
    assert answer.odd == ()


def test_an_operator_there_twice_speaks_for_nobody() -> None:
    answer = trust_answer(
        [
            _operator("a", "CN=a"),
            _operator("A", "CN=evil"),
            _operator("a", "CN=evil2"),
            _operator("b", "CN=b"),
        ],
        [_domain("one.test", "a", "b")],
    )
    assert [pair.name for pair in answer.pairs] == ["CN=b"]
    assert [odd.where for odd in answer.odd] == ["op A", "op a", "dom one.test"]


def test_an_odd_entry_is_told_without_control_characters_and_at_a_bounded_length() -> None:
    (odd,) = trust_answer([_operator("a b", "CN=a", where="cn=\x1b[2J" + "x" * 1000)], []).odd
    assert odd.where.startswith("cn=?[2J")
    assert len(odd.where) == 200
    assert odd.why == "mssCodeOperateur: not a code"


def test_a_name_that_is_none_is_told_and_the_others_count() -> None:
    answer = trust_answer([_operator("a", "nonsense", "CN=a")], [_domain("one.test", "a")])
    assert [pair.name for pair in answer.pairs] == ["CN=a"]
    assert [odd.why.split(":")[0] for odd in answer.odd] == ["mssDnCertificat"]
    assert len(answer.space().names) == 1


def test_too_many_pairs_are_passing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mssante.annuaire.trust_answer.WHITE_LIST_ENTRIES_MAX", 3)
    with pytest.raises(Passing) as raised:
        trust_answer([_operator("a", "CN=a")], [_domain(f"d{n}.test", "a") for n in range(4)])
    assert raised.value.reason is Reason.DIRECTORY_UNAVAILABLE


async def test_records_that_cannot_be_read_are_told_with_the_trust_space() -> None:
    directory = LdifDirectory(b"dn: cn=x\nmssNomDomaine:: ?\n")
    (odd,) = (await directory.trust_pairs()).odd
    assert (odd.where, odd.why) == ("line 1", "not base64")
    assert directory.odd == (odd,)


def test_a_file_that_is_away_is_passing_and_one_that_is_not_ldif_malformed(tmp_path: Path) -> None:
    with pytest.raises(Passing) as raised:
        LdifDirectory.load(tmp_path / "absent.ldif")
    assert raised.value.reason is Reason.DIRECTORY_UNAVAILABLE
    (tmp_path / "other").write_bytes(b"version: 9\ndn: cn=a\ncn: a\n")
    with pytest.raises(Malformed):
        LdifDirectory.load(tmp_path / "other")


async def test_the_development_directory_and_pki_name_the_same_operators() -> None:
    space = (await LdifDirectory.load(dev_ldif_path()).trust_pairs()).space()
    assert space.names == {DistinguishedName.of(operator_subject(letter).name) for letter in "abcd"}
