"""Random commands for a Mirror: what each does to the model, and what its answer must be, to the octet."""

from __future__ import annotations

from collections.abc import Callable

from tests.support.imap.client import Answer, Line
from tests.support.imap.letters import Letter, asked, letter
from tests.support.imap.mirror import Mirror, Step, ok
from tests.support.imap.model import SHARED, Message
from tests.support.imap.oracle import DAYS, KEYWORDS, SYSTEM, Candidate, key

FLAGS = SYSTEM + KEYWORDS
_ZONES = ("-1200", "+0000", "+1400")


def some(mirror: Mirror, *, uid: bool) -> tuple[str, list[int]]:
    """A set and the UIDs it names, in this client's picture, which holds some."""
    chance, uids = mirror.chance, mirror.uids
    places = sorted(chance.sample(range(len(uids)), chance.randint(1, min(5, len(uids)))))
    if chance.random() < 0.3:
        places = list(range(places[0], places[-1] + 1))
        ends = [uids[places[0]], uids[places[-1]]] if uid else [places[0] + 1, places[-1] + 1]
        if places[-1] == len(uids) - 1 and chance.random() < 0.5:
            return f"*:{ends[0]}", [uids[place] for place in places]
        chance.shuffle(ends)
        return f"{ends[0]}:{ends[1]}", [uids[place] for place in places]
    named = [uids[place] if uid else place + 1 for place in places]
    chance.shuffle(named)
    return ",".join(map(str, named)), [uids[place] for place in places]


def _flags(mirror: Mirror) -> frozenset[str]:
    return frozenset(mirror.chance.sample(FLAGS, mirror.chance.randint(0, 3)))


def quoted(name: str) -> str:
    """A folder's name as a client writes it (RFC 3501 §5.1.3)."""
    return '"' + name.replace("&", "&-").replace("É", "&AMk-").replace("é", "&AOk-") + '"'


def _status_of(mirror: Mirror, there: list[int], uids: list[int], *, by_uid: bool) -> str:
    return "OK" if by_uid or len(there) == len(uids) else "NO"


def append(mirror: Mirror) -> Step:
    chance, model = mirror.chance, mirror.model
    name = chance.choice([*SHARED, *SHARED, *model.folders])
    text, literals, made = f"APPEND {quoted(name)}", [], []
    for _ in range(chance.choice([1, 1, 1, 3])):
        model.written += 1
        flags, day, zone = _flags(mirror), chance.choice(DAYS), chance.choice(_ZONES)
        text += f' ({" ".join(flags)}) "{day:%d-%b-%Y} 23:30:00 {zone}" \n'
        literals.append(letter(model.written).content)
        received = f"{day.day:2d}-{day:%b-%Y} 23:30:00 {zone}"
        made.append(Message(model.written, flags, received, day))
    if name not in model.folders:
        name = "INBOX"
    uids: list[int] = []

    def act() -> None:
        uids.extend(model.folders[name].add(message) for message in made)

    def check(answer: Answer) -> None:
        ok(answer)
        assert expanded((answer.code or "").split()[2]) == uids

    return Step(text, check, act, tuple(literals))


def store(mirror: Mirror) -> Step | None:
    if not mirror.uids:
        return None
    chance = mirror.chance
    by_uid, flags, silent = chance.random() < 0.5, _flags(mirror), chance.random() < 0.4
    text, uids = some(mirror, uid=by_uid)
    mode = chance.choice(["+", "-", ""])
    there: list[int] = []

    def act() -> None:
        there.extend(uid for uid in uids if uid in mirror.truth)
        if mirror.read_only:
            return
        for uid in there:
            mirror.truth[uid].flags = stored(mode, mirror.truth[uid].flags, flags)
            if silent:  # the client's own idea, unless it is told
                mirror.flags[uid] = stored(mode, mirror.flags[uid], flags)

    def check(answer: Answer) -> None:
        if mirror.read_only:
            assert (answer.status, answer.code) == ("NO", "READ-ONLY")
            return
        assert answer.status == _status_of(mirror, there, uids, by_uid=by_uid), answer
        if not silent:
            assert len(answer.named("FETCH")) >= len(there)

    command = f"{'UID ' * by_uid}STORE {text} {mode}FLAGS{'.SILENT' * silent} ({' '.join(flags)})"
    return Step(command, check, act, expunges=by_uid or mirror.read_only)


def stored(mode: str, old: frozenset[str], flags: frozenset[str]) -> frozenset[str]:
    return old | flags if mode == "+" else old - flags if mode == "-" else flags


_PLAIN: dict[str, Callable[[Message, Letter], object]] = {
    "INTERNALDATE": lambda message, letter: message.received.encode(),
    "RFC822.SIZE": lambda message, letter: str(len(letter.content)),
}


def fetch(mirror: Mirror) -> Step | None:
    if not mirror.uids:
        return None
    chance = mirror.chance
    by_uid = chance.random() < 0.5
    text, uids = some(mirror, uid=by_uid)
    plain = chance.sample(
        ["UID", "FLAGS", "ENVELOPE", "BODYSTRUCTURE", "BODY", *_PLAIN], chance.randint(0, 4)
    )
    sections = {each.label: each for each in (asked(chance) for _ in range(chance.randint(0, 3)))}
    items = [*plain, *(section.item for section in sections.values())] or ["FLAGS"]
    chance.shuffle(items)
    reads = any(section.reads for section in sections.values()) and not mirror.read_only
    there: list[int] = []

    def act() -> None:
        there.extend(uid for uid in uids if uid in mirror.truth)
        for uid in there:
            if reads:
                mirror.truth[uid].flags |= {r"\Seen"}

    def check(answer: Answer) -> None:
        assert answer.status == _status_of(mirror, there, uids, by_uid=by_uid), answer
        wanted = {*plain, *sections} | ({"UID"} if by_uid else set()) or {"FLAGS"}
        told = [line.items() for line in answer.named("FETCH") if wanted <= set(line.items())][: len(there)]
        assert len(told) == len(there), f"{len(there)} asked, {answer.lines}"
        for uid, found in zip(there, told, strict=True):
            message = mirror.truth[uid]
            made = letter(message.number)
            for label, section in sections.items():
                assert found[label] == section.expected(made), (label, uid)
            for name in set(plain) & set(_PLAIN):
                assert found[name] == _PLAIN[name](message, made), (name, uid)
            _structure(found, made)

    return Step(f"{'UID ' * by_uid}FETCH {text} ({' '.join(items)})", check, act, expunges=by_uid)


def _structure(found: dict[str, object], made: Letter) -> None:
    if isinstance(envelope := found.get("ENVELOPE"), list):
        assert made.subject.encode() in envelope[1]
        assert envelope[2][0][2:] == [made.sender.encode(), b"a.test"]
        assert (envelope[5] is None) is (made.recipient is None)
    for name in ("BODY", "BODYSTRUCTURE"):
        if isinstance(body := found.get(name), list):
            parts = [part for part in body if isinstance(part, list)] if isinstance(body[0], list) else [body]
            sizes = [int(part[6]) for part in parts if len(part) > 6]
            assert sizes == [len(made.sections[each]) for each in ("1", "2") if each in made.sections]


def search(mirror: Mirror) -> Step:
    chance = mirror.chance
    by_uid, wanted = chance.random() < 0.5, key(chance, mirror.uids)
    view = list(mirror.uids)
    options = [each for each in ("MIN", "MAX", "ALL", "COUNT") if chance.random() < 0.4]
    extended = chance.random() < 0.3
    returns = f"RETURN ({' '.join(options)}) " if extended else ""
    text = f"{'UID ' * by_uid}SEARCH {returns}{wanted.text}"
    expected: list[int] = []

    def act() -> None:
        for number, uid in enumerate(view, 1):
            if uid in mirror.truth:
                message = mirror.truth[uid]
                one = Candidate(number, uid, letter(message.number), message.flags, message.day)
                if wanted.test(one):
                    expected.append(uid if by_uid else number)

    def check(answer: Answer) -> None:
        ok(answer)
        if not extended:
            assert answer.numbers() == expected, (text, wanted.literals)
            return
        _esearch(answer.one("ESEARCH"), options or ["ALL"], expected)

    # RFC 7162 §3.2.10.2: a UID SEARCH that names message numbers is one of those they must not shift under.
    return Step(text, check, act, wanted.literals, expunges=by_uid and not wanted.numbers)


def _esearch(line: Line, options: list[str], expected: list[int]) -> None:
    told = [str(value) for value in line.values[1:] if value != "UID"]
    found = dict(zip(told[::2], told[1::2], strict=True))
    names = set(options) if expected else set(options) & {"COUNT"}
    assert set(found) == names
    if "COUNT" in names:
        assert found["COUNT"] == str(len(expected))
    if "ALL" in names:
        assert expanded(found["ALL"]) == expected
    for name, place in (("MIN", 0), ("MAX", -1)):
        if name in names:
            assert found[name] == str(expected[place])


def copy(mirror: Mirror) -> Step | None:
    if not mirror.uids:
        return None
    chance, source = mirror.chance, mirror.folder or ""
    by_uid, move = chance.random() < 0.6, chance.random() < 0.4
    text, uids = some(mirror, uid=by_uid)
    target = chance.choice([*SHARED, *SHARED, *mirror.model.folders])
    pairs: list[tuple[int, int]] = []
    outcome: list[str] = []

    def act() -> None:
        if move and mirror.read_only:
            outcome.append("READ-ONLY")
        elif not by_uid and not set(uids) <= set(mirror.truth):
            outcome.append("EXPUNGEISSUED")
        else:
            pairs.extend(mirror.model.copy(source, uids, target, move=move))

    def check(answer: Answer) -> None:
        assert (answer.status == "NO", [answer.code] * len(outcome)) == (bool(outcome), outcome), answer
        if pairs:
            _, old, new = answer.codes()["COPYUID"].split()
            assert list(zip(expanded(old), expanded(new), strict=True)) == pairs

    return Step(f"{'UID ' * by_uid}{'MOVE' if move else 'COPY'} {text} {quoted(target)}", check, act)


def expunge(mirror: Mirror) -> Step:
    text, named = "EXPUNGE", None
    if mirror.uids and mirror.chance.random() < 0.5:
        numbers, named = some(mirror, uid=True)
        text = f"UID EXPUNGE {numbers}"

    def act() -> None:
        if not mirror.read_only:
            mirror.model.expunge(mirror.folder or "", mirror.truth if named is None else named)

    return Step(text, lambda answer: _written(mirror, answer), act)


def _written(mirror: Mirror, answer: Answer) -> None:
    assert (answer.status, answer.code == "READ-ONLY") == (
        ("NO", True) if mirror.read_only else ("OK", False)
    ), answer


def status(mirror: Mirror) -> Step:
    name = mirror.chance.choice(list(mirror.model.folders))
    items = mirror.chance.sample(["MESSAGES", "UIDNEXT", "UNSEEN", "DELETED"], mirror.chance.randint(1, 4))
    expected: dict[str, int] = {}

    def check(answer: Answer) -> None:
        ok(answer)
        told = {item: int(value) for item, value in answer.one("STATUS").items().items()}
        assert told == {item: expected[item] for item in items}

    text = f"STATUS {quoted(name)} ({' '.join(items)})"
    return Step(text, check, lambda: expected.update(mirror.model.counts(name)))


def noop(mirror: Mirror) -> Step:
    return Step(mirror.chance.choice(["NOOP", "CHECK"]), ok)


def expanded(text: str) -> list[int]:
    """The numbers of a set that a server has written."""
    found: list[int] = []
    for piece in text.split(","):
        low, _, high = piece.partition(":")
        found += range(int(low), int(high or low) + 1)
    return found
