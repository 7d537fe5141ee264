"""The proof that rows of the key store are ours, and that they are all there.

Each row of people and of grants has a MAC over all its columns. That shows a row that somebody else wrote,
changed or moved, but not one that was deleted, nor an older row of ours put back. So the register (one row)
keeps a sum over all rows, and a counter that goes up with each change. The sum adds, modulo 2^256, a keyed
hash of every row's MAC (a multiset hash): a change costs one subtraction and one addition, however many rows
there are. It lies encrypted, because whoever saw sums of different days could look for another set of old
rows with the same sum. The mail database keeps the counter too, with a MAC (the floor), so that an older copy
of the whole key store is noticed.

Invariants: octets under a MAC can be read in one way only; what does not verify raises NotAuthentic.
"""

from __future__ import annotations

import hmac
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeGuard

from mssante.crypto.keys import KEY_OCTETS, LABEL_PREFIX, Cipher, NotAuthentic, derive, mac, octets_of
from mssante.keys.labels import ProofLabel

# The columns of a proved row, in the order in which they are under its MAC (project format): the key first.
# A table that gets a column gets a new label too, and its rows are proved anew.
PERSON_COLUMNS = ("person", "version", "password_hash", "status", "created", "password_changed")
ACCESS_COLUMNS = ("id", "version", "person", "mailbox_id", "role", "since", "until", "revoked")
_MODULUS = 2 ** (8 * KEY_OCTETS)
_REGISTER_AAD = LABEL_PREFIX + b"register\0"


@dataclass(frozen=True, slots=True)
class Register:
    """How far the key store has come. `settled` is False until mailboxes that an older version made have been
    signed and the mail database has its mark."""

    counter: int
    total: int
    settled: bool


class RowProof:
    """Makes and checks proofs, with keys derived from the service key PROOF."""

    __slots__ = ("_floor", "_register", "_rows", "_set")

    def __init__(self, key: bytes) -> None:
        self._rows = {
            "person": (derive(key, ProofLabel.PERSON), PERSON_COLUMNS),
            "access": (derive(key, ProofLabel.ACCESS), ACCESS_COLUMNS),
        }
        self._set = derive(key, ProofLabel.SET)
        self._register = Cipher(derive(key, ProofLabel.REGISTER))
        self._floor = derive(key, ProofLabel.FLOOR)

    def mac(self, table: str, row: Mapping[Any, Any]) -> bytes:
        """The MAC of a row of this table."""
        key, columns = self._rows[table]
        return mac(key, b"".join(_octets(row[column]) for column in columns))

    def holds(self, table: str, row: Mapping[Any, Any]) -> bool:
        """Whether a row as the database gives it, with its MAC, is as we wrote it. For lists, where one row
        must not hide the others; a row that is read alone is checked with `require`."""
        try:
            self.require(table, row)
        except NotAuthentic:
            return False
        return True

    def require(self, table: str, row: Mapping[Any, Any]) -> None:
        """Raises NotAuthentic unless a row is as we wrote it."""
        try:
            right = self.mac(table, row)
        except (struct.error, TypeError):  # a type or size that we never write
            raise NotAuthentic from None
        if not hmac.compare_digest(right, octets_of(row["mac"])):
            raise NotAuthentic

    def share(self, row_mac: bytes) -> int:
        """A row's share of the sum."""
        return int.from_bytes(mac(self._set, row_mac), "big")

    def closed(self, register: Register) -> bytes:
        """The register as it lies in the database, besides its counter."""
        content = (register.total % _MODULUS).to_bytes(KEY_OCTETS, "big") + bytes((register.settled,))
        return self._register.wrap(content, _REGISTER_AAD + struct.pack(">Q", register.counter))

    def opened(self, counter: object, sealed: object) -> Register:
        """The register as the database gives it. Raises NotAuthentic."""
        if not _counts(counter):
            raise NotAuthentic
        content = self._register.unwrap(octets_of(sealed), _REGISTER_AAD + struct.pack(">Q", counter))
        return Register(counter, int.from_bytes(content[:KEY_OCTETS], "big"), bool(content[KEY_OCTETS]))

    def floor(self, counter: int) -> bytes:
        """The MAC of the mark that the mail database keeps."""
        return mac(self._floor, struct.pack(">Q", counter))

    def require_floor(self, counter: object, floor_mac: object) -> int:
        """The counter of a mark as the database gives it. Raises NotAuthentic unless it is ours."""
        if not _counts(counter) or not hmac.compare_digest(self.floor(counter), octets_of(floor_mac)):
            raise NotAuthentic
        return counter

    def __repr__(self) -> str:
        return "RowProof(***)"


def _counts(counter: object) -> TypeGuard[int]:
    return isinstance(counter, int) and 0 <= counter < 2**63


def _octets(value: object) -> bytes:
    """A value with its kind and length before it, so that no two rows give the same octets. Raises
    TypeError, struct.error."""
    match value:
        case None:
            return b"\0"
        case int():
            return b"i" + struct.pack(">q", value)
        case str():
            text = value.encode("utf-8", "surrogatepass")
            return b"s" + struct.pack(">I", len(text)) + text
        case bytes() | memoryview():
            return b"b" + struct.pack(">I", len(value)) + bytes(value)
    raise TypeError
