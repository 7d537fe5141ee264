"""One complete command's text to its value (RFC 3501 §9 formal syntax).

Invariants: a table decides which commands exist; what it does not hold is refused; every rule reads
its command to the end.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from mssante.imap import commands, fetch, flags, names, sasl, search, sets
from mssante.imap.commands import Command, Request, StoreMode
from mssante.imap.flags import FlagList
from mssante.imap.lexer import Cursor, Unacceptable
from mssante.imap.list_syntax import mailbox, parse_list, parse_lsub, status_items
from mssante.imap.listing import USE_OF_ATTRIBUTE
from mssante.limits import PASSWORD_OCTETS_MAX
from mssante.model import Malformed, Secret, SpecialUse

Rule = Callable[[Cursor], Command]


def parse(text: bytes, literals: Sequence[bytes] = ()) -> Request:
    """The command in `text`, where "\\n" stands for each of `literals` in turn. Raises Unacceptable."""
    cursor = Cursor(text, literals)
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


def parse_append(text: bytes, literals: Sequence[bytes]) -> tuple[str, FlagList, datetime | None]:
    """RFC 3501 §6.3.11: an APPEND's text up to its message literal: folder, flags, date."""
    cursor = Cursor(text, literals)
    cursor.tag()
    cursor.expect(b" APPEND ")
    folder = mailbox(cursor)
    return folder, *append_options(cursor)


def parse_append_next(text: bytes) -> tuple[FlagList, datetime | None]:
    """RFC 3502: what stands before each further message of the same APPEND."""
    return append_options(Cursor(text))


def append_options(cursor: Cursor) -> tuple[FlagList, datetime | None]:
    cursor.space()
    marks, date = FlagList(), None
    if cursor.peek() == b"(":
        marks = flags.parse_list(cursor)
        cursor.space()
    if cursor.peek() == b'"':
        date = cursor.date_time()
        cursor.space()
    if cursor.at != len(cursor.text):
        raise Unacceptable("APPEND takes flags, a date and a message literal")
    return marks, date


def _bare(command: Command) -> Rule:
    return lambda _cursor: command


def _with_mailbox(make: Callable[[str], Command]) -> Rule:
    def rule(cursor: Cursor) -> Command:
        cursor.space()
        return make(mailbox(cursor))

    return rule


def _authenticate(cursor: Cursor) -> Command:
    cursor.space()
    mechanism = cursor.atom().upper()
    initial = None
    if cursor.take(b" ") and cursor.peek():
        start, cursor.at = cursor.at, len(cursor.text)
        initial = sasl.initial_response(cursor.text[start:].rstrip(b" "))
    return commands.Authenticate(mechanism, initial)


def _login(cursor: Cursor) -> Command:
    cursor.space()
    user = cursor.text_string()
    cursor.space()
    password = cursor.text_string()
    if len(password) > PASSWORD_OCTETS_MAX:
        raise Unacceptable("The password is too long")
    return commands.Login(user, Secret(password))


def _id(cursor: Cursor) -> Command:
    cursor.space()
    if not cursor.take(b"("):
        if cursor.word() != "NIL":
            raise Unacceptable("ID takes a list or NIL")
        return commands.Id(())
    found: list[tuple[str, str | None]] = []
    while not cursor.take(b")"):
        if found:
            cursor.space()
        if len(found) == 30:  # RFC 2971 §3.3
            raise Unacceptable("Too many ID fields")
        field = cursor.string()
        cursor.space()
        value = cursor.nstring()
        if len(field) > 30 or len(value or b"") > 1024:  # RFC 2971 §3.3
            raise Unacceptable("An ID field is too long")
        text = None if value is None else value.decode("utf-8", "replace")
        found.append((field.decode("utf-8", "replace"), text))
    return commands.Id(tuple(found))


def _enable(cursor: Cursor) -> Command:
    found: dict[str, None] = {}
    cursor.space()
    found[cursor.atom().upper()] = None
    while cursor.take(b" "):
        found[cursor.atom().upper()] = None
    return commands.Enable(tuple(found))


def _create(cursor: Cursor) -> Command:
    cursor.space()
    # RFC 3501 §6.3.3: a trailing delimiter only declares intent; the name is without it.
    folder = mailbox(cursor).removesuffix(names.DELIMITER)
    use: SpecialUse | None = None
    if cursor.take(b" (USE ("):
        cursor.expect(b"\\")
        use = USE_OF_ATTRIBUTE.get("\\" + cursor.atom().upper())
        if use is None or not cursor.take(b"))"):
            raise Unacceptable("One special use we know, please", status="NO", code="USEATTR")
    _acceptable(folder)
    return commands.Create(folder, use)


def _rename(cursor: Cursor) -> Command:
    cursor.space()
    source = mailbox(cursor)
    cursor.space()
    target = mailbox(cursor).removesuffix(names.DELIMITER)
    _acceptable(target)
    return commands.Rename(source, target)


def _acceptable(folder: str) -> None:
    try:
        names.check_new(folder)
    except Malformed as refusal:
        raise Unacceptable(f"No such name can be given: {refusal}", status="NO", code="CANNOT") from None


def _status(cursor: Cursor) -> Command:
    cursor.space()
    folder = mailbox(cursor)
    cursor.space()
    return commands.Status(folder, status_items(cursor))


def _append(_cursor: Cursor) -> Command:
    raise Unacceptable("APPEND takes its message as a literal, after login")


def _get_quota(cursor: Cursor) -> Command:
    cursor.space()
    return commands.GetQuota(cursor.text_string())


def _uid_expunge(cursor: Cursor) -> Command:
    cursor.space()
    return commands.Expunge(sets.parse(cursor))


def _search(*, uid: bool) -> Rule:
    return lambda cursor: commands.Search(search.parse(cursor), uid)


def _fetch(*, uid: bool) -> Rule:
    def rule(cursor: Cursor) -> Command:
        cursor.space()
        messages = sets.parse(cursor)
        cursor.space()
        items = fetch.parse(cursor)
        return commands.Fetch(messages, items.with_uid() if uid else items, uid)

    return rule


def _store(*, uid: bool) -> Rule:
    def rule(cursor: Cursor) -> Command:
        cursor.space()
        messages = sets.parse(cursor)
        cursor.space()
        mode = StoreMode.ADD if cursor.take(b"+") else StoreMode.REPLACE
        if mode is StoreMode.REPLACE and cursor.take(b"-"):
            mode = StoreMode.REMOVE
        cursor.expect(b"FLAGS")
        silent = cursor.take(b".SILENT")
        cursor.space()
        marks = flags.parse_list(cursor) if cursor.peek() == b"(" else flags.parse_bare(cursor)
        return commands.Store(messages, mode, silent, marks, uid)

    return rule


def _copy(*, uid: bool, move: bool) -> Rule:
    def rule(cursor: Cursor) -> Command:
        cursor.space()
        messages = sets.parse(cursor)
        cursor.space()
        return commands.Copy(messages, mailbox(cursor), uid, move)

    return rule


_RULES: dict[str, Rule] = {
    "CAPABILITY": _bare(commands.Capability()),
    "NOOP": _bare(commands.Noop()),
    "LOGOUT": _bare(commands.Logout()),
    "ID": _id,
    "STARTTLS": _bare(commands.StartTls()),
    "AUTHENTICATE": _authenticate,
    "LOGIN": _login,
    "ENABLE": _enable,
    "SELECT": _with_mailbox(lambda name: commands.Select(name, read_only=False)),
    "EXAMINE": _with_mailbox(lambda name: commands.Select(name, read_only=True)),
    "CREATE": _create,
    "DELETE": _with_mailbox(commands.Delete),
    "RENAME": _rename,
    "SUBSCRIBE": _with_mailbox(lambda name: commands.Subscribe(name, on=True)),
    "UNSUBSCRIBE": _with_mailbox(lambda name: commands.Subscribe(name, on=False)),
    "LIST": parse_list,
    "LSUB": parse_lsub,
    "STATUS": _status,
    "APPEND": _append,
    "NAMESPACE": _bare(commands.Namespace()),
    "GETQUOTA": _get_quota,
    "GETQUOTAROOT": _with_mailbox(commands.GetQuotaRoot),
    "IDLE": _bare(commands.Idle()),
    "CHECK": _bare(commands.Check()),
    "CLOSE": _bare(commands.Close()),
    "UNSELECT": _bare(commands.Unselect()),
    "EXPUNGE": _bare(commands.Expunge(None)),
    "UID EXPUNGE": _uid_expunge,
    "SEARCH": _search(uid=False),
    "UID SEARCH": _search(uid=True),
    "FETCH": _fetch(uid=False),
    "UID FETCH": _fetch(uid=True),
    "STORE": _store(uid=False),
    "UID STORE": _store(uid=True),
    "COPY": _copy(uid=False, move=False),
    "UID COPY": _copy(uid=True, move=False),
    "MOVE": _copy(uid=False, move=True),
    "UID MOVE": _copy(uid=True, move=True),
}
