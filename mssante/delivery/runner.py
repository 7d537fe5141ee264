"""Delivers the letters of the queue, and tries again until each recipient has a final outcome.

A letter that we accepted is our responsibility: it is delivered, or its sender is told why it is not. The
remote may be away for hours, and this program may be stopped at any moment, so the letter stays in the
database until every recipient has a final outcome. The runner is the loop that brings this about.

It works in four steps. First it *leases* recipients whose time has come. A lease gives them to one runner for
a limited time, so several hosts can work on one queue. Nobody has to give a lease back: when it runs out, or
its holder is gone (store/presence.py), the recipients are due again. Second, it hands each group (one letter,
one destination) to a courier, which makes one *attempt*. An attempt has a shorter limit than the lease, so
that two runners never work on one letter at once. Third, the attempt gives each recipient an *outcome*:
delivered, deferred or failed. Last, `retry` decides what follows from it, and the runner writes that down:
done, try again later, or give up and tell the sender.

The database may be away for a while between two of these steps. Then the outcome waits in memory until it is
written (`unwritten.py`), and no attempt is begun meanwhile. What was leased and not begun is forgotten and
leased anew when there is doubt: after a lease whose answer did not come, or when our session was cut.

Between two of these steps a crash may happen. If it comes before the outcome is written, the lease ends
and the letter is tried again, so a remote that took it in the meantime gets it twice, with the same
Message-ID (C17). The same happens when the remote's last reply is lost. We accept this, because the only
alternative is to lose letters. A letter delivered to a mailbox of ours, or a notice, is recognised the second
time and not kept again.

Invariants: we say that a letter is delivered only when the remote has taken it; a letter leaves the queue
only when each of its recipients is delivered, or the sender was told (or there is nobody to tell); one
destination never holds up another (R15); a fault of ours puts a letter back and never loses it.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial

from mssante import limits
from mssante.delivery import retry
from mssante.delivery.couriers import Courier
from mssante.delivery.destinations import DeliveryAttempt, Destination, Destinations, Group
from mssante.delivery.letters import Letter, open_letter
from mssante.delivery.notices import Failure, Notices
from mssante.delivery.reception import Reception
from mssante.delivery.retry import Done, Fate, GiveUp, Later, Outcome
from mssante.delivery.route import destination_tag
from mssante.delivery.routing import Routing
from mssante.delivery.unwritten import Unwritten
from mssante.keys.broker import KeyBroker
from mssante.keys.ring import Ring
from mssante.model import Address, Domain
from mssante.observe.event import report
from mssante.observe.events import DeliveryDeferred, DeliveryFailed, MessageSent, OutcomeNotWritten, crashed
from mssante.reasons import Passing, Reason, Refused
from mssante.store.notifier import Subscription
from mssante.store.records import DueRecipient, RecipientState
from mssante.tasks import Unbroken

_ATTEMPT = timedelta(seconds=limits.QUEUE_ATTEMPT_SECONDS_MAX)
# A letter that we did not queue: it is returned to its sender.
_NOT_PROVED = Outcome(Fate.FAILED, Reason.CORRUPTION)
_RESTING = Outcome(Fate.DEFERRED, Reason.REMOTE_UNREACHABLE, reached=False)


class Runner:
    """`local` delivers to the domains of `routing`, `remote` to all others. `chance` gives random numbers in
    [0, 1). The clock is that of `reception`."""

    def __init__(
        self,
        *,
        reception: Reception,
        broker: KeyBroker,
        routing: Routing,
        local: Courier,
        remote: Courier,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._store = reception.store
        self._clock = reception.clock
        self._queue = reception.queue
        self._broker = broker
        self._domains = routing.domains
        self._local = local
        self._remote = remote
        self._notices = Notices(reception, routing)
        self._chance = chance
        self._ring: Ring | None = None
        self._secret = reception.secret
        self._destinations = Destinations(
            frozenset(destination_tag(self._secret, d) for d in routing.domains)
        )
        self._woken = asyncio.Event()
        self._stopping = False
        self._told_of_delay: set[tuple[str, Domain]] = set()
        # Writing down what a remote took is never cancelled, or the remote would get it twice.
        self._notes = Unbroken("queue outcome")
        self._unwritten = Unwritten()
        self._session: int | None = None  # in which all that we know of was leased

    async def run(self) -> None:
        """Runs until `stop` is called, and then until the attempts under way have ended. When it is
        cancelled, it abandons the attempts under way, whose letters will be tried again, but first writes
        down the outcomes of those that have ended, or tells which ones the database did not take."""
        with self._store.subscribe(self._queue) as news:
            async with self._attempts() as tasks:
                listening = tasks.create_task(self._listen(news))
                while not self._stopping:
                    try:
                        await self._dispatch(tasks)
                    except Exception as error:  # a bug ends this round only
                        report(crashed("runner", error))
                    await self._rest()
                listening.cancel()

    async def run_once(self) -> None:
        """Attempts everything that is due now, and then returns. For tests, simulations and the CLI."""
        async with self._attempts() as tasks:
            while True:
                await self._dispatch(tasks)
                if self._destinations.idle:
                    return
                await self._rest()

    def stop(self) -> None:
        """Makes `run` start no further attempt."""
        self._stopping = True
        self._woken.set()

    @asynccontextmanager
    async def _attempts(self) -> AsyncIterator[asyncio.TaskGroup]:
        """The task group of the attempts. When it has ended, every outcome is written down, even that of an
        attempt which was cancelled while it did so."""
        self._unwritten.begin()
        try:
            async with asyncio.TaskGroup() as tasks:
                yield tasks
        finally:
            self._unwritten.give_up()
            await self._notes.finish()

    async def _rest(self) -> None:
        """Until there is news, or something may be due by now."""
        try:
            async with asyncio.timeout(limits.QUEUE_POLL_SECONDS):
                await self._woken.wait()
        except TimeoutError:
            pass
        self._woken.clear()

    async def _listen(self, news: Subscription) -> None:
        while True:
            try:
                await news.wait()
                self._woken.set()
            except Exception as error:  # the poll finds what is due meanwhile
                report(crashed("runner", error))
                await asyncio.sleep(limits.QUEUE_POLL_SECONDS)

    async def _dispatch(self, tasks: asyncio.TaskGroup) -> None:
        """Leases what is due and starts the attempts that there is room for. If the database fails, does
        nothing: the next round tries again."""
        while not self._unwritten:
            try:
                if not await self._is_sure():
                    return
                await self._store.queue.release_gone()
                ring = self._ring = self._ring or await self._broker.open_queue(self._queue)
                for attempt in self._destinations.take(self._clock.now()):
                    tasks.create_task(self._attempt(attempt, ring))
                wanted = self._destinations.wanted()
                due = await self._store.queue.lease(
                    limit=limits.QUEUE_LEASED_AT_ONCE, only=wanted.only, exclude=wanted.exclude
                )
            except Passing:
                self._session = None  # what was asked for may be done, and only the answer lost
                return
            if not due:
                return
            self._destinations.add(due)

    async def _is_sure(self) -> bool:
        """Whether we have a session, and have leased no more and no less than we know of."""
        session = self._store.queue.session
        if session is not None and session != self._session:
            self._destinations.forget_waiting()
            await self._store.queue.release_forgotten(self._destinations.under_way())
            self._session = session
        return session is not None

    async def _attempt(self, attempt: DeliveryAttempt, ring: Ring) -> None:
        """Attempts one letter to one destination. Whatever goes wrong with it ends here."""
        destination, group = attempt.destination, attempt.group
        try:
            letter = open_letter(group, ring=ring, store=self._store, secret=self._secret)
            if letter.leased_until - self._clock.now() <= _ATTEMPT:
                return await self._notes.run(self._give_back(group))  # it waited here too long for its lease
            was_down = destination.failures > 0
            outcomes = await self._deliver(attempt, letter)
            await self._notes.run(self._record(letter, outcomes, destination))
            if was_down and not destination.failures:
                await self._hasten(destination)
        except Passing:  # our database failed
            await self._notes.run(self._put_back(group, soon=True))
        except Refused:  # the letter is damaged, which was reported, or our ring is older than its key
            self._ring = None
            await self._notes.run(self._put_back(group))
        except Exception as error:
            report(crashed("runner", error))
            await self._notes.run(self._put_back(group))
        finally:
            self._destinations.done(attempt)
            self._woken.set()

    async def _hasten(self, destination: Destination) -> None:
        """The destination answers again, so all that waits for it becomes due now."""
        try:
            await self._store.queue.hasten(destination.tag)
        except Passing:
            pass  # each comes in its own time

    async def _deliver(self, attempt: DeliveryAttempt, letter: Letter) -> Mapping[Address, Outcome]:
        destination, consignment = attempt.destination, letter.consignment()
        if not letter.proved:
            return consignment.all(_NOT_PROVED)
        if attempt.resting or destination.resting(self._clock.now()):
            return consignment.all(_RESTING)
        courier = self._local if letter.domain in self._domains else self._remote
        try:
            async with asyncio.timeout(_ATTEMPT.total_seconds()):
                outcomes = await courier.deliver(consignment)
        except TimeoutError:
            outcomes = consignment.all(Outcome(Fate.DEFERRED, Reason.REMOTE_UNREACHABLE))
        one = min(outcomes.values(), key=lambda outcome: outcome.reached)
        self._destinations.note(destination, one, self._clock.now(), self._chance())
        return outcomes

    async def _record(
        self, letter: Letter, outcomes: Mapping[Address, Outcome], destination: Destination
    ) -> None:
        """Writes down the outcomes. Deliveries come first, because a crash before that would send the letter
        again. A recipient that is given up is closed only after the sender was told."""
        now = self._clock.now()
        waiting: dict[Address, tuple[Outcome, datetime]] = {}
        failures: dict[Address, tuple[Failure, bool]] = {}
        delivered = []
        for address, due in letter.due.items():
            outcome = outcomes[address]
            decision = retry.decide(
                outcome, attempts=due.attempts, queued_at=letter.queued_at, now=now, jitter=self._chance()
            )
            match decision:
                case Done():
                    delivered.append(address)
                case Later(next_at):
                    waiting[address] = outcome, max(next_at, destination.not_before or next_at)
                case GiveUp(reason, expired):
                    failures[address] = Failure(reason, outcome), expired
        await self._note_delivered(letter, outcomes, delivered)
        await self._note_waiting(letter, waiting, now)
        await self._note_failed(letter, failures, now)

    async def _note_delivered(
        self, letter: Letter, outcomes: Mapping[Address, Outcome], delivered: list[Address]
    ) -> None:
        # Asked for together so that they are committed together: a crash in between would send the letter to
        # some of them again.
        settled = (
            self._settle(letter, address, RecipientState.DELIVERED, reply=outcomes[address].reply)
            for address in delivered
        )
        await asyncio.gather(*settled)
        if delivered:
            report(
                MessageSent(
                    queued=letter.id,
                    destination=letter.domain.name,
                    attempts=letter.attempts,
                    recipients=len(delivered),
                    dn=outcomes[delivered[0]].dn,
                )
            )

    async def _note_waiting(
        self, letter: Letter, waiting: Mapping[Address, tuple[Outcome, datetime]], now: datetime
    ) -> None:
        for address, (outcome, next_at) in waiting.items():
            await self._settle(letter, address, RecipientState.PENDING, next_at=next_at, reply=outcome.reply)
        if not waiting:
            return
        outcome, next_at = next(iter(waiting.values()))
        report(
            DeliveryDeferred(
                queued=letter.id,
                destination=letter.domain.name,
                reason=outcome.reason or Reason.REMOTE_DEFERRED,
                attempts=letter.attempts,
                next_attempt_seconds=int((next_at - now).total_seconds()),
            )
        )
        key = letter.id, letter.domain
        if now - letter.queued_at >= retry.DELAY_NOTICE and key not in self._told_of_delay:
            if len(self._told_of_delay) >= limits.QUEUE_NOTICES_REMEMBERED_MAX:
                self._told_of_delay.clear()  # telling again is harmless: Reception recognises the notice
            outcomes = {address: outcome for address, (outcome, _) in waiting.items()}
            try:
                await self._notices.delayed(
                    letter, outcomes, until=letter.queued_at + retry.LIFETIME, now=now
                )
            except Passing:
                return  # the next attempt tells it
            self._told_of_delay.add(key)

    async def _note_failed(
        self, letter: Letter, failures: Mapping[Address, tuple[Failure, bool]], now: datetime
    ) -> None:
        if not failures:
            return
        try:
            await self._notices.failed(letter, {a: failure for a, (failure, _) in failures.items()}, now=now)
        except Passing as passing:
            if now - letter.queued_at < 2 * retry.LIFETIME:
                ours = passing.reason is Reason.STORAGE_UNAVAILABLE
                wait = retry.soon(letter.attempts) if ours else retry.delay(1, self._chance())
                later = {
                    a: (replace(f.last, reason=passing.reason), now + wait) for a, (f, _) in failures.items()
                }
                await self._note_waiting(letter, later, now)
                return
        for address, (failure, expired) in failures.items():
            state = RecipientState.EXPIRED if expired else RecipientState.BOUNCED
            await self._settle(letter, address, state, reply=failure.last.reply)
            report(
                DeliveryFailed(
                    queued=letter.id,
                    destination=letter.domain.name,
                    reason=failure.reason,
                    attempts=letter.due[address].attempts,
                )
            )

    async def _settle(
        self,
        letter: Letter,
        address: Address,
        state: RecipientState,
        *,
        reply: str,
        next_at: datetime | None = None,
    ) -> None:
        at, reply_ct = next_at or self._clock.now(), letter.sealed_reply(reply)
        if not await self._write(letter.due[address], state, at, reply_ct):
            report(OutcomeNotWritten(queued=letter.id, destination=letter.domain.name, outcome=state.value))

    async def _give_back(self, group: Group) -> None:
        """Ends the lease of recipients that were not attempted: they are due, and get a new one."""
        now = self._clock.now()
        for due in group:
            await self._write(due, RecipientState.PENDING, now)

    async def _put_back(self, group: Group, *, soon: bool = False) -> None:
        """Puts back recipients for which we have no outcome, to be tried later. After twice the lifetime of a
        letter they are given up all the same."""
        now = self._clock.now()
        for due in group:
            over = now.timestamp() - due.created_at >= 2 * retry.LIFETIME.total_seconds()
            wait = retry.soon(due.attempts) if soon else retry.delay(due.attempts, self._chance())
            state = RecipientState.EXPIRED if over else RecipientState.PENDING
            try:
                await self._write(due, state, now + wait)
            except Exception as error:  # nothing is lost: the lease will run out
                report(crashed("runner", error))

    async def _write(
        self, due: DueRecipient, state: RecipientState, next_at: datetime, reply_ct: bytes | None = None
    ) -> bool:
        """Writes what became of this attempt as soon as the database takes it. Returns False if the process
        ends before."""
        return await self._unwritten.write(
            partial(
                self._store.queue.settle,
                due.id,
                attempts=due.attempts,
                state=state,
                next_at=int(next_at.timestamp()),
                reply_ct=reply_ct,
            )
        )
