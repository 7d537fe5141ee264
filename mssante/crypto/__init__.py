"""Encryption for the rest of the program: functions that are hard to misuse, and that raise on failure.

Invariants: besides trust/ and the demo's certificates, only this package imports `cryptography`.
"""

from mssante.crypto.audit import AuditPublicKey, AuditSecretKey, LineForm, LineKey, LineText, SealedLineKey
from mssante.crypto.dek import Dek, Purpose
from mssante.crypto.envelope import Closed, EnvelopeForm, PublicKey, SealedKey, Suite, seal_dek
from mssante.crypto.keys import NotAuthentic
from mssante.crypto.statement import MailboxIdentity, MailboxStatement, SignedStatement, StatementVerifier
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
    "MailboxIdentity",
    "MailboxStatement",
    "NotAuthentic",
    "PublicKey",
    "Purpose",
    "SealedKey",
    "SealedLineKey",
    "SignedStatement",
    "StatementVerifier",
    "Suite",
    "seal_dek",
]
