"""The root key: it wraps and unwraps the secrets of mailboxes, and does nothing else.

Invariants: its bytes never leave this object; a file that others can read is refused (K14). A hardware module
could replace it later, because the layers above only need `id`, `wrap` and `unwrap`.
File (project format), one line: "mssante-root-key <id> <32 bytes in base64>".
"""

from __future__ import annotations

import base64
import os
from pathlib import Path

from mssante.crypto.keys import KEY_OCTETS, Cipher, random_key
from mssante.database import CannotOpen, files
from mssante.limits import ROOT_KEY_FILE_OCTETS_MAX

_WORD = "mssante-root-key"


class RootKeyMalformed(CannotOpen):
    """The file is not a root key of this program."""


class RootKey:
    """Made by `create`, `load` or `from_credential`. `id` is its version, 1 and up."""

    __slots__ = ("_cipher", "id")

    def __init__(self, number: int, key: bytes) -> None:
        self.id = number
        self._cipher = Cipher(key)

    @classmethod
    def create(cls, path: Path, *, number: int = 1) -> RootKey:
        """Draws a key and writes it to a file with mode 0600. Raises FileExistsError: a root key is never
        overwritten, because all mail would be lost with it."""
        key = random_key()
        files.write_private(path, f"{_WORD} {number} {base64.b64encode(key).decode()}\n".encode())
        return cls(number, key)

    @classmethod
    def load(cls, path: Path) -> RootKey:
        """Reads a key from a file. Raises UnsafeFile, RootKeyMalformed, OSError."""
        return cls(*_parsed(files.read_private(path, ROOT_KEY_FILE_OCTETS_MAX)))

    @classmethod
    def from_credential(cls, name: str) -> RootKey:
        """Reads a key from a systemd credential (LoadCredentialEncrypted=), which systemd decrypts into a
        folder that only the service can enter. Raises RootKeyMalformed, OSError."""
        folder = os.environ.get("CREDENTIALS_DIRECTORY")
        if not folder or "/" in name:
            raise RootKeyMalformed("no systemd credential of that name: CREDENTIALS_DIRECTORY is not set")
        return cls(*_parsed((Path(folder) / name).read_bytes()[:ROOT_KEY_FILE_OCTETS_MAX]))

    def wrap(self, plaintext: bytes, aad: bytes) -> bytes:
        return self._cipher.wrap(plaintext, aad)

    def unwrap(self, wrapped: bytes, aad: bytes) -> bytes:
        """Raises NotAuthentic."""
        return self._cipher.unwrap(wrapped, aad)

    def __repr__(self) -> str:
        return f"RootKey(id={self.id})"


def _parsed(content: bytes) -> tuple[int, bytes]:
    parsed = None
    try:
        word, number, key = content.decode("ascii").split()
        parsed = word, int(number), base64.b64decode(key, validate=True)
    except ValueError:
        pass  # we raise below, without this error as its cause: a UnicodeDecodeError holds the content
    if parsed is None or parsed[0] != _WORD or parsed[1] < 1 or len(parsed[2]) != KEY_OCTETS:
        raise RootKeyMalformed("not a root key file")
    return parsed[1], parsed[2]
