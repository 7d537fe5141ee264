"""After an upgrade: letters that a version without proofs left waiting are given one, as they are found.

Invariants: only the proof is added to an envelope; a letter that has a proof, right or wrong, or that does
not open, stays as it is; may be stopped anywhere and done again.
"""

from __future__ import annotations

from dataclasses import replace

from mssante.crypto import NotAuthentic
from mssante.delivery.route import Route, route_proof
from mssante.keys.broker import KeyBroker
from mssante.keys.ring import Ring
from mssante.model import MailboxId
from mssante.store import MailStore
from mssante.store.records import MessageNumber, QueuedEnvelope


async def prove_waiting(store: MailStore, broker: KeyBroker, queue: MailboxId) -> None:
    """Proves the letters of this queue that have no proof. Whoever calls it trusts the mail database as it
    lies there, so only while the broker is `unsettled`. Raises Refused(NOT_PERMITTED) when the key store
    knows no such queue, Passing."""
    assert broker.unsettled
    ring, secret = await broker.open_queue(queue), broker.dedup_key()
    try:
        after = MessageNumber(0)
        while some := await store.queue.envelopes(queue, after):
            found = [(one, _proved(one, ring, secret)) for one in some]
            await store.queue.replace_envelopes([(one, anew) for one, anew in found if anew is not None])
            after = some[-1].number
    finally:
        ring.close()


def _proved(one: QueuedEnvelope, ring: Ring, secret: bytes) -> bytes | None:
    """The envelope with a proof; None when it has one or does not open."""
    try:
        dek = ring.unwrap(one.message_id, one.blob_id, one.sealed_key)
        route = Route.open(dek, one.message_id, one.envelope_ct)
    except NotAuthentic:
        return None
    if route.proof is not None:
        return None
    proof = route_proof(secret, dek, one.message_id, one.blob_id)
    return replace(route, proof=proof).seal(dek, one.message_id)
