"""One IMAP conversation: reads what the client says, and has each command answered by its handler.

Invariants: every command ends in one tagged answer or in BYE; a bug ends the command it occurs in, never the
server, and its text, which may hold a patient's data, reaches neither the client nor the log; octets received
before TLS are never taken for a command under TLS.
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
from mssante.net.endings import HandshakeFailed, PlaintextPipelined, Stopping
from mssante.observe import report
from mssante.observe.events import SessionEnded, crashed
from mssante.reasons import Declined, Passing, Reason
from mssante.uid_arrays import UID_ARRAY
from mssante.words.imap import imap_answer

Handler = Callable[[Session, Any], Awaitable[Answer]]
_ASKS_MESSAGES = commands.Fetch | commands.Store | commands.Search | commands.Sort | commands.Thread
_NAMES_MESSAGES = _ASKS_MESSAGES | commands.Copy


async def _capability(session: Session, command: commands.Capability) -> Answer:
    await session.send(responses.capability(session.protocol.capabilities()))
    return OK


async def _nothing(session: Session, command: commands.Noop | commands.Check) -> Answer:
    return OK  # `_finish` tells what is new with every answer, so there is nothing to add here


async def _logout(session: Session, command: commands.Logout) -> Answer:
    await session.send(responses.bye("Au revoir / Goodbye"))
    session.protocol.logged_out()
    return OK


async def _id(session: Session, command: commands.Id) -> Answer:
    await session.send(responses.identity({"name": "mssante", "version": __version__}))
    return OK


async def _enable(session: Session, command: commands.Enable) -> Answer:
    await session.send(responses.enabled(await session.enable(command.names)))
    return OK


HANDLERS: dict[type, Handler] = {
    commands.Capability: _capability,
    commands.Noop: _nothing,
    commands.Check: _nothing,
    commands.Logout: _logout,
    commands.Id: _id,
    commands.Enable: _enable,
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
            # The two get different texts: only the operator can give access back, while a service that
            # stops will be there again by itself.
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
        """Answers the next event: usually a command, but also a literal's announcement or a rejected line."""
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
        # These commands have just looked at what others did, and have told what they changed themselves, so
        # there is no need to look again. But where mod-sequences are told, each one promises that everything
        # before it has been told too (RFC 7162 §3.2): then we look again. SELECT needs it in neither case,
        # since it tells its HIGHESTMODSEQ itself.
        looked = isinstance(command, commands.Select) or (
            isinstance(command, _ASKS_MESSAGES) and not session.protocol.tells_modseq
        )
        await self._finish(tag, answer, expunges=expunges_allowed(command), looked=looked)
        return None

    async def _act(self, command: commands.Command) -> Answer:
        # Look first: flags are searched, set and told as they are now, not as this client last heard of them.
        if isinstance(command, _NAMES_MESSAGES):
            await self._session.look()
        if is_heavy(command, self._session.named_at_most(command)):
            async with self._session.service.persons.heavy(self._session.person or "") as heavy:
                self._session.begins(heavy)
                try:
                    return await HANDLERS[type(command)](self._session, command)
                finally:
                    self._session.heavy = None
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
        """The HIGHESTMODSEQ code of the tagged answer after an expunge (RFC 7162 §3.2.7).

        A client may take the highest mod-sequence it has heard for the point up to which it knows everything.
        That is wrong while an expunge waits to be told, so the right value is then sent in a response of its
        own, and once more when nothing waits any longer (§3.2)."""
        selected = self._session.selected
        if answer.expunged and answer.code is None and self._session.protocol.tells_vanished:
            return responses.code_highest_modseq(selected.complete)
        behind = failed or selected.view.holds_back
        if behind or selected.behind:
            await self._session.tell_highest_modseq()
        selected.behind = behind
        return None

    def _count(self, status: ResponseStatus) -> None:
        """Counts BAD answers in a row. Raises Goodbye for too many of them: no real client errs so often."""
        self._bad = self._bad + 1 if status is ResponseStatus.BAD else 0
        if self._bad >= self._session.service.bounds.bad_commands:
            answer = imap_answer(Reason.TOO_MANY_ERRORS)
            raise Goodbye(answer.text, answer.code or None)

    async def _guarded(self, work: Awaitable[Any]) -> Any:
        """The boundary around a command: a refusal becomes a NO, and a bug becomes one without any detail."""
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
        """RFC 3501 §6.2.1: refuses to start if more octets in clear follow the command. Somebody between us
        and the client may have put them there, to be executed as the client's own under TLS."""
        session = self._session
        if session.wire.pending:
            session.abort()
            raise PlaintextPipelined
        begin = responses.tagged(tag, ResponseStatus.OK, "Begin TLS")
        await session.stream.start_tls(session.service.tls(), answer=begin)
        session.tls_started()
