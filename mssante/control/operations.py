"""What an operation is. The same code serves a running server's control socket, and the CLI without a server.

Invariants: an operation takes a frozen request and gives a frozen result; it raises Refused or Passing with a
detail meant for the operator; a secret comes in as a Secret and never goes out. What an operation needs from
the configuration is given to it as plain values (`Settings`).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar, cast, get_args

from mssante.annuaire.directory import Directory
from mssante.clock import Clock
from mssante.keys.broker import KeyBroker
from mssante.model import Address, Domain
from mssante.reasons import Reason, Refused
from mssante.store import MailboxRow, MailStore
from mssante.trust.state import TrustState

R_co = TypeVar("R_co", covariant=True)
R = TypeVar("R")


class OperationRequest(Generic[R_co]):
    """The base of every request. A request names the type of its result in brackets:
    `class ListBal(OperationRequest[BalListing])`."""

    __slots__ = ()


def result_type(request: type[OperationRequest[R]]) -> type[R]:
    """The type of result that the operation behind `request` gives."""
    (base,) = cast(Any, request).__orig_bases__
    result: type[R] = get_args(base)[0]
    return result


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What operations need of an operator's configuration. `folder` is where its control socket lies;
    `secret_files` are those that nobody else may read, whether they are there or not; `database_files` are
    the mail's and the keys', as far as they are files."""

    folder: Path
    domains: tuple[Domain, ...]
    quota_kib: int
    certificate: Path
    secret_files: tuple[Path, ...]
    database_files: tuple[Path, ...]
    space_hours_max: int


@dataclass(frozen=True, slots=True)
class Parts:
    """What operations work on: the open parts of one operator."""

    settings: Settings
    clock: Clock
    store: MailStore
    broker: KeyBroker
    directory: Directory
    trust: TrustState


async def mailbox_at(parts: Parts, address: Address) -> MailboxRow:
    """The mailbox with this address. Raises Refused(MAILBOX_UNKNOWN)."""
    row = await parts.store.accounts.mailbox(address.key)
    if row is None:
        raise Refused(
            Reason.MAILBOX_UNKNOWN, f"no mailbox {address} here; 'mssante bal list' shows those there are"
        )
    return row


def address_of(row: MailboxRow) -> Address:
    """The address of a mailbox, which must not be the queue's."""
    assert row.address is not None  # only the queue's mailbox has none
    return row.address
