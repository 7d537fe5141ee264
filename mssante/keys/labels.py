"""Every key that is not a mailbox's: the services' keys under the root key, and what is derived from them.

A service key is 32 random bytes, drawn once and wrapped by the root key (table `service_key`). It is not
derived from the root key, so that a hardware module that only wraps and unwraps can hold the root key, and so
that a change of root key leaves in force what was made with it. Invariant: no two purposes share a key, so
each purpose has a line here.
"""

from __future__ import annotations

from enum import StrEnum


class ServiceKey(StrEnum):
    """The name of a service key in the key store."""

    DEDUP = "dedup"  # HMAC key: recognises a letter that was accepted before (delivery.reception)
    KNOWN_PAIRS = "known-pairs"  # HMAC keys are derived from it: where people signed in (keys.known_pairs)
    AUDIT = "audit"  # seed of the pair that the journal is sealed to (crypto.audit)
    SIGNING = "signing"  # seed of the Ed25519 pair that signs what mailboxes are (crypto.statement)
    PROOF = "proof"  # the keys below are derived from it, with HKDF (crypto.keys.derive)


class ProofLabel(StrEnum):
    """What is derived from ServiceKey.PROOF: the proofs of the key store's own rows (keys.proof)."""

    PERSON = "proof/person"  # HMAC key of a row of people and passwords
    ACCESS = "proof/access"  # HMAC key of a row of grants
    SET = "proof/set"  # HMAC key that turns a row's MAC into its share of the sum over all rows
    REGISTER = "proof/register"  # AES-256-GCM key that closes the sum and how far the key store has come
    FLOOR = "proof/floor"  # HMAC key of the mark that the mail database keeps of it
