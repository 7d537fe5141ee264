"""A session's own picture of the selected folder (RFC 3501 §2.3.1.2 and §7.4.1).

A client may name a message by its sequence number, which is its place in the folder: 1 for the first, 2 for
the second. Such a number changes whenever a message in front of it goes: when message 3 is expunged, the old
message 4 becomes message 3. Client and server must therefore agree on the moment at which they count anew.
That moment is the response `* 3 EXPUNGE`. Until the client has it, it still counts the expunged message,
whatever other sessions have done. If the server looked numbers up in the folder as it is now, a client that
deletes message 4 might delete another message than the one on its screen.

So each session keeps its own list of UIDs, in which message n stands at place n - 1. This list changes only
together with a response that tells the client so. What other sessions do is first noted (`note`), and told
later (`tell_numbers`, `take_flagged`). A message that arrives gets a number at the end and changes no other,
so it can be told with any answer. An expunge changes all numbers after it. It is held back while a FETCH,
STORE or SEARCH by sequence number is answered, because client and server would then no longer agree which
message a number means. Until it is told, the message keeps its number, although it no longer exists; `gone`
holds its UID.

Invariants: sequence numbers change only when this session's client has been told; what others do waits here
until a moment when the client may hear it; an expunge is told only when the caller says it may be; UIDs are
in ascending order, and a new one is above all before it. A folder of 100,000 messages costs 400 KiB, once for
all sessions that have heard the same of it.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mssante.flags import RECENT
from mssante.imap.grammar import responses
from mssante.imap.grammar.lexer import Unacceptable
from mssante.imap.grammar.sets import SequenceSet
from mssante.uid_arrays import UID_ARRAY, without


@dataclass(frozen=True, slots=True)
class FolderNews:
    """What happened to a folder, by UID. `arrived`: new messages, ascending and above all earlier ones;
    `flagged`: those whose flags changed; `recent`: whether this session is the first to hear of the
    arrivals."""

    arrived: Sequence[int] = ()
    expunged: Sequence[int] = ()
    flagged: Sequence[int] = ()
    recent: bool = False


class FolderView:
    """The messages as the client numbers them. `recent_from`: UIDs from there on are \\Recent in this
    session, which is the first to open the folder since they came; None if there are none. Without
    `tells_recent` the client is never told of \\Recent."""

    def __init__(
        self, uids: Iterable[int], *, recent_from: int | None = None, tells_recent: bool = True
    ) -> None:
        self._tells_recent = tells_recent
        # Ascending; the message with sequence number n is at place n - 1. This array is never changed in
        # place, so that sessions can share one (`share`).
        self.uids = uids if isinstance(uids, array) else array(UID_ARRAY, uids)
        self._arrived = array(UID_ARRAY)  # not told yet, so they have no sequence number yet
        self._expunged: set[int] = set()  # gone from the folder, but the client still counts them
        self._flagged: set[int] = set()
        self._recent: list[tuple[int, int]] = []
        if recent_from is not None and self.uids and self.uids[-1] >= recent_from:
            self._recent.append((recent_from, self.uids[-1]))

    def __len__(self) -> int:
        return len(self.uids)

    @property
    def last(self) -> int:
        """The highest UID this session has heard of, whether the client was told or not; 0 for none."""
        return (self._arrived or self.uids or (0,))[-1]

    def sequence_of(self, uid: int) -> int | None:
        """The message's sequence number, None if the client knows no such UID."""
        at = bisect_left(self.uids, uid)
        return at + 1 if at < len(self.uids) and self.uids[at] == uid else None

    def numbers_of(self, uids: Sequence[int]) -> Sequence[int]:
        """The sequence numbers of messages given by ascending UIDs; 0 for one the client does not know."""
        if not uids:
            return ()
        start = bisect_left(self.uids, uids[0])
        if self.uids[start : start + len(uids)] == array(UID_ARRAY, uids):
            return range(start + 1, start + 1 + len(uids))
        return [self.sequence_of(uid) or 0 for uid in uids]

    def positions(self, messages: SequenceSet, *, uid: bool) -> list[range]:
        """The places in `uids` of the messages that a command names, ascending; those that are `gone` are
        among them. UIDs that do not exist are passed over (RFC 3501 §6.4.8); sequence numbers that do not
        exist raise Unacceptable (RFC 9051 §9 seq-number)."""
        if uid:
            return messages.positions(self.uids)
        count = len(self.uids)
        if messages.exceeds(count):
            raise Unacceptable("No message has that number")
        return [range(low - 1, high) for low, high in messages.resolve(count)]

    @property
    def gone(self) -> frozenset[int]:
        """The UIDs of messages that are expunged, but that this client still counts (RFC 2180 §4.1)."""
        return frozenset(self._expunged)

    def places_of(self, uids: Sequence[int]) -> list[range]:
        """Where the messages with these UIDs (ascending) stand, as ranges of places. Those that are gone, or
        that the client has never heard of, are passed over."""
        numbers = self.numbers_of(uids)
        if isinstance(numbers, range) and not self._expunged:
            return [range(numbers.start - 1, numbers.stop - 1)]
        found: list[range] = []
        for uid, number in zip(uids, numbers, strict=True):
            if not number or uid in self._expunged:
                continue
            if found and found[-1].stop == number - 1:
                found[-1] = range(found[-1].start, number)
            else:
                found.append(range(number - 1, number))
        return found

    # -- \Recent ----------------------------------------------------------------------------------

    def mask(self, uid: int, stored: int) -> int:
        """The stored flags, with \\Recent where this session is the first to see the message."""
        return stored | RECENT if self.is_recent(uid) else stored

    def masks(self, uids: array[int], stored: array[int]) -> array[int]:
        """As `mask`, of many messages."""
        return array(stored.typecode, map(self.mask, uids, stored)) if self._recent else stored

    def is_recent(self, uid: int) -> bool:
        for low, high in self._recent:  # noqa: SIM110 - asked for every message told: any() costs six times as much
            if low <= uid <= high:
                return True
        return False

    @property
    def recent_count(self) -> int:
        return sum(
            bisect_left(self.uids, high + 1) - bisect_left(self.uids, low) for low, high in self._recent
        )

    def _claim(self, low: int, high: int) -> None:
        # Two intervals become one when this session knows of no message between them.
        if self._recent and self._recent[-1][1] == self.last:
            self._recent[-1] = (self._recent[-1][0], high)
        else:
            self._recent.append((low, high))

    # -- changes ----------------------------------------------------------------------------------

    def note(self, changes: FolderNews) -> None:
        """Takes in what happened, to be told later. Noting something twice changes nothing."""
        fresh = [uid for uid in changes.arrived if uid > self.last]
        if fresh:
            if changes.recent:
                self._claim(fresh[0], fresh[-1])
            self._arrived.extend(fresh)
        for uid in changes.expunged:
            if self.sequence_of(uid) is not None:
                self._expunged.add(uid)
        if changes.expunged and self._arrived:
            gone = frozenset(changes.expunged)
            if not gone.isdisjoint(self._arrived):
                self._arrived = array(UID_ARRAY, (uid for uid in self._arrived if uid not in gone))
        self._flagged.update(changes.flagged)

    def has_news(self, *, expunges: bool) -> bool:
        """Whether there is something to tell."""
        return bool(self._arrived or self._flagged or (expunges and self._expunged))

    @property
    def holds_back(self) -> bool:
        """Whether an expunge waits to be told. Later changes may then be told before it."""
        return bool(self._expunged)

    def tell_numbers(self, *, expunges: bool, vanished: bool = False) -> bytes:
        """The untagged EXPUNGE, EXISTS and RECENT responses for what waits. `expunges`: whether EXPUNGE may
        be told now (`state.expunges_allowed`: not during FETCH, STORE and SEARCH by number); with `vanished`
        expunges are told by UID (RFC 7162 §3.2.10)."""
        pieces = []
        if expunges and self._expunged:
            pieces.append(self._tell_expunged(vanished=vanished))
        if self._arrived:
            self.uids = self.uids + self._arrived
            self._arrived = array(UID_ARRAY)
            pieces.append(responses.exists(len(self.uids)))
            if self._tells_recent:
                pieces.append(responses.recent(self.recent_count))
        return b"".join(pieces)

    def take_flagged(self) -> list[tuple[int, int]]:
        """(sequence number, UID) of the messages whose changed flags wait to be told, ascending. The caller
        tells them now: they are taken off the list."""
        flagged = sorted(self._flagged - self._expunged)
        self._flagged.clear()
        return [each for each in zip(self.numbers_of(flagged), flagged, strict=True) if each[0]]

    def share(self, uids: array[int]) -> None:
        """Keeps `uids` in place of an array of its own, if both hold the same numbers. Nobody may change
        `uids` in place."""
        if self.uids is not uids and len(self.uids) == len(uids) and self.uids == uids:
            self.uids = uids

    def _tell_expunged(self, *, vanished: bool) -> bytes:
        gone = sorted(self._expunged)
        places = [bisect_left(self.uids, uid) for uid in gone]
        self._expunged.clear()
        self.uids = without(self.uids, places)
        if vanished:
            return responses.vanished(gone)
        # Each EXPUNGE moves the messages behind it one place down. So the message expunged after k others
        # has by then a sequence number lower by k.
        return b"".join(responses.expunge(place + 1 - before) for before, place in enumerate(places))
