"""Turning a message into what the store keeps of it, sealed, for delivery and for APPEND alike."""

from mssante.sealing.blobs import Blob, Blobs, deposit
from mssante.sealing.message import MessageSealer, Sealed, SealedCopy, kept_kib

__all__ = ["Blob", "Blobs", "MessageSealer", "Sealed", "SealedCopy", "deposit", "kept_kib"]
