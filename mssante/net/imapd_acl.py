"""MYRIGHTS, GETACL, LISTRIGHTS: who shares the mailbox, for those who may do everything in it (RFC 4314).

Invariants: nothing here changes a grant: rights are given and taken by the operator (`mssante access`); who
has a grant to read learns their own rights, and nobody else's.
"""

from __future__ import annotations

from mssante.imap import acl
from mssante.imap.commands import ChangeAcl, GetAcl, ListRights, MyRights
from mssante.imap.responses import Code, Status
from mssante.keys.ring import Role
from mssante.net.imapd_talk import OK, Answer, Talk

_RIGHTS = {Role.FULL: acl.FULL, Role.READ: acl.READ}


async def my_rights(talk: Talk, command: MyRights) -> Answer:
    """RFC 4314 §3.5."""
    folder = await talk.folders.named(command.mailbox)
    await talk.send(acl.own_rights(folder.name, _RIGHTS[talk.mailbox.ring.role], utf8=talk.session.rev2))
    return OK


async def get_acl(talk: Talk, command: GetAcl) -> Answer:
    """RFC 4314 §3.3: every folder of a mailbox is shared alike. Raises Refused(NOT_PERMITTED) for a grant
    that only reads."""
    folder = await talk.folders.named(command.mailbox)
    talk.mailbox.require_writable()
    now = talk.service.clock.now()
    grants = await talk.service.broker.people_of(talk.mailbox.id)
    rights = {grant.person: _RIGHTS[grant.role] for grant in grants if grant.in_force(now)}
    await talk.send(acl.acl(folder.name, sorted(rights.items()), utf8=talk.session.rev2))
    return OK


async def list_rights(talk: Talk, command: ListRights) -> Answer:
    """RFC 4314 §3.4, whoever is named: that a login exists is not told."""
    folder = await talk.folders.named(command.mailbox)
    talk.mailbox.require_writable()
    await talk.send(acl.listed_rights(folder.name, command.identifier, utf8=talk.session.rev2))
    return OK


async def change_acl(talk: Talk, command: ChangeAcl) -> Answer:
    """SETACL and DELETEACL."""
    await talk.folders.named(command.mailbox)
    text = (
        "Les acces se changent chez votre operateur (mssante access)"
        " / Access is changed by your operator (mssante access)"
    )
    return Answer(Status.NO, text, Code.NOPERM)
