"""Made statements-v1.json and proofs-v1.json, once. Run again only for a new format, into new files.
`python -m tests.vectors.make_proofs tests/vectors`
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from mssante.crypto import MailboxIdentity, MailboxStatement, PublicKey, Suite
from mssante.crypto.statement import StatementSigner
from mssante.keys.proof import Register, RowProof
from mssante.model import Address, MailboxId, MailboxKind
from tests.vectors.make import filler

SEED = bytes(range(32))
CASES = (
    ("marie.durand@chu-a.test", MailboxKind.PER, 1, Suite.MLKEM768_X25519, 1216),
    ("Cardiologie@chu-a.test", MailboxKind.ORG, 2**32 - 1, Suite.X25519, 32),
    (None, MailboxKind.QUEUE, 7, Suite.MLKEM768_X25519, 1216),
)
PERSON: dict[str, Any] = {
    "person": "éloïse@chu-a.test",
    "version": 41,
    "password_hash": "$argon2id$v=19$m=65536,t=3,p=1$c2FsdA$aGFzaA",
    "status": "active",
    "created": 1767225600000,
    "password_changed": 1767225600001,
}
ACCESS: dict[str, Any] = {
    "id": 3,
    "version": 42,
    "person": "éloïse@chu-a.test",
    "mailbox_id": bytes(range(16)),
    "role": "full",
    "since": 1767225600000,
    "until": None,
    "revoked": 1767225600002,
}


def statements() -> dict[str, object]:
    signer = StatementSigner(SEED)
    rows = []
    for address, kind, epoch, suite, octets in CASES:
        mailbox = MailboxId(bytes(range(16)))
        named = Address.parse(address) if address else None
        identity = MailboxIdentity(mailbox=mailbox, address=named, kind=kind)
        said = MailboxStatement(identity, PublicKey(mailbox, epoch, suite, filler(octets)))
        rows.append(
            {
                "address": address,
                "mailbox": mailbox.hex(),
                "kind": kind.value,
                "epoch": epoch,
                "suite": int(suite),
                "key": said.key.public.hex(),
                "octets": said.octets().hex(),
                "signature": signer.sign(said).signature.hex(),
            }
        )
    return {"seed": SEED.hex(), "public": signer.public.hex(), "statements": rows}


def proofs() -> dict[str, object]:
    proof, rows = RowProof(SEED), []
    for table, row in (("person", PERSON), ("access", ACCESS)):
        mac = proof.mac(table, row)
        plain = {name: value.hex() if isinstance(value, bytes) else value for name, value in row.items()}
        rows.append({"table": table, "row": plain, "mac": mac.hex(), "share": f"{proof.share(mac):064x}"})
    register = Register(42, sum(int(str(row["share"]), 16) for row in rows) % 2**256, settled=True)
    return {
        "key": SEED.hex(),
        "rows": rows,
        "register": {
            "counter": register.counter,
            "total": f"{register.total:064x}",
            "settled": register.settled,
            "sealed": proof.closed(register).hex(),
            "floor": proof.floor(register.counter).hex(),
        },
    }


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    for name, content in (("statements-v1", statements()), ("proofs-v1", proofs())):
        text = json.dumps(content, indent=1, ensure_ascii=False) + "\n"
        (folder / f"{name}.json").write_text(text, encoding="utf-8")
