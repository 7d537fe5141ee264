"""Access rights as RFC 4314 writes them: a view of who shares the mailbox.

Invariants: there are two sets of rights, one for each role of a grant: to read, or to do all that an owner
does; nobody has the right to administer (`a`), because grants are given and taken away by the operator, never
over IMAP.
"""

from __future__ import annotations

from collections.abc import Iterable

from mssante.imap.grammar import commands, encode
from mssante.imap.grammar.lexer import Cursor, Unacceptable
from mssante.imap.grammar.list_syntax import mailbox
from mssante.limits import IMAP_ACL_IDENTIFIER_OCTETS_MAX

RIGHTS_CAPABILITY = "RIGHTS=kxte"  # RFC 4314 §2.2: the rights that RFC 2086 did not have
READ = "lr"
_WRITE = "swipkxtecd"  # RFC 4314 §2.1.1: `c` and `d` are there for clients that know RFC 2086 only
FULL = READ + _WRITE
_KNOWN = frozenset(FULL + "a")


# What clients ask


def get_acl(cursor: Cursor) -> commands.Command:
    cursor.space()
    return commands.GetAcl(mailbox(cursor))


def my_rights(cursor: Cursor) -> commands.Command:
    cursor.space()
    return commands.MyRights(mailbox(cursor))


def list_rights(cursor: Cursor) -> commands.Command:
    cursor.space()
    folder = mailbox(cursor)
    return commands.ListRights(folder, _identifier(cursor))


def delete_acl(cursor: Cursor) -> commands.Command:
    cursor.space()
    folder = mailbox(cursor)
    _identifier(cursor)
    return commands.ChangeAcl(folder)


def set_acl(cursor: Cursor) -> commands.Command:
    cursor.space()
    folder = mailbox(cursor)
    _identifier(cursor)
    cursor.space()
    rights = cursor.text_string().removeprefix("+").removeprefix("-")
    if not _KNOWN.issuperset(rights):
        raise Unacceptable("No such right")  # RFC 4314 §3.1: MUST be BAD
    return commands.ChangeAcl(folder)


def _identifier(cursor: Cursor) -> str:
    cursor.space()
    identifier = cursor.text_string()
    # RFC 4314 §3: an identifier that SASLprep refuses is answered by BAD. We check only those of its rules
    # that matter for a login.
    if (
        not identifier
        or not identifier.isprintable()
        or len(identifier.encode()) > IMAP_ACL_IDENTIFIER_OCTETS_MAX
    ):
        raise Unacceptable("Not an identifier")
    return identifier


# What is answered


def acl(folder: str, rights: Iterable[tuple[str, str]], *, utf8: bool = False) -> bytes:
    """RFC 4314 §3.6: (identifier, rights)."""
    words = [encode.mailbox(folder, utf8=utf8)]
    for pair in rights:
        words += [encode.string(word.encode("utf-8")) for word in pair]
    return b"* ACL %b\r\n" % b" ".join(words)


def listed_rights(folder: str, identifier: str, *, utf8: bool = False) -> bytes:
    """RFC 4314 §3.7: no right is always granted (`""`). Those to read can be granted, and all the others
    together."""
    who = encode.string(identifier.encode("utf-8"))
    ties = f'"" {READ} {_WRITE}'.encode("ascii")
    return b"* LISTRIGHTS %b %b %b\r\n" % (encode.mailbox(folder, utf8=utf8), who, ties)


def own_rights(folder: str, rights: str, *, utf8: bool = False) -> bytes:
    """RFC 4314 §3.8."""
    return b"* MYRIGHTS %b %b\r\n" % (encode.mailbox(folder, utf8=utf8), rights.encode("ascii"))
