"""One IMAP conversation: reads what the client says, and has each command answered.

Invariants: every command ends in one tagged answer or in BYE; a bug ends its command, never the server, and
its text goes nowhere; nothing said in clear crosses into TLS.
"""

from __future__ import annotations

from array import array
from collections.abc import Awaitable, Callable
from typing import Any

from mssante import __version__
from mssante.imap import commands, responses
from mssante.imap.events import AppendStart, Rejected, Signal
from mssante.imap.lexer import Unacceptable
from mssante.imap.responses import Status
from mssante.imap.session import CONDSTORE, State, enables_condstore, expunges_allowed
from mssante.imap.view import UID_ARRAY
from mssante.net import (
    imapd_acl,
    imapd_append,
    imapd_fetch,
    imapd_folders,
    imapd_login,
    imapd_messages,
    imapd_sort,
    imapd_store,
)
from mssante.net.imap_answers import imap_answer
from mssante.net.imapd_persons import is_heavy
from mssante.net.imapd_talk import OK, Answer, Hangup, Left, Talk
from mssante.net.stream import HandshakeFailed, PlaintextPipelined, Stopping
from mssante.observe import report
from mssante.observe.events import SessionEnded, crashed
from mssante.reasons import Declined, Passing, Reason

Handler = Callable[[Talk, Any], Awaitable[Answer]]
HANDLERS: dict[type, Handler] = {
    commands.Authenticate: imapd_login.authenticate,
    commands.Login: imapd_login.login,
    commands.Select: imapd_folders.select,
    commands.Close: imapd_folders.close,
    commands.Unselect: imapd_folders.unselect,
    commands.Create: imapd_folders.create,
    commands.Delete: imapd_folders.delete,
    commands.Rename: imapd_folders.rename,
    commands.Subscribe: imapd_folders.subscribe,
    commands.List: imapd_folders.list_,
    commands.Lsub: imapd_folders.lsub,
    commands.Status: imapd_folders.status,
    commands.Namespace: imapd_folders.namespace,
    commands.GetQuota: imapd_folders.quota,
    commands.GetQuotaRoot: imapd_folders.quota_root,
    commands.MyRights: imapd_acl.my_rights,
    commands.GetAcl: imapd_acl.get_acl,
    commands.ListRights: imapd_acl.list_rights,
    commands.ChangeAcl: imapd_acl.change_acl,
    commands.Fetch: imapd_fetch.fetch,
    commands.Store: imapd_store.store,
    commands.Search: imapd_messages.search,
    commands.Sort: imapd_sort.sort,
    commands.Thread: imapd_sort.thread,
    commands.Copy: imapd_messages.copy,
    commands.Expunge: imapd_messages.expunge,
    commands.Idle: imapd_messages.idle,
}

_ASKS_MESSAGES = commands.Fetch | commands.Store | commands.Search | commands.Sort | commands.Thread
_NAMES_MESSAGES = _ASKS_MESSAGES | commands.Copy


def handles(command: type) -> Callable[[Handler], Handler]:
    def register(handler: Handler) -> Handler:
        HANDLERS[command] = handler
        return handler

    return register


@handles(commands.Capability)
async def _capability(talk: Talk, command: commands.Capability) -> Answer:
    await talk.send(responses.capability(talk.session.capabilities()))
    return OK


@handles(commands.Check)
@handles(commands.Noop)
async def _nothing(talk: Talk, command: commands.Noop | commands.Check) -> Answer:
    return OK  # the news comes with every answer


@handles(commands.Logout)
async def _logout(talk: Talk, command: commands.Logout) -> Answer:
    await talk.send(responses.bye("Au revoir / Goodbye"))
    talk.session.logged_out()
    return OK


@handles(commands.Id)
async def _id(talk: Talk, command: commands.Id) -> Answer:
    await talk.send(responses.identity({"name": "mssante", "version": __version__}))
    return OK


@handles(commands.Enable)
async def _enable(talk: Talk, command: commands.Enable) -> Answer:
    await talk.send(responses.enabled(await talk.enable(command.names)))
    return OK


class Conversation:
    """Reads events, answers each, until either side ends."""

    def __init__(self, talk: Talk, has_room: Callable[[str], bool]) -> None:
        self._talk = talk
        self._bad = 0
        self._commands = 0
        talk.has_room = has_room

    async def run(self) -> None:
        talk, cause = self._talk, ""
        try:
            greeting = f"{talk.service.hostname} mssante"
            await talk.send(responses.greeting(greeting, talk.session.capabilities()))
            while talk.session.state is not State.LOGOUT:
                await self._step()
            cause = "logout"
        except Hangup as hangup:
            cause = "refused"
            talk.stream.write(responses.bye(hangup.text, hangup.code))
        except Stopping:
            cause = "access ended" if talk.access_ended else "stopping"
            # Access that ended comes back through the operator only; a service that stops, by itself.
            ended = Reason.ACCESS_EXPIRED if talk.access_expired else Reason.NOT_PERMITTED
            answer = imap_answer(ended if talk.access_ended else Reason.SHUTTING_DOWN)
            talk.stream.write(responses.bye(answer.text, answer.code))
        except TimeoutError:
            cause = "timed out"
            talk.stream.write(responses.bye("Delai depasse / Too slow"))
        except (PlaintextPipelined, HandshakeFailed):
            cause = "no TLS was agreed"
        except ConnectionError as error:
            cause = "left" if isinstance(error, Left) else "connection lost"
        finally:
            talk.stream.close()
            report(
                SessionEnded(
                    listener=talk.service.name,
                    remote=talk.stream.remote,
                    cause=cause or "cancelled",
                    commands=self._commands,
                    messages=0,
                )
            )

    async def _step(self) -> None:
        """One command, or one thing that is none."""
        talk = self._talk
        event = await talk.next_event(patient=True)
        match event:
            case Signal.CONTINUE:
                await talk.send(responses.continuation())
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
        talk = self._talk
        refusal = talk.session.refusal(tag, command)
        if refusal is not None:
            return await self._reject(refusal)
        if isinstance(command, commands.StartTls):
            return await self._start_tls(tag)
        if talk.access_ended:
            raise Stopping
        talk.tag, talk.by_uid = tag, False
        if enables_condstore(command):
            await talk.enable((CONDSTORE,))
        if isinstance(command, _NAMES_MESSAGES):
            talk.by_uid = command.uid
        answer = await self._guarded(self._act(command))
        # Those that looked first, and changed nothing since but what they have told, need not look again.
        # A mod-sequence told promises that what happened before it is told too (RFC 7162 §3.2); SELECT says
        # itself how far it went.
        looked = isinstance(command, commands.Select) or (
            isinstance(command, _ASKS_MESSAGES) and not talk.session.tells_modseq
        )
        await self._finish(tag, answer, expunges=expunges_allowed(command), looked=looked)
        return None

    async def _act(self, command: commands.Command) -> Answer:
        # Flags are searched, set and told as they are now, not as this client last heard.
        if isinstance(command, _NAMES_MESSAGES):
            await self._talk.look()
        if is_heavy(command, self._talk.named_at_most(command)):
            async with self._talk.service.persons.heavy(self._talk.person or ""):
                return await HANDLERS[type(command)](self._talk, command)
        return await HANDLERS[type(command)](self._talk, command)

    async def _append(self, tag: str, event: AppendStart) -> None:
        talk = self._talk
        talk.tag, talk.by_uid = tag, False
        refusal = talk.session.refusal(tag, event)
        answer = await self._guarded(imapd_append.Append(talk, refusal).run(event))
        if isinstance(answer, Rejected):
            return await self._reject(answer)
        await self._finish(tag, answer, expunges=True)
        return None

    async def _news(self, *, expunges: bool, looked: bool) -> None:
        if not looked:
            await self._talk.look()
        await self._talk.tell(expunges=expunges)

    async def _finish(self, tag: str, answer: Answer, *, expunges: bool, looked: bool = False) -> None:
        talk, code = self._talk, answer.code
        if talk.session.state is State.SELECTED:
            failed = await self._guarded(self._news(expunges=expunges, looked=looked)) is not None
            if talk.session.tells_modseq:
                code = await self._how_far(answer, failed=failed) or code
        await talk.send(responses.tagged(tag, answer.status, answer.text, code))
        self._count(answer.status)

    async def _how_far(self, answer: Answer, *, failed: bool) -> str | None:
        """The HIGHESTMODSEQ code of the tagged answer after an expunge (RFC 7162 §3.2.7). It is told apart
        where it is not the highest mod-sequence the client has heard: an expunge waits, or did (§3.2)."""
        selected = self._talk.selected
        if answer.expunged and answer.code is None and self._talk.session.tells_vanished:
            return responses.code_highest_modseq(selected.complete)
        behind = failed or selected.view.holds_back
        if behind or selected.behind:
            await self._talk.tell_highest_modseq()
        selected.behind = behind
        return None

    def _count(self, status: Status) -> None:
        """Too much nonsense in a row is no client. Raises Hangup."""
        self._bad = self._bad + 1 if status is Status.BAD else 0
        if self._bad >= self._talk.service.bounds.bad_commands:
            answer = imap_answer(Reason.TOO_MANY_ERRORS)
            raise Hangup(answer.text, answer.code or None)

    async def _guarded(self, work: Awaitable[Any]) -> Any:
        """The boundary of a command: a refusal is a NO, a bug is a NO that says nothing of it."""
        try:
            return await work
        except Unacceptable as error:
            return Answer(Status(error.status), str(error), error.code)
        except Declined as declined:
            answer = imap_answer(declined.reason)
            return Answer(Status.NO, answer.text, answer.code or None)
        except (ConnectionError, TimeoutError, Stopping, Hangup):
            raise
        except Exception as bug:
            report(crashed(f"imap {self._talk.service.name}", bug))
            answer = imap_answer(Passing(Reason.INTERNAL).reason)
            return Answer(Status.NO, answer.text, answer.code or None)

    async def _reject(self, rejected: Rejected) -> None:
        if rejected.unsaves and self._talk.picked is not None:
            self._talk.picked.saved = array(UID_ARRAY)
        if rejected.tag is None:
            await self._talk.send(responses.untagged(rejected.status, rejected.text, rejected.code))
        else:
            line = responses.tagged(rejected.tag, rejected.status, rejected.text, rejected.code)
            await self._talk.send(line)
        self._count(rejected.status)

    async def _start_tls(self, tag: str) -> None:
        """RFC 3501 §6.2.1: nothing may be on its way in clear behind the command."""
        talk = self._talk
        if talk.wire.pending:
            talk.abort()
            raise PlaintextPipelined
        begin = responses.tagged(tag, Status.OK, "Begin TLS")
        await talk.stream.start_tls(talk.service.tls(), answer=begin)
        talk.tls_started()
