"""The root key: one private file, never overwritten, never shown (K14, K13)."""

from __future__ import annotations

import base64
import pickle
from pathlib import Path

import pytest

from mssante.crypto import NotAuthentic
from mssante.database import UnsafeFile
from mssante.keys import RootKey, RootKeyMalformed


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "root.key"


def test_a_root_key_loaded_again_opens_what_it_closed(path: Path) -> None:
    wrapped = RootKey.create(path, number=4).wrap(b"secret", b"aad")
    again = RootKey.load(path)
    assert again.id == 4
    assert again.unwrap(wrapped, b"aad") == b"secret"
    with pytest.raises(NotAuthentic):
        again.unwrap(wrapped, b"other")


def test_a_root_key_file_is_private(path: Path) -> None:
    RootKey.create(path)
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_root_key_is_never_overwritten(path: Path) -> None:
    RootKey.create(path)
    before = path.read_bytes()
    with pytest.raises(FileExistsError):
        RootKey.create(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o620])
def test_a_root_key_open_to_others_is_refused(path: Path, mode: int) -> None:
    RootKey.create(path)
    path.chmod(mode)
    with pytest.raises(UnsafeFile, match="chmod 600"):
        RootKey.load(path)


def test_a_root_key_behind_a_symbolic_link_is_refused(path: Path) -> None:
    RootKey.create(path.with_name("real"))
    path.symlink_to("real")
    with pytest.raises(UnsafeFile):
        RootKey.load(path)
    with pytest.raises(FileExistsError):
        RootKey.create(path)


_GOOD = base64.b64encode(b"k" * 32).decode()


@pytest.mark.parametrize(
    "content",
    [
        "",
        "mssante-root-key",
        f"other-word 1 {_GOOD}",
        f"mssante-root-key 0 {_GOOD}",
        f"mssante-root-key one {_GOOD}",
        "mssante-root-key 1 " + base64.b64encode(b"k" * 31).decode(),
        "mssante-root-key 1 !!!!",
        f"mssante-root-key 1 {_GOOD} more",
        "mssante-root-key 1 \u00e9",
        "x" * 10_000,
    ],
)
def test_what_is_not_a_root_key_is_refused_without_being_told(path: Path, content: str) -> None:
    path.touch(0o600)
    path.write_text(content, encoding="utf-8")
    with pytest.raises(RootKeyMalformed) as refusal:
        RootKey.load(path)
    assert str(refusal.value) == "not a root key file"
    assert refusal.value.__context__ is None


def test_a_systemd_credential_is_a_root_key(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wrapped = RootKey.create(path).wrap(b"secret", b"")
    path.chmod(0o440)  # systemd grants the service by an ACL, which shows as group bits
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(path.parent))
    assert RootKey.from_credential("root.key").unwrap(wrapped, b"") == b"secret"


@pytest.mark.parametrize("folder", [None, ""])
def test_without_systemd_there_is_no_credential(folder: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    if folder is not None:
        monkeypatch.setenv("CREDENTIALS_DIRECTORY", folder)
    with pytest.raises(RootKeyMalformed):
        RootKey.from_credential("root.key")


def test_a_credential_name_is_not_a_path(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    RootKey.create(path)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(path.parent))
    with pytest.raises(RootKeyMalformed):
        RootKey.from_credential(f"../{path.parent.name}/root.key")


def test_a_root_key_does_not_show(path: Path) -> None:
    root = RootKey.create(path)
    assert repr(root) == str(root) == "RootKey(id=1)"
    with pytest.raises(TypeError):
        pickle.dumps(root)
