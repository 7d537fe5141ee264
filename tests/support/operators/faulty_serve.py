"""`mssante` with bugs in it: `python -m tests.support.operators.faulty_serve …` raises, where asked for,
exceptions whose text holds all there is to leak. What is then told to peers and to the log must not.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import text

from mssante.cli import main
from mssante.control import catalogue
from mssante.control.person import ChangePassword, PasswordChanged
from mssante.database import Database
from mssante.delivery.reception import Intake
from mssante.delivery.routing import Routing
from mssante.mailbox.folders import Folders

TRIGGER = "explose"


databases: list[Database] = []
_made = Database.__init__


def _remember(self: Database, *args: Any, **kwargs: Any) -> None:
    _made(self, *args, **kwargs)
    databases.append(self)


def faulty(owner: Any, method: str, *, told: Callable[..., str]) -> None:
    """The method raises when what `told` makes of its arguments holds TRIGGER."""
    original = getattr(owner, method)

    async def wrapped(self: Any, *args: Any, **kwargs: Any) -> Any:
        leak = told(self, *args, **kwargs)
        if f"{TRIGGER}-sql" in leak:
            await databases[0].write(
                lambda connection: connection.execute(text("INSERT INTO nowhere VALUES (:v)"), {"v": leak})
            )
        if TRIGGER in leak:
            raise RuntimeError(f"injected: {leak}\r\n250 forged")
        return await original(self, *args, **kwargs)

    setattr(owner, method, wrapped)


def _change_of_password() -> None:
    original = catalogue.OPERATIONS["person.password"]

    async def wrapped(parts: Any, request: ChangePassword) -> PasswordChanged:
        if TRIGGER in request.password.value:
            raise RuntimeError(f"injected: {request.person} {request.password.value}")
        changed: PasswordChanged = await original.function(parts, request)
        return changed

    catalogue.OPERATIONS["person.password"] = catalogue.Operation(ChangePassword, wrapped)


if __name__ == "__main__":
    Database.__init__ = _remember  # type: ignore[method-assign] # the first one made is the mail's
    faulty(Intake, "write", told=lambda self, octets: octets.decode("latin-1"))
    faulty(Routing, "local", told=lambda self, address, **_: str(address))
    faulty(Folders, "create", told=lambda self, name, *_, **__: str(name))
    _change_of_password()
    main(prog_name="mssante")
