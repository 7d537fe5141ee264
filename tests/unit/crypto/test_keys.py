"""The one cipher: who calls it, and that no nonce serves twice (K3); secrets do not show (K13)."""

from __future__ import annotations

import ast
import pickle
from pathlib import Path

import pytest

import mssante
from mssante.crypto import ChunkSealer, Dek, SealedKey, Suite, keys
from mssante.crypto.envelope import EnvelopeForm, PublicKey, SecretKey, WrappingKey, draw_key_pair
from mssante.crypto.keys import Cipher, NonceReused, NotAuthentic, derive, random_id, random_key
from mssante.model import BlobId, MailboxId

SOURCES = sorted(Path(mssante.__file__).parent.rglob("*.py"))


def functions_calling_the_cipher(path: Path) -> set[str]:
    """Functions that name AESGCM, or call encrypt or decrypt on what it made (`self._aes`)."""
    found = set()
    for function in ast.walk(ast.parse(path.read_text())):
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            for node in ast.walk(function):
                if isinstance(node, ast.Attribute) and ast.unparse(node) in (
                    "self._aes.encrypt",
                    "self._aes.decrypt",
                ):
                    found.add(f"{path.name}:{function.name}")
                if isinstance(node, ast.Name) and node.id == "AESGCM" and function.name != "__init__":
                    found.add(f"{path.name}:{function.name}")
    return found


def test_only_two_functions_call_aes_gcm() -> None:
    assert set().union(*map(functions_calling_the_cipher, SOURCES)) == {"keys.py:encrypt", "keys.py:decrypt"}
    naming = {path.name for path in SOURCES if "AESGCM" in path.read_text() or "_aes" in path.read_text()}
    assert naming == {"keys.py"}


def test_no_other_symmetric_cipher_is_imported() -> None:
    importing = {
        path.name
        for path in SOURCES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom) and "ciphers" in (node.module or "")
    }
    assert importing == {"keys.py"}


# What makes a value that an outsider could guess octet by octet, were it compared with `==`.
_MADE = {"mac", "digest", "hexdigest", "derive", "_hash", "name_tag"}


def compared_octet_by_octet(source: str) -> list[str]:
    return [
        ast.unparse(node)
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Compare) and isinstance(node.ops[0], ast.Eq | ast.NotEq)
        for side in (node.left, *node.comparators)
        if isinstance(side, ast.Call) and ast.unparse(side.func).rpartition(".")[2] in _MADE
    ]


def test_no_mac_or_digest_is_compared_octet_by_octet() -> None:
    """K19: `hmac.compare_digest` takes the same time for all."""
    assert {
        path.name: found for path in SOURCES if (found := compared_octet_by_octet(path.read_text()))
    } == {}
    assert compared_octet_by_octet("if hmac.digest(k, d, 's') == given: pass")
    assert compared_octet_by_octet("if given != mac(k, d): pass")


def test_a_nonce_used_twice_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "_watched", {})
    key, nonce = random_key(), b"n" * 12
    Cipher(key).encrypt(nonce, b"one", b"")
    Cipher(key).encrypt(nonce, b"one", b"")  # the same content gives the same octets: nothing is learnt
    with pytest.raises(NonceReused):
        Cipher(key).encrypt(nonce, b"two", b"")
    Cipher(random_key()).encrypt(nonce, b"two", b"")


def test_a_dek_that_seals_two_contents_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "_watched", {})
    dek = Dek.draw()
    for content, expected in ((b"one", None), (b"two", NonceReused)):
        sealer = ChunkSealer(dek, BlobId(random_id()))
        sealer.feed(content)
        if expected:
            with pytest.raises(expected):
                sealer.finish()
        else:
            sealer.finish()


def test_wraps_under_one_key_have_nonces_of_their_own() -> None:
    cipher = Cipher(random_key())
    assert len({cipher.wrap(b"same", b"")[:12] for _ in range(1000)}) == 1000


def test_the_suite_runs_with_nonces_watched() -> None:
    assert keys._watched is not None


def test_labels_give_unrelated_keys() -> None:
    key = random_key()
    assert len({derive(key, label) for label in ("wrap", "chain", "index", "body", "meta", "name")}) == 6


def test_secrets_do_not_show() -> None:
    canary = b"\xc3\xa9CANARY" * 4
    secret, _public = draw_key_pair()
    mailbox = MailboxId(random_id())
    things: list[object] = [
        Dek(canary),
        Cipher(canary),
        WrappingKey(canary, mailbox=mailbox, epoch=1),
        SecretKey(mailbox=mailbox, epoch=1, suite=Suite.MLKEM768_X25519, secret=secret),
        SealedKey(1, Suite.X25519, EnvelopeForm.SEALED, canary),
        PublicKey(mailbox, 1, Suite.MLKEM768_X25519, canary),
        ChunkSealer(Dek(canary), BlobId(random_id())),
    ]
    for thing in things:
        shown = repr(thing) + str(thing) + f"{thing}"
        assert "CANARY" not in shown
        assert repr(secret) not in shown


def test_keys_are_not_pickled() -> None:
    for thing in (Dek.draw(), Cipher(random_key())):
        with pytest.raises(TypeError):
            pickle.dumps(thing)


@pytest.mark.parametrize("length", [0, 16, 31, 33])
def test_a_dek_of_another_length_is_not_one(length: int) -> None:
    with pytest.raises(NotAuthentic):
        Dek(b"x" * length)


def test_a_failure_says_nothing() -> None:
    with pytest.raises(NotAuthentic) as failure:
        Cipher(random_key()).unwrap(b"CANARY" * 10, b"CANARY")
    assert failure.value.args == ()
    assert failure.value.__cause__ is None
    assert failure.value.__suppress_context__
