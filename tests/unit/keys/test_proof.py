"""The proofs of rows and of all of them together, frozen."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mssante.crypto.keys import NotAuthentic
from mssante.keys.proof import Register, RowProof

VECTORS: dict[str, Any] = json.loads(
    (Path(__file__).parents[2] / "vectors" / "proofs-v1.json").read_text(encoding="utf-8")
)
PROOF = RowProof(bytes.fromhex(VECTORS["key"]))


def row_of(vector: dict[str, Any]) -> dict[str, Any]:
    row = dict(vector["row"])
    if "mailbox_id" in row:
        row["mailbox_id"] = bytes.fromhex(row["mailbox_id"])
    return row


@pytest.mark.parametrize("vector", VECTORS["rows"], ids=lambda vector: vector["table"])
def test_a_frozen_row_holds_with_its_proof(vector: dict[str, Any]) -> None:
    row = row_of(vector)
    mac = bytes.fromhex(vector["mac"])
    assert PROOF.mac(vector["table"], row) == mac
    assert f"{PROOF.share(mac):064x}" == vector["share"]
    assert PROOF.holds(vector["table"], {**row, "mac": mac})


@pytest.mark.parametrize("vector", VECTORS["rows"], ids=lambda vector: vector["table"])
def test_a_row_changed_anywhere_does_not_hold(vector: dict[str, Any]) -> None:
    row, mac = row_of(vector), bytes.fromhex(vector["mac"])
    for column in row:
        for other in (None, 0, 1, -1, 2**70, "", "x", b"", b"x" * 16, 1.5):
            if other != row[column]:
                assert not PROOF.holds(vector["table"], {**row, column: other, "mac": mac}), column
    for bad in (None, b"", mac[:-1], mac + b"x", bytes(32)):
        assert not PROOF.holds(vector["table"], {**row, "mac": bad})


def test_what_one_column_ends_with_is_not_what_the_next_begins_with() -> None:
    row = row_of(VECTORS["rows"][0])
    moved = {**row, "password_hash": row["password_hash"] + "a", "status": row["status"][1:]}
    assert row["status"][0] == "a"
    assert PROOF.mac("person", row) != PROOF.mac("person", moved)


def test_the_frozen_register_and_floor_open_with_their_counter_alone() -> None:
    frozen = VECTORS["register"]
    sealed, floor = bytes.fromhex(frozen["sealed"]), bytes.fromhex(frozen["floor"])
    register = Register(frozen["counter"], int(frozen["total"], 16), frozen["settled"])
    assert PROOF.opened(register.counter, sealed) == register
    assert PROOF.opened(register.counter, PROOF.closed(register)) == register
    PROOF.require_floor(register.counter, floor)
    for counter in (register.counter - 1, register.counter + 1, -1, 2**63):
        with pytest.raises(NotAuthentic):
            PROOF.opened(counter, sealed)
        with pytest.raises(NotAuthentic):
            PROOF.require_floor(counter, floor)


def test_the_sum_is_not_to_be_read_in_the_database() -> None:
    """Whoever saw it could look for another set of old rows with the same sum."""
    total = int.from_bytes(b"CANARY of the sum", "big")
    assert b"CANARY" not in PROOF.closed(Register(1, total, settled=True))
    assert repr(PROOF) == "RowProof(***)"
