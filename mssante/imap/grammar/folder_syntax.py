"""The grammar of commands on folders: SELECT, CREATE, RENAME, STATUS, GETQUOTA (LIST has its own file)."""

from __future__ import annotations

from collections.abc import Callable

from mssante.imap.grammar import commands, folder_names, sets
from mssante.imap.grammar.commands import Command
from mssante.imap.grammar.lexer import Cursor, Unacceptable
from mssante.imap.grammar.list_syntax import mailbox, status_items
from mssante.imap.grammar.listing import USE_OF_ATTRIBUTE
from mssante.model import DELIMITER, Malformed, SpecialUse


def select(*, read_only: bool) -> Callable[[Cursor], Command]:
    """SELECT or EXAMINE with the parameters of RFC 7162 §7, each at most once."""

    def rule(cursor: Cursor) -> Command:
        cursor.space()
        folder = mailbox(cursor)
        condstore, resync = False, None
        if cursor.take(b" ("):
            while True:
                name = cursor.word()
                if name == "CONDSTORE" and not condstore:
                    condstore = True
                elif name == "QRESYNC" and resync is None:
                    resync = _resync(cursor)
                else:
                    raise Unacceptable("Unknown SELECT parameter")
                if not cursor.take(b" "):
                    cursor.expect(b")")
                    break
        return commands.Select(folder, read_only, condstore, resync)

    return rule


def _resync(cursor: Cursor) -> commands.Resync:
    cursor.expect(b" (")
    uid_validity = cursor.nz_number()
    cursor.space()
    modseq = cursor.number64()
    known = None
    while cursor.take(b" "):
        if cursor.take(b"("):  # a sample of numbers and their UIDs
            sets.parse_known(cursor)
            cursor.space()
            sets.parse_known(cursor)
            cursor.expect(b")")
            break
        if known is not None:
            raise Unacceptable("One set of known UIDs, please")
        known = sets.parse_known(cursor)
    cursor.expect(b")")
    return commands.Resync(uid_validity, modseq, known)


def create(cursor: Cursor) -> Command:
    cursor.space()
    # RFC 3501 §6.3.3: a trailing delimiter only says that the client wants to create folders below this one.
    # It is not part of the name.
    folder = mailbox(cursor).removesuffix(DELIMITER)
    use: SpecialUse | None = None
    if cursor.take(b" (USE ("):
        cursor.expect(b"\\")
        use = USE_OF_ATTRIBUTE.get("\\" + cursor.atom().upper())
        if use is None or not cursor.take(b"))"):
            raise Unacceptable(
                "Usage special inconnu / One special use we know, please", status="NO", code="USEATTR"
            )
    _acceptable(cursor, folder)
    return commands.Create(folder, use)


def rename(cursor: Cursor) -> Command:
    cursor.space()
    source = mailbox(cursor)
    cursor.space()
    target = mailbox(cursor).removesuffix(DELIMITER)
    _acceptable(cursor, target)
    return commands.Rename(source, target)


def _acceptable(cursor: Cursor, folder: str) -> None:
    try:
        folder_names.check_new(folder, utf8=cursor.utf8)
    except Malformed as refusal:
        raise Unacceptable(
            f"Nom impossible / No such name can be given: {refusal}", status="NO", code="CANNOT"
        ) from None


def status(cursor: Cursor) -> Command:
    cursor.space()
    folder = mailbox(cursor)
    cursor.space()
    return commands.Status(folder, status_items(cursor))


def get_quota(cursor: Cursor) -> Command:
    cursor.space()
    return commands.GetQuota(cursor.text_string())
