"""Encryption for the rest of the program: functions that are hard to misuse, and that raise on failure.

Invariants: besides trust/ and the demo's certificates, only this package imports `cryptography`.
"""

from mssante.crypto.audit import AuditPublicKey, AuditSecretKey, LineForm, LineKey, LineText, SealedLineKey
from mssante.crypto.dek import Dek, Purpose
from mssante.crypto.envelope import Closed, EnvelopeForm, PublicKey, SealedKey, Suite, seal_dek
from mssante.crypto.keys import NotAuthentic
from mssante.crypto.stream import ChunkOpener, ChunkSealer

__all__ = [
    "AuditPublicKey",
    "AuditSecretKey",
    "ChunkOpener",
    "ChunkSealer",
    "Closed",
    "Dek",
    "EnvelopeForm",
    "LineForm",
    "LineKey",
    "LineText",
    "NotAuthentic",
    "PublicKey",
    "Purpose",
    "SealedKey",
    "SealedLineKey",
    "Suite",
    "seal_dek",
]
