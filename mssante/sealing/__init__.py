"""How a message becomes what is kept of it, for delivery and APPEND alike: sealed, on its way to rows."""

from mssante.sealing.blobs import Blob, Blobs, deposit
from mssante.sealing.message import MessageSealer, Sealed, SealedCopy

__all__ = ["Blob", "Blobs", "MessageSealer", "Sealed", "SealedCopy", "deposit"]
