"""Argon2id as PHC strings; a wrong password and nobody's take as long."""

from __future__ import annotations

import statistics
import time

import pytest

from mssante.crypto import passwords
from mssante.crypto.passwords import WrongPassword, hashed, verify
from mssante.model import Secret


@pytest.fixture(autouse=True)
def cheap(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if "full_cost" not in request.fixturenames:
        monkeypatch.setattr(passwords, "PASSWORD_MEMORY_KIB", 512)
        monkeypatch.setattr(passwords, "PASSWORD_ITERATIONS", 1)


@pytest.fixture
def full_cost() -> None:
    """Asked for by tests of the real parameters."""


def test_a_password_verifies_against_its_own_hash_only() -> None:
    stored = hashed(Secret("correct horse"))
    verify(Secret("correct horse"), stored)
    for wrong in ("correct hors", "correct horse ", "Correct horse", ""):
        with pytest.raises(WrongPassword):
            verify(Secret(wrong), stored)


def test_two_hashes_of_one_password_differ() -> None:
    assert hashed(Secret("x")) != hashed(Secret("x"))


def test_composed_and_decomposed_letters_are_the_same_password() -> None:
    verify(Secret("e\u0301te\u0301"), hashed(Secret("\u00e9t\u00e9")))


def test_nobody_has_no_password() -> None:
    with pytest.raises(WrongPassword):
        verify(Secret("x"), None)


@pytest.mark.parametrize("length", [0, 1025, 100_000])
def test_a_password_has_1_to_1024_octets(length: int) -> None:
    with pytest.raises(ValueError, match="1 to 1024"):
        hashed(Secret("x" * length))


def test_a_longer_password_never_verifies_by_its_beginning() -> None:
    stored = hashed(Secret("x" * 1024))
    with pytest.raises(WrongPassword):
        verify(Secret("x" * 1025), stored)


@pytest.mark.parametrize("stored", ["", "plain", "$argon2id$v=19$m=512", "$2b$12$abcdefghijklmnopqrstuv"])
def test_a_damaged_hash_verifies_nothing(stored: str) -> None:
    with pytest.raises(WrongPassword):
        verify(Secret("x"), stored)


def test_lone_surrogates_do_not_crash() -> None:
    with pytest.raises(WrongPassword):
        verify(Secret("\ud800"), hashed(Secret("x")))


@pytest.mark.usefixtures("full_cost")
def test_the_stored_form_names_the_parameters_in_force() -> None:
    assert hashed(Secret("x")).startswith("$argon2id$v=19$m=65536,t=3,p=1$")


@pytest.mark.usefixtures("full_cost")
def test_nobody_takes_as_long_as_somebody() -> None:
    stored = hashed(Secret("x"))

    def seconds(known: str | None) -> float:
        start = time.process_time()
        with pytest.raises(WrongPassword):
            verify(Secret("wrong"), known)
        return time.process_time() - start

    somebody, nobody = [], []
    for _ in range(3):
        somebody.append(seconds(stored))
        nobody.append(seconds(None))
    # I10 asks 5 % over 300 tries on a quiet machine; this guards against a check that is left out.
    assert 0.6 < statistics.median(nobody) / statistics.median(somebody) < 1.6
