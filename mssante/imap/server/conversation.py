"""One IMAP conversation: reads what the client says, and has each command answered.

Invariants: every command ends in one tagged answer or in BYE; a bug ends its command, never the server, and
its text goes nowhere; nothing said in clear crosses into TLS.
"""

from __future__ import annotations

from array import array
from collections.abc import Awaitable, Callable
from typing import Any

from mssante import __version__
from mssante.imap.grammar import commands, responses
from mssante.imap.grammar.events import AppendStart, Rejected, Signal
from mssante.imap.grammar.lexer import Unacceptable
from mssante.imap.grammar.responses import ResponseStatus
from mssante.imap.rules.state import CONDSTORE, State, enables_condstore, expunges_allowed
from mssante.imap.server import acl, append, fetch, folders, idle, login, messages, searching, sorting, store
from mssante.imap.server.persons import is_heavy
from mssante.imap.server.session import OK, Answer, Goodbye, Left, Session
from mssante.net.stream import HandshakeFailed, PlaintextPipelined, Stopping
from mssante.observe import report
from mssante.observe.events import SessionEnded, crashed
from mssante.reasons import Declined, Passing, Reason
from mssante.uid_arrays import UID_ARRAY
from mssante.words.imap import imap_answer

Handler = Callable[[Session, Any], Awaitable[Answer]]
HANDLERS: dict[type, Handler] = {
    commands.Authenticate: login.authenticate,
    commands.Login: login.login,
    commands.Select: folders.select,
    commands.Close: folders.close,
    commands.Unselect: folders.unselect,
    commands.Create: folders.create,
    commands.Delete: folders.delete,
    commands.Rename: folders.rename,
    commands.Subscribe: folders.subscribe,
    commands.List: folders.list_,
    commands.Lsub: folders.lsub,
    commands.Status: folders.status,
    commands.Namespace: folders.namespace,
    commands.GetQuota: folders.quota,
    commands.GetQuotaRoot: folders.quota_root,
    commands.MyRights: acl.my_rights,
    commands.GetAcl: acl.get_acl,
    commands.ListRights: acl.list_rights,
    commands.ChangeAcl: acl.change_acl,
    commands.Fetch: fetch.fetch,
    commands.Store: store.store,
    commands.Search: searching.search,
    commands.Sort: sorting.sort,
    commands.Thread: sorting.thread,
    commands.Copy: messages.copy,
    commands.Expunge: messages.expunge,
    commands.Idle: idle.idle,
}

_ASKS_MESSAGES = commands.Fetch | commands.Store | commands.Search | commands.Sort | commands.Thread
_NAMES_MESSAGES = _ASKS_MESSAGES | commands.Copy


def handles(command: type) -> Callable[[Handler], Handler]:
    def register(handler: Handler) -> Handler:
        HANDLERS[command] = handler
        return handler

    return register


@handles(commands.Capability)
async def _capability(session: Session, command: commands.Capability) -> Answer:
    await session.send(responses.capability(session.protocol.capabilities()))
    return OK


@handles(commands.Check)
@handles(commands.Noop)
async def _nothing(session: Session, command: commands.Noop | commands.Check) -> Answer:
    return OK  # the news comes with every answer


@handles(commands.Logout)
async def _logout(session: Session, command: commands.Logout) -> Answer:
    await session.send(responses.bye("Au revoir / Goodbye"))
    session.protocol.logged_out()
    return OK


@handles(commands.Id)
async def _id(session: Session, command: commands.Id) -> Answer:
    await session.send(responses.identity({"name": "mssante", "version": __version__}))
    return OK


@handles(commands.Enable)
async def _enable(session: Session, command: commands.Enable) -> Answer:
    await session.send(responses.enabled(await session.enable(command.names)))
    return OK


class Conversation:
    """Reads events, answers each, until either side ends."""

    def __init__(self, session: Session, has_room: Callable[[str], bool]) -> None:
        self._session = session
        self._bad = 0
        self._commands = 0
        session.has_room = has_room

    async def run(self) -> None:
        session, cause = self._session, ""
        try:
            greeting = f"{session.service.hostname} mssante"
            await session.send(responses.greeting(greeting, session.protocol.capabilities()))
            while session.protocol.state is not State.LOGOUT:
                await self._step()
            cause = "logout"
        except Goodbye as hangup:
            cause = "refused"
            session.stream.write(responses.bye(hangup.text, hangup.code))
        except Stopping:
            cause = "access ended" if session.access_ended else "stopping"
            # Access that ended comes back through the operator only; a service that stops, by itself.
            ended = Reason.ACCESS_EXPIRED if session.access_expired else Reason.NOT_PERMITTED
            answer = imap_answer(ended if session.access_ended else Reason.SHUTTING_DOWN)
            session.stream.write(responses.bye(answer.text, answer.code))
        except TimeoutError:
            cause = "timed out"
            answer = imap_answer(Reason.TOO_SLOW)
            session.stream.write(responses.bye(answer.text, answer.code))
        except (PlaintextPipelined, HandshakeFailed):
            cause = "no TLS was agreed"
        except ConnectionError as error:
            cause = "left" if isinstance(error, Left) else "connection lost"
        finally:
            session.stream.close()
            report(
                SessionEnded(
                    listener=session.service.name,
                    remote=session.stream.remote,
                    cause=cause or "cancelled",
                    commands=self._commands,
                    messages=0,
                )
            )

    async def _step(self) -> None:
        """One command, or one thing that is none."""
        session = self._session
        event = await session.next_event(patient=True)
        match event:
            case Signal.CONTINUE:
                await session.send(responses.continuation())
            case commands.Request(tag, command):
                self._commands += 1
                await self._answer(tag, command)
            case AppendStart(tag):
                self._commands += 1
                await self._append(tag, event)
            case Rejected():
                await self._reject(event)
            case _:
                raise AssertionError("the wire tells nothing else between commands")

    async def _answer(self, tag: str, command: commands.Command) -> None:
        session = self._session
        refusal = session.protocol.refusal(tag, command)
        if refusal is not None:
            return await self._reject(refusal)
        if isinstance(command, commands.StartTls):
            return await self._start_tls(tag)
        if session.access_ended:
            raise Stopping
        session.tag, session.by_uid = tag, False
        if enables_condstore(command):
            await session.enable((CONDSTORE,))
        if isinstance(command, _NAMES_MESSAGES):
            session.by_uid = command.uid
        answer = await self._guarded(self._act(command))
        # Those that looked first, and changed nothing since but what they have told, need not look again.
        # A mod-sequence told promises that what happened before it is told too (RFC 7162 §3.2); SELECT says
        # itself how far it went.
        looked = isinstance(command, commands.Select) or (
            isinstance(command, _ASKS_MESSAGES) and not session.protocol.tells_modseq
        )
        await self._finish(tag, answer, expunges=expunges_allowed(command), looked=looked)
        return None

    async def _act(self, command: commands.Command) -> Answer:
        # Flags are searched, set and told as they are now, not as this client last heard.
        if isinstance(command, _NAMES_MESSAGES):
            await self._session.look()
        if is_heavy(command, self._session.named_at_most(command)):
            async with self._session.service.persons.heavy(self._session.person or ""):
                return await HANDLERS[type(command)](self._session, command)
        return await HANDLERS[type(command)](self._session, command)

    async def _append(self, tag: str, event: AppendStart) -> None:
        session = self._session
        session.tag, session.by_uid = tag, False
        refusal = session.protocol.refusal(tag, event)
        answer = await self._guarded(append.Append(session, refusal).run(event))
        if isinstance(answer, Rejected):
            return await self._reject(answer)
        await self._finish(tag, answer, expunges=True)
        return None

    async def _news(self, *, expunges: bool, looked: bool) -> None:
        if not looked:
            await self._session.look()
        await self._session.tell(expunges=expunges)

    async def _finish(self, tag: str, answer: Answer, *, expunges: bool, looked: bool = False) -> None:
        session, code = self._session, answer.code
        if session.protocol.state is State.SELECTED:
            failed = await self._guarded(self._news(expunges=expunges, looked=looked)) is not None
            if session.protocol.tells_modseq:
                code = await self._how_far(answer, failed=failed) or code
        await session.send(responses.tagged(tag, answer.status, answer.text, code))
        self._count(answer.status)

    async def _how_far(self, answer: Answer, *, failed: bool) -> str | None:
        """The HIGHESTMODSEQ code of the tagged answer after an expunge (RFC 7162 §3.2.7). It is told apart
        where it is not the highest mod-sequence the client has heard: an expunge waits, or did (§3.2)."""
        selected = self._session.selected
        if answer.expunged and answer.code is None and self._session.protocol.tells_vanished:
            return responses.code_highest_modseq(selected.complete)
        behind = failed or selected.view.holds_back
        if behind or selected.behind:
            await self._session.tell_highest_modseq()
        selected.behind = behind
        return None

    def _count(self, status: ResponseStatus) -> None:
        """Too much nonsense in a row is no client. Raises Hangup."""
        self._bad = self._bad + 1 if status is ResponseStatus.BAD else 0
        if self._bad >= self._session.service.bounds.bad_commands:
            answer = imap_answer(Reason.TOO_MANY_ERRORS)
            raise Goodbye(answer.text, answer.code or None)

    async def _guarded(self, work: Awaitable[Any]) -> Any:
        """The boundary of a command: a refusal is a NO, a bug is a NO that says nothing of it."""
        try:
            return await work
        except Unacceptable as error:
            return Answer(ResponseStatus(error.status), str(error), error.code)
        except Declined as declined:
            answer = imap_answer(declined.reason)
            return Answer(ResponseStatus.NO, answer.text, answer.code or None)
        except (ConnectionError, TimeoutError, Stopping, Goodbye):
            raise
        except Exception as bug:
            report(crashed(f"imap {self._session.service.name}", bug))
            answer = imap_answer(Passing(Reason.INTERNAL).reason)
            return Answer(ResponseStatus.NO, answer.text, answer.code or None)

    async def _reject(self, rejected: Rejected) -> None:
        if rejected.unsaves and self._session.picked is not None:
            self._session.picked.saved = array(UID_ARRAY)
        if rejected.tag is None:
            await self._session.send(responses.untagged(rejected.status, rejected.text, rejected.code))
        else:
            line = responses.tagged(rejected.tag, rejected.status, rejected.text, rejected.code)
            await self._session.send(line)
        self._count(rejected.status)

    async def _start_tls(self, tag: str) -> None:
        """RFC 3501 §6.2.1: nothing may be on its way in clear behind the command."""
        session = self._session
        if session.wire.pending:
            session.abort()
            raise PlaintextPipelined
        begin = responses.tagged(tag, ResponseStatus.OK, "Begin TLS")
        await session.stream.start_tls(session.service.tls(), answer=begin)
        session.tls_started()
