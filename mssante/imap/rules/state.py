"""Which command may come when (RFC 3501 §3), and what the server says it can do.

An IMAP conversation is always in one of four states. Before login, the client may only ask what the server
can do, start TLS and sign in. Once it is authenticated, it may work with folders as a whole: list, create or
rename them, or append a message. When it has selected a folder, it may also work with the messages in it.
After LOGOUT nothing is answered any more.

These rules are one table, `ALLOWED`, which gives for each command the states in which it may come. Checks
spread over thirty handlers would do the same, but a missing one would be hard to see. A table can be read
beside the RFC, and a test can demand that it holds every command that can be parsed. `refusal` asks the table
first, and then the few conditions that are not states: whether TLS is on, whether the folder was opened
read-only, whether an extension has been enabled.

A command that the table does not hold is refused in every state. So if somebody adds a command and forgets
the table, nobody can use the command, and that is noticed at once. If such a command were allowed instead,
strangers could use it before login, and nobody might notice. The handlers rely on this: they do not ask again
whether somebody has signed in or a folder is selected, they only assert it.

Invariants: what is not in the table is refused; no credential is taken before TLS; nothing is changed
in a folder opened read-only.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum

from mssante.imap.grammar import commands
from mssante.imap.grammar.acl import RIGHTS_CAPABILITY
from mssante.imap.grammar.append_syntax import Replaced
from mssante.imap.grammar.commands import Command
from mssante.imap.grammar.events import AppendStart, Rejected
from mssante.imap.grammar.listing import StatusItem
from mssante.imap.grammar.responses import Code, ResponseStatus
from mssante.reasons import Reason
from mssante.words.imap import imap_answer


class State(Enum):
    """RFC 3501 §3."""

    NOT_AUTHENTICATED = "not authenticated"
    AUTHENTICATED = "authenticated"
    SELECTED = "selected"
    LOGOUT = "logout"


_BEFORE = frozenset({State.NOT_AUTHENTICATED})
_AFTER = frozenset({State.AUTHENTICATED, State.SELECTED})
_SELECTED = frozenset({State.SELECTED})

ALLOWED: dict[type[Command | AppendStart], frozenset[State]] = {
    commands.Capability: _BEFORE | _AFTER,
    commands.Noop: _BEFORE | _AFTER,
    commands.Logout: _BEFORE | _AFTER,
    commands.Id: _BEFORE | _AFTER,
    commands.StartTls: _BEFORE,
    commands.Authenticate: _BEFORE,
    commands.Login: _BEFORE,
    commands.Enable: _AFTER,
    commands.Select: _AFTER,
    commands.Create: _AFTER,
    commands.Delete: _AFTER,
    commands.Rename: _AFTER,
    commands.Subscribe: _AFTER,
    commands.List: _AFTER,
    commands.Lsub: _AFTER,
    commands.Status: _AFTER,
    commands.Namespace: _AFTER,
    commands.GetQuota: _AFTER,
    commands.GetQuotaRoot: _AFTER,
    commands.MyRights: _AFTER,
    commands.GetAcl: _AFTER,
    commands.ListRights: _AFTER,
    commands.ChangeAcl: _AFTER,
    commands.Idle: _AFTER,
    AppendStart: _AFTER,
    commands.Check: _SELECTED,
    commands.Close: _SELECTED,
    commands.Unselect: _SELECTED,
    commands.Expunge: _SELECTED,
    commands.Search: _SELECTED,
    commands.Sort: _SELECTED,
    commands.Thread: _SELECTED,
    commands.Fetch: _SELECTED,
    commands.Store: _SELECTED,
    commands.Copy: _SELECTED,
}

# The extensions that grammar and rules support completely. A server that cannot offer one of them leaves it
# out of `ProtocolState.extensions`.
EXTENSIONS = (
    "ENABLE", "NAMESPACE", "IDLE", "UNSELECT", "UIDPLUS", "MOVE", "MULTIAPPEND", "CHILDREN",
    "LIST-EXTENDED", "LIST-STATUS", "SPECIAL-USE", "CREATE-SPECIAL-USE", "STATUS=SIZE", "ESEARCH",
    "WITHIN", "CONDSTORE", "QRESYNC", "SEARCHRES", "QUOTA", "QUOTA=RES-STORAGE", "BINARY",
    "OBJECTID", "SAVEDATE", "REPLACE", "ACL", RIGHTS_CAPABILITY,
    "SORT", "SORT=DISPLAY", "ESORT", "THREAD=ORDEREDSUBJECT", "THREAD=REFERENCES",
    "PREVIEW",
)  # fmt: skip
CONDSTORE, QRESYNC = "CONDSTORE", "QRESYNC"
# What ENABLE takes (RFC 5161), and what each brings with it (RFC 7162 §3.2.3).
ENABLED_WITH: dict[str, tuple[str, ...]] = {CONDSTORE: (), QRESYNC: (CONDSTORE,)}
REV2 = "IMAP4rev2"  # RFC 9051, beside RFC 3501: a client gets it by ENABLE (Appendix A)
_ALWAYS = ("IMAP4rev1", "SASL-IR", "LITERAL+", "ID", REV2)

_TLS_FIRST = imap_answer(Reason.TLS_REQUIRED)
_NO_MECHANISM = "Mecanisme inconnu ici / No such mechanism here"
_READ_ONLY = "Dossier ouvert en lecture seule / The folder is open read-only"


@dataclass(slots=True)
class ProtocolState:
    """The state of one conversation. `mechanisms` are the SASL mechanisms offered once TLS is on;
    `append_octets_max` is the largest message APPEND takes (RFC 7889), None where no limit is announced."""

    tls: bool
    mechanisms: tuple[str, ...] = ("PLAIN",)
    extensions: tuple[str, ...] = EXTENSIONS
    state: State = State.NOT_AUTHENTICATED
    read_only: bool = field(default=False)
    enabled: set[str] = field(default_factory=set)
    append_octets_max: int | None = None

    def capabilities(self) -> tuple[str, ...]:
        """RFC 3501 §6.1.1, for the state the conversation is in."""
        if self.state is not State.NOT_AUTHENTICATED:
            limit = [] if self.append_octets_max is None else [f"APPENDLIMIT={self.append_octets_max:d}"]
            return (*_ALWAYS, *self.extensions, *limit)
        if not self.tls:
            return (*_ALWAYS, "STARTTLS", "LOGINDISABLED")  # RFC 3501 §6.2.3
        return (*_ALWAYS, *(f"AUTH={mechanism}" for mechanism in self.mechanisms))

    def enable(self, names: Iterable[str]) -> tuple[str, ...]:
        """RFC 5161 §3.1: enables `names`, and what they imply; answers those of `names` that are new."""
        known = [name for name in names if name in ENABLED_WITH and name in self.extensions]
        # RFC 9051 §6.3.1: only before a folder is selected, because SELECT answers differently in rev2.
        if REV2.upper() in names and self.state is not State.SELECTED:
            known.append(REV2)
        found = tuple(name for name in known if name not in self.enabled)
        self.enabled.update(found, *(ENABLED_WITH.get(name, ()) for name in found))
        return found

    @property
    def rev2(self) -> bool:
        """Whether responses follow RFC 9051: folder names in UTF-8, ESEARCH in place of SEARCH, the UID in
        every unsolicited FETCH, and no \\Recent."""
        return REV2 in self.enabled

    @property
    def tells_modseq(self) -> bool:
        """Whether flags are told with their mod-sequence (RFC 7162 §3.1)."""
        return CONDSTORE in self.enabled

    @property
    def tells_vanished(self) -> bool:
        """Whether expunges are told by UID, as VANISHED (RFC 7162 §3.2.10)."""
        return QRESYNC in self.enabled

    def refusal(self, tag: str, command: Command | AppendStart) -> Rejected | None:
        """Why this command cannot be done now; None when it can."""
        if self.state not in ALLOWED.get(type(command), frozenset()):
            text = f"Not in the {self.state.value} state"
            return Rejected(tag, ResponseStatus.BAD, text, Code.CLIENTBUG)
        match command:
            case commands.StartTls() if self.tls:
                return Rejected(tag, ResponseStatus.BAD, "TLS is on already")
            case commands.Login() | commands.Authenticate() if not self.tls:
                return Rejected(tag, ResponseStatus.NO, _TLS_FIRST.text, _TLS_FIRST.code)
            case commands.Authenticate(mechanism=mechanism) if mechanism not in self.mechanisms:
                return Rejected(tag, ResponseStatus.NO, _NO_MECHANISM, Code.CANNOT)
            case AppendStart(replaced=Replaced()) if self.state is not State.SELECTED:
                return Rejected(tag, ResponseStatus.BAD, "No folder is selected")  # RFC 8508 §3.5
            case AppendStart(replaced=Replaced()) if self.read_only:
                return Rejected(tag, ResponseStatus.NO, _READ_ONLY, Code.READ_ONLY)
            case commands.Store() | commands.Expunge() | commands.Copy(move=True) if self.read_only:
                return Rejected(tag, ResponseStatus.NO, _READ_ONLY, Code.READ_ONLY)
            case _ if enables_condstore(command) and CONDSTORE not in self.extensions:
                return Rejected(tag, ResponseStatus.BAD, "Mod-sequences are not offered")
            case commands.Select(resync=commands.Resync()) | commands.Fetch(vanished=True) if (
                not self.tells_vanished
            ):
                return Rejected(tag, ResponseStatus.BAD, "ENABLE QRESYNC first")  # RFC 7162 §3.2.3
            case _:
                return None

    def tls_started(self) -> None:
        """RFC 3501 §6.2.1: nothing learnt in clear counts any more; the client asks for capabilities anew."""
        assert self.state is State.NOT_AUTHENTICATED
        self.tls = True

    def authenticated(self) -> None:
        assert self.tls
        assert self.state is State.NOT_AUTHENTICATED
        self.state = State.AUTHENTICATED

    def selected(self, *, read_only: bool) -> None:
        assert self.state in _AFTER
        self.state = State.SELECTED
        self.read_only = read_only

    def unselected(self) -> None:
        """CLOSE, UNSELECT, and a SELECT that failed (RFC 3501 §6.3.1)."""
        assert self.state in _AFTER
        self.state = State.AUTHENTICATED
        self.read_only = False

    def logged_out(self) -> None:
        self.state = State.LOGOUT


def enables_condstore(command: Command | AppendStart) -> bool:
    """Whether this command shows that the client understands mod-sequences (RFC 7162 §3.1)."""
    match command:
        case commands.Select(condstore=condstore, resync=resync):
            return condstore or resync is not None
        case commands.Status(items=items):
            return StatusItem.HIGHESTMODSEQ in items
        case commands.List(listing=listing):
            return StatusItem.HIGHESTMODSEQ in listing.status
        case commands.Fetch(items=wanted):
            return wanted.tells_modseq
        case commands.Search(query=query) | commands.Sort(query=query) | commands.Thread(query=query):
            return query.tells_modseq
        case commands.Store(unchanged_since=since):
            return since is not None
        case _:
            return False


def expunges_allowed(command: Command) -> bool:
    """Whether EXPUNGE may be told while this command is answered: not during FETCH, STORE, SEARCH, SORT and
    THREAD by sequence number, whose numbers would shift under the client (RFC 3501 §7.4.1, RFC 5256 §3), nor
    during a UID SEARCH that names such numbers (RFC 7162 §3.2.10.2)."""
    match command:
        case (
            commands.Search(query=query, uid=uid)
            | commands.Sort(query=query, uid=uid)
            | commands.Thread(query=query, uid=uid)
        ):
            return uid and not query.by_numbers
        case commands.Fetch(uid=uid) | commands.Store(uid=uid):
            return uid
        case _:
            return True
