"""Whether the key store is the one we wrote last: looked at when it is opened, and again while it is open.

Invariants: a store that is not, opens no mailbox until an operator has put it right or accepted it knowingly;
what is found is said in a sentence that names what to do; a store of a version without proofs is given them
once, at the first start, and never when the mail database shows that it had them before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any

from sqlalchemy import Connection, RowMapping, Select

from mssante.crypto.keys import NotAuthentic, random_key
from mssante.crypto.statement import StatementSigner
from mssante.keys import store
from mssante.keys.change import READ_PROVED, READ_REGISTER, ProvedChange, prove_all, read_register, write_anew
from mssante.keys.labels import ServiceKey
from mssante.keys.proof import Register, RowProof
from mssante.keys.root_key import RootKey
from mssante.limits import KEY_ROWS_READ_AT_ONCE, STRANGE_ROWS_NAMED_MAX

_WHAT_TO_DO = (
    "put the freshest copy of the key store back, or take this one knowingly: mssante keys accept --dry-run"
)
UNPROVED = (
    "the key store has no proof of its rows, though it had: it is an older copy, or was changed;"
    f" {_WHAT_TO_DO}"
)
FOREIGN = f"the key store's own keys or its register are not those we wrote; {_WHAT_TO_DO}"
ALTERED = (
    "people or accesses in the key store are not as they were last written: some were deleted, changed or put"
    f" back; {_WHAT_TO_DO}"
)
NO_FLOOR = (
    "the mail database has no mark of the key store, though it had: it is an older copy, or was changed; put"
    " the freshest copy of the mail database back, or take this one knowingly: mssante keys accept --dry-run"
)
FOREIGN_FLOOR = (
    "the mail database's mark of the key store is not one that our key broker made with this key store;"
    f" {_WHAT_TO_DO}"
)
RESTART = "the key store was accepted: start the server again"
_FIRST = 1  # the counter of a store that has just been given its proofs


def older(counter: int, seen: int) -> str:
    return (
        f"the key store is an older copy: it is at change {counter}, and change {seen} was made already."
        f" Accesses that were revoked since, and passwords, may be back; {_WHAT_TO_DO}"
    )


# All of them are drawn before a store has its register. A version that adds one must tell a store of before
# from one whose key was taken away.
_PLAIN = (ServiceKey.DEDUP, ServiceKey.KNOWN_PAIRS, ServiceKey.AUDIT)


@dataclass(frozen=True, slots=True)
class PlainServiceKeys:
    """The services' keys that prove nothing of this store: each has its line in keys.labels."""

    dedup: bytes = field(repr=False)
    known_pairs: bytes = field(repr=False)
    audit: bytes = field(repr=False)

    @classmethod
    def read(cls, key: Callable[[ServiceKey], bytes]) -> PlainServiceKeys:
        """Takes each from `key`."""
        return cls(*(key(name) for name in _PLAIN))


@dataclass(frozen=True, slots=True)
class OpenedStore:
    """The services' keys. `trouble` is "" or says why the store opens nothing; `proved` is False when the
    store had no key for proofs, and this one is good for nothing."""

    services: PlainServiceKeys
    proof: RowProof
    signer: StatementSigner
    trouble: str
    proved: bool = True


@dataclass(frozen=True, slots=True)
class StrangeRow:
    """A row that our broker did not write as it lies there. It opens nothing."""

    table: str
    person: str


@dataclass(frozen=True, slots=True)
class StoreCheck:
    """`trouble` is "" when the rows that hold are exactly those last written. At most STRANGE_ROWS_NAMED_MAX
    of the strange ones are listed."""

    counter: int
    settled: bool
    trouble: str
    strange: tuple[StrangeRow, ...]
    strange_count: int


def opened(connection: Connection, *, root: RootKey, floor_known: bool, now: datetime) -> OpenedStore:
    """Opens the store's own keys, and gives proofs to a store that never had any. In place of a key that was
    taken away stands a random one, which is good for nothing and not written down. `floor_known`: the mail
    database has a mark of it. Raises WrongRootKey."""
    store.prove_root_key(connection, root, now=now)
    known = store.service_keys(connection)
    registered = connection.execute(READ_REGISTER).first() is not None
    if not registered and not {ServiceKey.PROOF, ServiceKey.SIGNING} & known.keys() and not floor_known:
        proof = RowProof(store.service_key_named(connection, root, ServiceKey.PROOF))
        total = prove_all(connection, proof, _FIRST)
        write_anew(connection, proof, Register(_FIRST, total, settled=False))
        services = PlainServiceKeys.read(partial(store.service_key_named, connection, root))
        return OpenedStore(services, proof, _signer(connection, root), "")

    def key(name: ServiceKey) -> bytes:
        return store.service_key_named(connection, root, name) if name in known else random_key()

    signer = StatementSigner(key(ServiceKey.SIGNING))
    proved = ServiceKey.PROOF in known
    trouble = ""
    if not registered and not proved:
        trouble = UNPROVED
    elif (
        not registered
        or not proved
        or known.get(ServiceKey.SIGNING) != signer.public
        or not known.keys() >= {*_PLAIN}
    ):
        trouble = FOREIGN
    services = PlainServiceKeys.read(key)
    return OpenedStore(services, RowProof(key(ServiceKey.PROOF)), signer, trouble, proved)


def check(connection: Connection, proof: RowProof) -> StoreCheck:
    """Looks at every row: some 15 µs each."""
    strange: list[StrangeRow] = []
    total = count = 0
    for table, row in _rows(connection):
        if proof.holds(table, row):
            total += proof.share(bytes(row["mac"]))
            continue
        count += 1
        if len(strange) < STRANGE_ROWS_NAMED_MAX:
            strange.append(StrangeRow(table, str(row["person"])))
    try:
        register = read_register(connection, proof)
    except NotAuthentic:
        return StoreCheck(0, True, FOREIGN, tuple(strange), count)
    trouble = "" if (total - register.total) % 2**256 == 0 else ALTERED
    return StoreCheck(register.counter, register.settled, trouble, tuple(strange), count)


def accept(
    connection: Connection, *, root: RootKey, floor: int | None, seen: int
) -> tuple[OpenedStore, Register]:
    """Takes the store as it lies there: rows that are not ours are deleted, the others are what counts from
    now on, and the counter goes above everything it ever was. A store without proofs is given them. `floor`
    is the mail database's mark, None where it has none; `seen` is the highest counter this process saw."""
    services = PlainServiceKeys.read(partial(store.service_key_named, connection, root))
    known = store.service_keys(connection).keys()
    proof = RowProof(store.service_key_named(connection, root, ServiceKey.PROOF))
    signer = _signer(connection, root)
    before = _register_or_none(connection, proof)
    counter = max(before.counter if before else 0, floor or 0, seen) + 1
    if ServiceKey.PROOF in known:
        total = _dropped(ProvedChange(connection, proof, before or Register(counter, 0, settled=True)))
    else:
        total = prove_all(connection, proof, counter)
    # Mailboxes are signed as they are found only where nothing can be left of their signatures.
    settled = ServiceKey.SIGNING in known and floor is not None and (before is None or before.settled)
    register = Register(counter, total, settled)
    write_anew(connection, proof, register)
    return OpenedStore(services, proof, signer, ""), register


def _dropped(change: ProvedChange) -> int:
    """Deletes what is not ours, and returns the sum of the rest. An access goes with its person."""
    total, gone = 0, set()
    rows = [(table, dict(row)) for table, row in _rows(change.connection)]
    for table, row in rows:
        if table == "person" and not change.proof.holds(table, row):
            gone.add(row["person"])
    strange: list[tuple[str, dict[str, Any]]] = []
    for table, row in rows:
        if row["person"] in gone or not change.proof.holds(table, row):
            strange.append((table, row))
        else:
            total += change.proof.share(bytes(row["mac"]))
    for table, row in sorted(strange, key=lambda each: each[0]):  # accesses first: they point to people
        change.drop(table, row)
    return total


def _rows(connection: Connection) -> Iterator[tuple[str, RowMapping]]:
    for table, statement in READ_PROVED.items():
        for row in _streamed(connection, statement):
            yield table, row


def _streamed(connection: Connection, statement: Select[*tuple[Any, ...]]) -> Iterator[RowMapping]:
    """Some rows in memory at a time."""
    yield from connection.execute(
        statement, execution_options={"yield_per": KEY_ROWS_READ_AT_ONCE}
    ).mappings()


def _register_or_none(connection: Connection, proof: RowProof) -> Register | None:
    try:
        return read_register(connection, proof, lock=True)
    except NotAuthentic:
        return None


def _signer(connection: Connection, root: RootKey) -> StatementSigner:
    """The signing pair, whose verifying half lies beside it for whoever only verifies."""
    signer = StatementSigner(store.service_key_named(connection, root, ServiceKey.SIGNING))
    store.publish(connection, ServiceKey.SIGNING, signer.public)
    return signer
