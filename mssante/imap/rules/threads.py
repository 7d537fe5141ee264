"""Threads of messages: the algorithms ORDEREDSUBJECT and REFERENCES of THREAD (RFC 5256 §3).

Invariants: nothing recurses, however long a chain of references is; apart from sorting the work is linear,
whatever the references say; messages are given in the order of the mailbox, which decides between equal
dates; the work left when all messages are given is done in steps of some milliseconds, so that other tasks
get their turn.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from mssante.imap.rules.steps import Steps, sorted_in_steps
from mssante.limits import (
    IMAP_THREAD_IDENTIFIERS_MAX,
    IMAP_THREAD_REFERENCES_MAX,
    IMAP_THREAD_STEPS_MAX,
    IMAP_THREADED_IN_ONE_STEP,
)

_NOBODY = -1


@dataclass(frozen=True, slots=True)
class Forest:
    """Threads, with each message given by its place in the mailbox. `children[place]` are the answers to
    that message, in order. A root is a place; or, where the message that begins the thread is missing, the
    tuple of its two or more children."""

    roots: Sequence[int | tuple[int, ...]]
    children: dict[int, list[int]]

    def render(self, numbers: Sequence[int]) -> Steps[bytes]:
        """RFC 5256 §4 thread-list; the number of the message at `place` is `numbers[place]`."""
        pieces: list[str] = []
        pause = 0
        for root in self.roots:
            # A stack of what is still to be written: texts, and places whose branches have not come yet.
            waiting: list[str | int] = [")"]
            waiting += _nested(root) if isinstance(root, tuple) else (root,)
            pieces.append("(")
            while waiting:
                item = waiting.pop()
                if isinstance(item, str):
                    pieces.append(item)
                    continue
                pieces.append(str(numbers[item]))
                if len(pieces) >= pause:
                    pause += 2 * IMAP_THREADED_IN_ONE_STEP
                    yield
                answers = self.children.get(item)
                if answers:
                    pieces.append(" ")
                    waiting += answers if len(answers) == 1 else _nested(answers)
        return "".join(pieces).encode("ascii")


def _nested(places: Sequence[int]) -> list[str | int]:
    """Each branch in parentheses, in reverse, because the list is put on a stack."""
    return [item for place in reversed(places) for item in (")", place, "(")]


# Message identifiers

# Words and quoted strings with one "@" outside the quotes. No backslash is allowed outside the quotes: of two
# places where an identifier might begin, only one can then be read far, which keeps the search linear.
_IDENTIFIER = re.compile(rb'<((?:[^<>@"\\\s]++|"(?:[^"\\]|\\.)*+")++@[^<>"\s]++)>', re.DOTALL)
_QUOTING = re.compile(rb'"((?:[^"\\]|\\.)*+)"', re.DOTALL)
_QUOTED_PAIR = re.compile(rb"\\(.)", re.DOTALL)


def identifiers(value: bytes) -> list[bytes]:
    """The valid Message IDs in an unfolded field, normalised by taking quotes and backslashes away (RFC 5256
    §3). Of too many, the last IMAP_THREAD_REFERENCES_MAX count: the nearest ancestors stand last."""
    found = _IDENTIFIER.findall(value)[-IMAP_THREAD_REFERENCES_MAX:]
    if b'"' in value:
        return [_QUOTED_PAIR.sub(rb"\1", _QUOTING.sub(rb"\1", each)) for each in found]
    return found


def ancestry(references: bytes, in_reply_to: bytes) -> list[bytes]:
    """The Message IDs of the messages before this one in its thread, the nearest last: those of References
    or, if none of them is valid, the first of In-Reply-To."""
    return identifiers(references) or identifiers_first(in_reply_to)


def identifiers_first(value: bytes) -> list[bytes]:
    """The first valid Message ID, if there is one."""
    return identifiers(found.group()) if (found := _IDENTIFIER.search(value)) else []


# ORDEREDSUBJECT


def ordered_subject(subjects: Sequence[str], sent: Sequence[int]) -> Steps[Forest]:
    """ "Poor man's threading": one thread for each base subject, in which all later messages are children of
    the earliest. Subjects are given in the form that their collation compares."""
    heads: dict[str, int] = {}
    children: dict[int, list[int]] = {}
    in_order = yield from sorted_in_steps(range(len(sent)), sent.__getitem__)
    for at, place in enumerate(in_order):
        head = heads.setdefault(subjects[place], place)  # a dict keeps its order: so do the threads
        if head != place:
            children.setdefault(head, []).append(place)
        if at % IMAP_THREADED_IN_ONE_STEP == 0:
            yield
    return Forest(list(heads.values()), children)


# REFERENCES


class References:
    """Threads by what each message answers: `add` them in the mailbox's order, then call `threads` once.

    There is a container for each message, and an empty one for each Message ID that is known from references
    only. References may contradict one another, so before containers are linked, we must know whether the
    link would close a loop. For that we keep sets of containers that were ever linked together (union-find).
    Containers of different sets can be linked safely. Within a set whose links were never cut, a container
    without a parent is above all the others, so to put it below one of them would close a loop. Within other
    sets we walk up the parents, at most IMAP_THREAD_STEPS_MAX steps in all. After that, and beyond
    IMAP_THREAD_IDENTIFIERS_MAX empty containers, references are passed over."""

    def __init__(self) -> None:
        self._sent: list[int] = []
        self._subjects: list[str] = []
        self._answers = bytearray()
        self._containers: dict[bytes, int] = {}
        self._place: list[int] = []  # of the message in each container
        self._parent: list[int] = []
        self._set: list[int] = []  # towards the container that stands for the set
        self._size: list[int] = []
        self._broken: set[int] = set()
        self._steps = 0
        self._named_only = 0

    def add(
        self, *, sent: int, subject: str, answers: bool, identifier: bytes, references: Sequence[bytes]
    ) -> None:
        """`subject`: the base subject in the form its collation compares; `answers`: whether the subject
        marks a reply or a forward; `identifier`: the normalised Message ID, empty if it has no valid one;
        `references`: what `ancestry` gives."""
        place = len(self._sent)
        self._sent.append(sent)
        self._subjects.append(subject)
        self._answers.append(answers)
        container = self._container_of(identifier, place)
        last = _NOBODY
        for reference in references:  # RFC 5256 §3 (1)(A)
            referenced = self._referenced(reference)
            if referenced == _NOBODY:
                continue
            if last != _NOBODY and self._parent[referenced] == _NOBODY:
                self._link(last, referenced)
            last = referenced
        if self._parent[container] != last:  # (1)(B)
            self._cut(container)
            if last != _NOBODY:
                self._link(last, container)

    def _container_of(self, identifier: bytes, place: int) -> int:
        """The container of its Message ID. A message gets a new container if it has no Message ID, or if an
        earlier message has the same one."""
        container = self._containers.get(identifier, _NOBODY) if identifier else _NOBODY
        if container != _NOBODY and self._place[container] == _NOBODY:
            self._place[container] = place
            self._named_only -= 1
            return container
        new = self._new(place)
        if identifier:
            self._containers.setdefault(identifier, new)
        return new

    def _referenced(self, identifier: bytes) -> int:
        container = self._containers.get(identifier, _NOBODY)
        if container == _NOBODY and self._named_only < IMAP_THREAD_IDENTIFIERS_MAX:
            self._named_only += 1
            container = self._containers[identifier] = self._new(_NOBODY)
        return container

    def _new(self, place: int) -> int:
        container = len(self._place)
        self._place.append(place)
        self._parent.append(_NOBODY)
        self._set.append(container)
        self._size.append(1)
        return container

    def _link(self, parent: int, child: int) -> None:
        """Makes `parent` the parent of `child`, which has none yet, unless that would close a loop."""
        one, other = self._set_of(parent), self._set_of(child)
        if one == other:
            if one in self._broken and self._is_free_of(parent, child):
                self._parent[child] = parent
            return
        if self._size[one] < self._size[other]:
            one, other = other, one
        self._set[other] = one
        self._size[one] += self._size[other]
        if other in self._broken:
            self._broken.add(one)
        self._parent[child] = parent

    def _set_of(self, container: int) -> int:
        towards = self._set
        while (above := towards[container]) != container:
            towards[container] = container = towards[above]
        return container

    def _is_free_of(self, container: int, ancestor: int) -> bool:
        """Whether `ancestor` is neither `container` itself nor above it. False when the steps are used up."""
        while container not in (ancestor, _NOBODY):
            container = self._parent[container]
            self._steps += 1
            if self._steps > IMAP_THREAD_STEPS_MAX:
                return False
        return container == _NOBODY

    def _cut(self, child: int) -> None:
        if self._parent[child] != _NOBODY:
            self._parent[child] = _NOBODY
            self._broken.add(self._set_of(child))

    # When all messages are there

    def threads(self) -> Steps[Forest]:
        """RFC 5256 §3 (2) to (6)."""
        in_order = yield from sorted_in_steps(range(len(self._sent)), self._sent.__getitem__)
        rank = [0] * len(in_order)
        for at, place in enumerate(in_order):
            rank[place] = at
        yield
        grove = _Grove(rank, self._subjects, self._answers)
        for container, place in enumerate(self._place):  # (2), (3)
            if place != _NOBODY:
                above = self._kept_above(container)
                grove.put(place, above, self._place[above] if above != _NOBODY else _NOBODY)
            if container % IMAP_THREADED_IN_ONE_STEP == 0:
                yield
        return (yield from grove.gathered())

    def _kept_above(self, container: int) -> int:
        """The nearest container above that holds a message; if none does, the highest one, which is empty;
        `_NOBODY` if there is no container above."""
        parent, place = self._parent, self._place
        above = parent[container]
        passed = []
        while above != _NOBODY and place[above] == _NOBODY and parent[above] != _NOBODY:
            passed.append(above)
            above = parent[above]
        for each in passed:  # shortens the way for later calls
            parent[each] = above
        return above


class _Grove:
    """The threads while they are gathered: steps (3) to (6) of RFC 5256 §3. A root is the place of a message
    or, if negative, stands for a message that is missing: its children are `_missing[root]`."""

    def __init__(self, rank: Sequence[int], subjects: Sequence[str], answers: Sequence[int]) -> None:
        self._rank = rank
        self._subjects = subjects
        self._answers = answers
        self._children: dict[int, list[int]] = {}
        self._roots: list[int] = []
        self._missing: dict[int, list[int]] = {}
        self._lowest = _NOBODY

    def put(self, place: int, above: int, above_place: int) -> None:
        """Adds a message below the container `above`, or as a root if that is `_NOBODY`. The container holds
        the message at `above_place`, or is empty if that is `_NOBODY`."""
        if above == _NOBODY:
            self._roots.append(place)
        elif above_place != _NOBODY:
            self._children.setdefault(above_place, []).append(place)
        else:
            self._missing.setdefault(-2 - above, []).append(place)
            self._lowest = min(self._lowest, -2 - above)

    def gathered(self) -> Steps[Forest]:
        alone = [root for root, places in self._missing.items() if len(places) == 1]
        self._roots += [self._missing.pop(root)[0] for root in alone]
        self._roots += self._missing
        yield
        for at, places in enumerate(self._missing.values()):
            places.sort(key=self._rank.__getitem__)
            if at % IMAP_THREADED_IN_ONE_STEP == 0:
                yield
        roots = yield from sorted_in_steps(self._roots, self._rank_of)  # (4)
        roots = yield from self._merged(roots)  # (5)
        for at, places in enumerate((*self._children.values(), *self._missing.values())):  # (6)
            if len(places) > 1:
                places.sort(key=self._rank.__getitem__)
            if at % IMAP_THREADED_IN_ONE_STEP == 0:
                yield
        roots = yield from sorted_in_steps(roots, self._rank_of)
        return Forest([root if root >= 0 else tuple(self._missing[root]) for root in roots], self._children)

    def _first(self, root: int) -> int:
        return root if root >= 0 else self._missing[root][0]

    def _rank_of(self, root: int) -> int:
        return self._rank[self._first(root)]

    def _merged(self, roots: Sequence[int]) -> Steps[list[int]]:
        """(5) Threads of one subject become one."""
        heads: dict[str, int] = {}
        for at, root in enumerate(roots):  # (B)
            subject = self._subjects[self._first(root)]
            if subject:
                head = heads.setdefault(subject, root)
                if head >= 0 and (root < 0 or (self._answers[head] and not self._answers[root])):
                    heads[subject] = root
            if at % IMAP_THREADED_IN_ONE_STEP == 0:
                yield
        kept: dict[int, None] = {}
        for at, root in enumerate(roots):  # (C)
            subject = self._subjects[self._first(root)]
            if not subject or heads[subject] == root:
                kept[root] = None
            else:
                self._merge(root, subject, heads, kept)
            if at % IMAP_THREADED_IN_ONE_STEP == 0:
                yield
        return list(kept)

    def _merge(self, root: int, subject: str, heads: dict[str, int], kept: dict[int, None]) -> None:
        head = heads[subject]
        if head < 0:
            self._missing[head] += self._missing.pop(root) if root < 0 else [root]
        elif self._answers[root] and not self._answers[head]:
            self._children.setdefault(head, []).append(root)
        else:
            # Neither is above the other: both answer a message that is missing. The head has been met
            # already: (B) takes a later root only if that one is no answer and all roots before it were.
            del kept[head]
            self._lowest -= 1
            self._missing[self._lowest] = [head, root]
            heads[subject] = self._lowest
            kept[self._lowest] = None
