"""Every operation by its name, `noun.verb`."""

from __future__ import annotations

from mssante.control import bal, doctor, people, queue
from mssante.control.operations import Arguments, Operation, Parts, Result
from mssante.model import Malformed
from mssante.reasons import Reason, Refused

OPERATIONS: dict[str, Operation] = {
    "bal.create": bal.create,
    "bal.list": bal.listing,
    "bal.show": bal.show,
    "bal.suspend": bal.suspend,
    "bal.resume": bal.resume,
    "bal.close": bal.close,
    "person.create": people.create,
    "person.password": people.password,
    "access.grant": people.grant,
    "access.revoke": people.revoke,
    "queue.list": queue.listing,
    "queue.retry": queue.retry,
    "doctor": doctor.doctor,
}


async def operate(parts: Parts, name: str, arguments: Arguments) -> Result:
    """Runs an operation. Raises Refused, Passing; Refused(NOT_PERMITTED) for a name that is none."""
    function = OPERATIONS.get(name)
    if function is None:
        raise Refused(Reason.NOT_PERMITTED, f"no such operation: {name}")
    try:
        return await function(parts, arguments)
    except Malformed as error:
        raise Refused(Reason.ADDRESS_MALFORMED, str(error)) from None
