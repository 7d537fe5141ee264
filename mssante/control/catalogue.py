"""Every operation by its name, `noun.verb`: the request that asks for it and the function that does it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from mssante.control import access, bal, doctor, keys, person, queue, trust
from mssante.control.json_values import decoded, encoded
from mssante.control.operations import OperationRequest, Parts
from mssante.reasons import Reason, Refused

Q = TypeVar("Q")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Operation(Generic[Q, R]):
    """`function` does what `request` asks."""

    request: type[Q]
    function: Callable[[Parts, Q], Awaitable[R]]


OPERATIONS: dict[str, Operation[Any, Any]] = {
    "bal.create": Operation(bal.CreateBal, bal.create),
    "bal.list": Operation(bal.ListBal, bal.listing),
    "bal.show": Operation(bal.ShowBal, bal.show),
    "bal.suspend": Operation(bal.SuspendBal, bal.suspend),
    "bal.resume": Operation(bal.ResumeBal, bal.resume),
    "bal.close": Operation(bal.CloseBal, bal.close),
    "person.create": Operation(person.CreatePerson, person.create),
    "person.password": Operation(person.ChangePassword, person.change_password),
    "access.grant": Operation(access.GrantAccess, access.grant),
    "access.revoke": Operation(access.RevokeAccess, access.revoke),
    "keys.accept": Operation(keys.AcceptKeys, keys.accept),
    "queue.list": Operation(queue.ListQueue, queue.listing),
    "queue.retry": Operation(queue.RetryQueue, queue.retry),
    "trust.show": Operation(trust.ShowTrust, trust.show),
    "trust.accept": Operation(trust.AcceptTrust, trust.accept),
    "doctor": Operation(doctor.Doctor, doctor.doctor),
}


def name_of(request: OperationRequest[Any]) -> str:
    """The name of the operation that `request` asks for."""
    return next(name for name, each in OPERATIONS.items() if each.request is type(request))


def request_named(name: str, arguments: object) -> OperationRequest[Any]:
    """The request for the operation `name`, made of plain JSON values. Raises Refused: NOT_PERMITTED for an
    unknown name, ARGUMENT_MALFORMED or ADDRESS_MALFORMED for its arguments."""
    if name not in OPERATIONS:
        raise Refused(Reason.NOT_PERMITTED, f"no such operation: {name}")
    request: OperationRequest[Any] = decoded(OPERATIONS[name].request, arguments, what=name)
    return request


async def perform(parts: Parts, request: OperationRequest[R]) -> R:
    """Does what is asked. Raises Refused, Passing."""
    result: R = await OPERATIONS[name_of(request)].function(parts, request)
    return result


async def operate(parts: Parts, name: str, arguments: object) -> dict[str, Any]:
    """As `perform`, but in plain JSON values, as the control socket carries them. Raises what `perform` and
    `request_named` raise."""
    result: dict[str, Any] = encoded(await perform(parts, request_named(name, arguments)))
    return result
