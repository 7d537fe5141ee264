"""What a client may ask, as frozen values (RFC 3501 §6 and the extensions we advertise).

Invariants: these values are made from well-formed commands only; a folder name is decoded text, with INBOX in
upper case; repr never shows a secret.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from mssante.flags import FlagList
from mssante.imap.grammar.fetch import FetchItems
from mssante.imap.grammar.listing import ListExtended, StatusItem
from mssante.imap.grammar.search import Query
from mssante.imap.grammar.sets import SequenceSet
from mssante.imap.grammar.sorting import Algorithm, Criterion
from mssante.model import Secret, SpecialUse


@dataclass(frozen=True, slots=True)
class Capability:
    """RFC 3501 §6.1.1."""


@dataclass(frozen=True, slots=True)
class Noop:
    """RFC 3501 §6.1.2."""


@dataclass(frozen=True, slots=True)
class Logout:
    """RFC 3501 §6.1.3."""


@dataclass(frozen=True, slots=True)
class Id:
    """RFC 2971. `parameters` in the client's order."""

    parameters: tuple[tuple[str, str | None], ...]


@dataclass(frozen=True, slots=True)
class StartTls:
    """RFC 3501 §6.2.1."""


@dataclass(frozen=True, slots=True)
class Authenticate:
    """RFC 3501 §6.2.2; `initial` is the decoded initial response (RFC 4959), None when absent."""

    mechanism: str
    initial: bytes | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class Login:
    """RFC 3501 §6.2.3."""

    user: str
    password: Secret


@dataclass(frozen=True, slots=True)
class Enable:
    """RFC 5161; names in upper case."""

    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Select:
    """RFC 3501 §6.3.1 and, with `read_only`, EXAMINE of §6.3.2; `condstore` and `resync` after RFC 7162
    §3.1.8 and §3.2.5."""

    mailbox: str
    read_only: bool
    condstore: bool = False
    resync: Resync | None = None


@dataclass(frozen=True, slots=True)
class Resync:
    """What a client knew of a folder when it last heard of it; `known` is None for every UID. The client may
    also send a sample of sequence numbers, for servers that forget old expunges. It is read and ignored: no
    expunge is ever forgotten here."""

    uid_validity: int
    modseq: int
    known: SequenceSet | None


@dataclass(frozen=True, slots=True)
class Create:
    """RFC 3501 §6.3.3; `use` after RFC 6154 §3. A trailing delimiter has been removed already."""

    mailbox: str
    use: SpecialUse | None


@dataclass(frozen=True, slots=True)
class Delete:
    """RFC 3501 §6.3.4."""

    mailbox: str


@dataclass(frozen=True, slots=True)
class Rename:
    """RFC 3501 §6.3.5."""

    source: str
    target: str


@dataclass(frozen=True, slots=True)
class Subscribe:
    """RFC 3501 §6.3.6 and, with `on` false, UNSUBSCRIBE of §6.3.7."""

    mailbox: str
    on: bool


@dataclass(frozen=True, slots=True)
class List:
    """RFC 3501 §6.3.8 and RFC 5258."""

    listing: ListExtended


@dataclass(frozen=True, slots=True)
class Lsub:
    """RFC 3501 §6.3.9."""

    reference: str
    pattern: str


@dataclass(frozen=True, slots=True)
class Status:
    """RFC 3501 §6.3.10."""

    mailbox: str
    items: tuple[StatusItem, ...]


@dataclass(frozen=True, slots=True)
class Namespace:
    """RFC 2342."""


@dataclass(frozen=True, slots=True)
class GetQuota:
    """RFC 9208 §4.1.2."""

    root: str


@dataclass(frozen=True, slots=True)
class GetQuotaRoot:
    """RFC 9208 §4.1.3."""

    mailbox: str


@dataclass(frozen=True, slots=True)
class MyRights:
    """RFC 4314 §3.5."""

    mailbox: str


@dataclass(frozen=True, slots=True)
class GetAcl:
    """RFC 4314 §3.3."""

    mailbox: str


@dataclass(frozen=True, slots=True)
class ListRights:
    """RFC 4314 §3.4."""

    mailbox: str
    identifier: str


@dataclass(frozen=True, slots=True)
class ChangeAcl:
    """SETACL and DELETEACL of RFC 4314 §3.1 and §3.2. Nobody may use them, so their syntax is checked, and
    apart from the folder nothing is kept."""

    mailbox: str


@dataclass(frozen=True, slots=True)
class Idle:
    """RFC 2177: the client ends it with the line DONE."""


@dataclass(frozen=True, slots=True)
class Check:
    """RFC 3501 §6.4.1."""


@dataclass(frozen=True, slots=True)
class Close:
    """RFC 3501 §6.4.2."""


@dataclass(frozen=True, slots=True)
class Unselect:
    """RFC 3691."""


@dataclass(frozen=True, slots=True)
class Expunge:
    """RFC 3501 §6.4.3; with `uids`, UID EXPUNGE of RFC 4315 §2.1."""

    uids: SequenceSet | None


@dataclass(frozen=True, slots=True)
class Search:
    """RFC 3501 §6.4.4 and RFC 4731; `uid` for UID SEARCH."""

    query: Query
    uid: bool


@dataclass(frozen=True, slots=True)
class Sort:
    """RFC 5256 §3 and, with the query's `results`, RFC 5267 §3; `uid` for UID SORT."""

    criteria: tuple[Criterion, ...]
    query: Query
    uid: bool


@dataclass(frozen=True, slots=True)
class Thread:
    """RFC 5256 §3; `uid` for UID THREAD."""

    algorithm: Algorithm
    query: Query
    uid: bool


@dataclass(frozen=True, slots=True)
class Fetch:
    """RFC 3501 §6.4.5; `uid` for UID FETCH, whose items always include UID. `changed_since` and `vanished`
    after RFC 7162 §3.1.4.1 and §3.2.6; with `changed_since` the items include MODSEQ."""

    messages: SequenceSet
    items: FetchItems
    uid: bool
    changed_since: int | None = None
    vanished: bool = False


class StoreMode(Enum):
    """What STORE does with the flags it names."""

    REPLACE = ""
    ADD = "+"
    REMOVE = "-"


@dataclass(frozen=True, slots=True)
class Store:
    """RFC 3501 §6.4.6; `unchanged_since` after RFC 7162 §3.1.3."""

    messages: SequenceSet
    mode: StoreMode
    silent: bool
    flags: FlagList
    uid: bool
    unchanged_since: int | None = None


@dataclass(frozen=True, slots=True)
class Copy:
    """RFC 3501 §6.4.7 and, with `move`, RFC 6851."""

    messages: SequenceSet
    mailbox: str
    uid: bool
    move: bool


Command = (
    Capability | Noop | Logout | Id | StartTls | Authenticate | Login | Enable | Select | Create | Delete
    | Rename | Subscribe | List | Lsub | Status | Namespace | GetQuota | GetQuotaRoot | MyRights | GetAcl
    | ListRights | ChangeAcl | Idle | Check
    | Close | Unselect | Expunge | Search | Sort | Thread | Fetch | Store | Copy
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Request:
    """One complete command and the tag its answer carries."""

    tag: str
    command: Command
