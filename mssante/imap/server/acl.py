"""MYRIGHTS, GETACL, LISTRIGHTS: who shares the mailbox, for those who may do everything in it (RFC 4314).

Invariants: nothing here changes a grant: rights are given and taken away by the operator (`mssante access`);
a person who may only read learns their own rights, and nobody else's.
"""

from __future__ import annotations

from mssante.imap.grammar import acl
from mssante.imap.grammar.commands import ChangeAcl, GetAcl, ListRights, MyRights
from mssante.imap.grammar.responses import Code, ResponseStatus
from mssante.imap.server.session import OK, Answer, Session
from mssante.keys.ring import Role

_RIGHTS = {Role.FULL: acl.FULL, Role.READ: acl.READ}


async def my_rights(session: Session, command: MyRights) -> Answer:
    """RFC 4314 §3.5."""
    folder = await session.folders.named(command.mailbox)
    await session.send(
        acl.own_rights(folder.name, _RIGHTS[session.mailbox.ring.role], utf8=session.protocol.rev2)
    )
    return OK


async def get_acl(session: Session, command: GetAcl) -> Answer:
    """RFC 4314 §3.3. A grant is for the whole mailbox, so the answer is the same for each of its folders.
    Raises Refused(NOT_PERMITTED) for a person who may only read."""
    folder = await session.folders.named(command.mailbox)
    session.mailbox.require_writable()
    now = session.service.clock.now()
    grants = await session.service.broker.people_of(session.mailbox.id)
    rights = {grant.person: _RIGHTS[grant.role] for grant in grants if grant.in_force(now)}
    await session.send(acl.acl(folder.name, sorted(rights.items()), utf8=session.protocol.rev2))
    return OK


async def list_rights(session: Session, command: ListRights) -> Answer:
    """RFC 4314 §3.4. The answer is the same whoever is named, so that nobody learns which logins exist."""
    folder = await session.folders.named(command.mailbox)
    session.mailbox.require_writable()
    await session.send(acl.listed_rights(folder.name, command.identifier, utf8=session.protocol.rev2))
    return OK


async def change_acl(session: Session, command: ChangeAcl) -> Answer:
    """SETACL and DELETEACL."""
    await session.folders.named(command.mailbox)
    text = (
        "Les acces se changent chez votre operateur (mssante access)"
        " / Access is changed by your operator (mssante access)"
    )
    return Answer(ResponseStatus.NO, text, Code.NOPERM)
