"""From the text of one complete command to its value (RFC 3501 §9 formal syntax).

Invariants: a table decides which commands exist; what it does not hold is refused; a command is accepted only
if its rule reads it to the end. The rules themselves are in the `*_syntax` modules, one for each family.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mssante.imap.grammar import access_syntax, acl, commands, folder_syntax, message_syntax
from mssante.imap.grammar.commands import Command, Request
from mssante.imap.grammar.lexer import Cursor, Unacceptable
from mssante.imap.grammar.list_syntax import mailbox, parse_list, parse_lsub

Rule = Callable[[Cursor], Command]


def parse(text: bytes, literals: Sequence[bytes] = (), *, utf8: bool = False) -> Request:
    """The command in `text`, where each "\\n" stands for the next of `literals`; `utf8` as in Cursor. Raises
    Unacceptable."""
    cursor = Cursor(text, literals, utf8=utf8)
    tag = cursor.tag()
    cursor.space()
    name = cursor.word()
    if name == "UID":
        cursor.space()
        name = "UID " + cursor.word()
    rule = _RULES.get(name)
    if rule is None:
        raise Unacceptable("Unknown command")
    command = rule(cursor)
    cursor.end()
    return Request(tag, command)


def _bare(command: Command) -> Rule:
    return lambda _cursor: command


def _with_mailbox(make: Callable[[str], Command]) -> Rule:
    def rule(cursor: Cursor) -> Command:
        cursor.space()
        return make(mailbox(cursor))

    return rule


def _append(_cursor: Cursor) -> Command:
    raise Unacceptable("A message is given as a literal, after login")


_RULES: dict[str, Rule] = {
    "CAPABILITY": _bare(commands.Capability()),
    "NOOP": _bare(commands.Noop()),
    "LOGOUT": _bare(commands.Logout()),
    "ID": access_syntax.identity,
    "STARTTLS": _bare(commands.StartTls()),
    "AUTHENTICATE": access_syntax.authenticate,
    "LOGIN": access_syntax.login,
    "ENABLE": access_syntax.enable,
    "SELECT": folder_syntax.select(read_only=False),
    "EXAMINE": folder_syntax.select(read_only=True),
    "CREATE": folder_syntax.create,
    "DELETE": _with_mailbox(commands.Delete),
    "RENAME": folder_syntax.rename,
    "SUBSCRIBE": _with_mailbox(lambda name: commands.Subscribe(name, on=True)),
    "UNSUBSCRIBE": _with_mailbox(lambda name: commands.Subscribe(name, on=False)),
    "LIST": parse_list,
    "LSUB": parse_lsub,
    "STATUS": folder_syntax.status,
    "APPEND": _append,
    "REPLACE": _append,
    "UID REPLACE": _append,
    "NAMESPACE": _bare(commands.Namespace()),
    "GETQUOTA": folder_syntax.get_quota,
    "GETQUOTAROOT": _with_mailbox(commands.GetQuotaRoot),
    "MYRIGHTS": acl.my_rights,
    "GETACL": acl.get_acl,
    "LISTRIGHTS": acl.list_rights,
    "SETACL": acl.set_acl,
    "DELETEACL": acl.delete_acl,
    "IDLE": _bare(commands.Idle()),
    "CHECK": _bare(commands.Check()),
    "CLOSE": _bare(commands.Close()),
    "UNSELECT": _bare(commands.Unselect()),
    "EXPUNGE": _bare(commands.Expunge(None)),
    "UID EXPUNGE": message_syntax.uid_expunge,
    "SEARCH": message_syntax.search(uid=False),
    "UID SEARCH": message_syntax.search(uid=True),
    "SORT": message_syntax.sort(uid=False),
    "UID SORT": message_syntax.sort(uid=True),
    "THREAD": message_syntax.thread(uid=False),
    "UID THREAD": message_syntax.thread(uid=True),
    "FETCH": message_syntax.fetch(uid=False),
    "UID FETCH": message_syntax.fetch(uid=True),
    "STORE": message_syntax.store(uid=False),
    "UID STORE": message_syntax.store(uid=True),
    "COPY": message_syntax.copy(uid=False, move=False),
    "UID COPY": message_syntax.copy(uid=True, move=False),
    "MOVE": message_syntax.copy(uid=False, move=True),
    "UID MOVE": message_syntax.copy(uid=True, move=True),
}
