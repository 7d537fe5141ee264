"""The directory over LDAP. It uses ldap3 in a few threads, with one connection for each question.

Invariants: every question ends at its deadline and frees its thread; only so many questions may wait, and the
trust space is read beside them, in a thread of its own; answers are paged and bounded; whatever goes wrong is
Passing(DIRECTORY_UNAVAILABLE), even a bug in ldap3 that a hostile answer causes; a directory that does not
answer is left alone for a while (`circuit`), except when the trust space is read. mssante.ldap.client.session
says when a connection is trusted.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from mssante.annuaire.attributes import OF_DOMAIN, OF_MAILBOX, OF_OPERATOR, SEARCHED
from mssante.annuaire.circuit import Circuit, NotAsked
from mssante.annuaire.directory import best, search_words
from mssante.annuaire.entries import MailboxEntry, TrustAnswer, mailbox_entry
from mssante.annuaire.trust_answer import trust_answer
from mssante.clock import Clock, SystemClock
from mssante.ldap.client.session import LdapSession, LdapTarget
from mssante.ldap.grammar.filters import build_filter
from mssante.ldap.grammar.values import Found, RawEntry
from mssante.limits import (
    DIRECTORY_CANDIDATES_MAX,
    LDAP_QUESTION_SECONDS_MAX,
    LDAP_QUESTIONS_AT_ONCE,
    LDAP_QUESTIONS_MAX,
    LDAP_SECONDS_MAX,
    LDAP_TRUST_SECONDS_MAX,
    WHITE_LIST_ENTRIES_MAX,
)
from mssante.model import Address, Malformed
from mssante.reasons import Passing, Reason

_Answer = TypeVar("_Answer")

_BY_ADDRESS = "(&(objectClass=mssBal)(mssAdresse={}))"
_ONE_WORD = "(|" + "".join(f"({attribute}=*{{0}}*)" for attribute in SEARCHED) + ")"


class _Lane:
    """The threads for one kind of question, and the places in which it is asked or waits."""

    def __init__(self, at_once: int) -> None:
        self.threads = ThreadPoolExecutor(at_once, thread_name_prefix="annuaire")
        self.places = threading.BoundedSemaphore(LDAP_QUESTIONS_MAX)


class LdapDirectory:
    """A Directory over an LDAP server. Making one does not connect; the first question does."""

    def __init__(
        self,
        target: LdapTarget,
        *,
        clock: Clock | None = None,
        question_seconds: float = LDAP_QUESTION_SECONDS_MAX,
        trust_seconds: float = LDAP_TRUST_SECONDS_MAX,
    ) -> None:
        """`question_seconds` limits a lookup or a search, `trust_seconds` the reading of the trust space."""
        self._target = target
        self._circuit = Circuit(clock or SystemClock())
        self._question_seconds = question_seconds
        self._trust_seconds = trust_seconds
        self._questions = _Lane(LDAP_QUESTIONS_AT_ONCE)
        self._trust = _Lane(1)  # questions without end must not make the trust space old
        self._sessions: set[LdapSession] = set()
        self._guard = threading.Lock()  # protects _sessions and _closed
        self._closed = False

    async def mailbox(self, address: Address) -> MailboxEntry | None:
        try:
            search_filter = build_filter(_BY_ADDRESS, str(address))
        except Malformed as error:
            raise NotAsked(Reason.DIRECTORY_UNAVAILABLE, str(error)) from None

        def question(session: LdapSession) -> list[Found]:
            return list(session.entries(search_filter, OF_MAILBOX, at_most=2))

        with self._circuit.question():
            found = await self._ask(question, self._question_seconds, self._questions)
        # An answer that cannot be believed is an answer: it says nothing against the next one.
        if not found:
            return None
        if len(found) > 1:
            raise Passing(Reason.DIRECTORY_UNAVAILABLE, "two entries for one address")
        entry = _believed(found[0][1])
        if entry.address.key != address.key:
            raise Passing(Reason.DIRECTORY_UNAVAILABLE, "an answer about another address")
        return entry

    async def search(self, text: str, limit: int) -> tuple[MailboxEntry, ...]:
        words = search_words(text)
        if not words:
            return ()
        search_filter = (
            "(&(objectClass=mssBal)(mssStatut=active)(!(mssListeRouge=TRUE))"
            + "".join(build_filter(_ONE_WORD, word) for word in words)
            + ")"
        )

        def question(session: LdapSession) -> tuple[MailboxEntry, ...]:
            entries = []
            for _, raw in session.entries(
                search_filter, OF_MAILBOX, at_most=DIRECTORY_CANDIDATES_MAX, partial=True
            ):
                try:
                    entries.append(mailbox_entry(raw))
                except Malformed:
                    continue  # a malformed entry is left out; the search goes on
            # `best` checks each entry again: what may be shown does not depend on the server's filter.
            return best(entries, words, limit)

        with self._circuit.question(may_take_long=True):
            return await self._ask(question, self._question_seconds, self._questions)

    async def trust_pairs(self) -> TrustAnswer:
        def question(session: LdapSession) -> TrustAnswer:
            operators, domains = (
                session.entries(f"(objectClass={name})", attributes, at_most=WHITE_LIST_ENTRIES_MAX)
                for name, attributes in (
                    ("mssOperateur", OF_OPERATOR),
                    ("mssDomaine", OF_DOMAIN),
                )
            )
            return trust_answer(operators, domains)

        return await self._ask(question, self._trust_seconds, self._trust)

    async def aclose(self) -> None:
        with self._guard:
            self._closed = True
            sessions = tuple(self._sessions)
        for session in sessions:
            session.abort()
        for lane in (self._questions, self._trust):
            await asyncio.to_thread(lane.threads.shutdown)

    async def _ask(self, question: Callable[[LdapSession], _Answer], seconds: float, lane: _Lane) -> _Answer:
        if self._closed:
            raise NotAsked(Reason.DIRECTORY_UNAVAILABLE, "closed")
        if not lane.places.acquire(blocking=False):
            raise NotAsked(Reason.DIRECTORY_UNAVAILABLE, "too many questions waiting")
        try:
            future = lane.threads.submit(self._answer, question, seconds)
        except RuntimeError:
            lane.places.release()
            raise NotAsked(Reason.DIRECTORY_UNAVAILABLE, "closed") from None
        future.add_done_callback(lambda _: lane.places.release())
        try:
            # The thread keeps its own deadline, but making a connection may last a little longer.
            async with asyncio.timeout(seconds + LDAP_SECONDS_MAX):
                return await asyncio.wrap_future(future)
        except TimeoutError:
            raise Passing(Reason.DIRECTORY_UNAVAILABLE, "no answer in time") from None

    def _answer(self, question: Callable[[LdapSession], _Answer], seconds: float) -> _Answer:
        try:
            session = LdapSession(self._target, seconds=seconds)
            with self._guard:
                if self._closed:
                    raise NotAsked(Reason.DIRECTORY_UNAVAILABLE, "closed")
                self._sessions.add(session)
            try:
                session.open()
                return question(session)
            finally:
                with self._guard:
                    self._sessions.discard(session)
                session.close()
        except Passing:
            raise
        except Exception as error:
            # On hostile octets ldap3 may raise any class of exception, and none may become a 5xx to a peer.
            # We log the class only, because the text may hold what was asked.
            raise Passing(Reason.DIRECTORY_UNAVAILABLE, type(error).__name__) from error


def _believed(raw: RawEntry) -> MailboxEntry:
    try:
        return mailbox_entry(raw)
    except Malformed as error:
        raise Passing(Reason.DIRECTORY_UNAVAILABLE, f"malformed entry: {error}") from None
