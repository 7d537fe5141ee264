"""The one door to `cryptography`, besides trust/: recipes in front, failure raises."""

from mssante.crypto.dek import Dek, Purpose
from mssante.crypto.envelope import Closed, EnvelopeForm, PublicKey, SealedKey, Suite, seal_dek
from mssante.crypto.keys import NotAuthentic
from mssante.crypto.stream import ChunkOpener, ChunkSealer

__all__ = [
    "ChunkOpener",
    "ChunkSealer",
    "Closed",
    "Dek",
    "EnvelopeForm",
    "NotAuthentic",
    "PublicKey",
    "Purpose",
    "SealedKey",
    "Suite",
    "seal_dek",
]
