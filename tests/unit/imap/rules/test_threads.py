"""THREAD's algorithms (RFC 5256 §3): what the RFC says of each case, and the fast one against a slow one."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mssante import limits
from mssante.imap.grammar.casemap import casemap
from mssante.imap.rules import threads as module
from mssante.imap.rules.base_subject import base_subject
from mssante.imap.rules.threads import Forest, References, ancestry, identifiers, ordered_subject
from tests.unit.imap.rules.slow_threads import Letter, threads
from tests.unit.imap.spoken import done, fastest


def forest(letters: list[Letter]) -> Forest:
    references = References()
    for letter in letters:
        base, answers = base_subject(letter.subject)
        references.add(
            sent=letter.sent,
            subject=casemap(base),
            answers=answers,
            identifier=(letter.identifier or "").encode(),
            references=[each.encode() for each in letter.references],
        )
    return done(references.threads())


def fast(letters: list[Letter]) -> str:
    return done(forest(letters).render([letter.number for letter in letters])).decode()


def letter(
    number: int, identifier: str | None, *references: str, subject: str = "", sent: int | None = None
) -> Letter:
    return Letter(number, number if sent is None else sent, subject, identifier, references)


def test_answers_stand_below_what_they_answer() -> None:
    letters = [letter(1, "a"), letter(2, "b", "a"), letter(3, "c", "a", "b"), letter(4, "d", "a")]
    assert fast(letters) == "(1 (2 3)(4))"


def test_who_is_not_there_is_stood_for_only_by_several_answers() -> None:
    assert fast([letter(1, "b", "a"), letter(2, "c", "a")]) == "((1)(2))"
    assert fast([letter(1, "b", "a")]) == "(1)"


def test_those_between_who_are_not_there_are_left_out() -> None:
    assert fast([letter(1, "a"), letter(2, "d", "a", "b", "c")]) == "(1 2)"
    assert fast([letter(1, "a"), letter(2, "c", "a", "b"), letter(3, "d", "a", "b")]) == "(1 (2)(3))"


def test_an_answer_may_come_before_what_it_answers() -> None:
    assert fast([letter(1, "b", "a"), letter(2, "a")]) == "(2 1)"


def test_a_cut_list_of_references_gives_way_to_the_message_itself() -> None:
    # c's references lack b, and come first; then c' own parent is b, as c itself says.
    letters = [letter(1, "d", "a", "c"), letter(2, "c", "a", "b"), letter(3, "a"), letter(4, "b", "a")]
    assert fast(letters) == "(3 4 2 1)"


def test_a_message_that_says_it_answers_nobody_has_no_parent() -> None:
    assert fast([letter(1, "c", "a", "b"), letter(2, "b"), letter(3, "a")]) == "(2 1)(3)"


def test_loops_are_not_closed() -> None:
    assert fast([letter(1, "a", "b"), letter(2, "b", "a")]) == "(2 1)"
    assert fast([letter(1, "a", "a")]) == "(1)"
    assert fast([letter(1, "a", "b", "c", "b"), letter(2, "b"), letter(3, "c", "b")]) == "(2 (1)(3))"


def test_the_first_of_two_with_one_message_id_has_it() -> None:
    assert fast([letter(1, "a"), letter(2, "a"), letter(3, "b", "a")]) == "(1 3)(2)"


def test_message_ids_are_compared_with_case() -> None:
    assert fast([letter(1, "a"), letter(2, "b", "A")]) == "(1)(2)"


def test_threads_of_one_subject_are_one() -> None:
    one, other = letter(1, "a", subject="Dossier"), letter(2, "b", subject="Re: dossier")
    assert fast([one, other]) == "(1 2)"
    assert fast([letter(1, "a", subject="Re: Dossier"), letter(2, "b", subject="dossier")]) == "(2 1)"
    assert fast([one, letter(2, "b", subject="DOSSIER")]) == "((1)(2))"
    assert fast([letter(1, "a", subject="Re: x"), letter(2, "b", subject="Fwd: x")]) == "((1)(2))"


def test_an_empty_subject_gathers_nobody() -> None:
    assert fast([letter(1, "a", subject="Re:"), letter(2, "b", subject="")]) == "(1)(2)"


def test_messages_that_answer_somebody_missing_take_in_those_of_their_subject() -> None:
    missing = [letter(1, "b", "a", subject="x"), letter(2, "c", "a", subject="y")]
    assert fast([*missing, letter(3, "d", subject="x")]) == "((1)(2)(3))"
    more = [letter(3, "e", "z", subject="x"), letter(4, "f", "z", subject="q")]
    assert fast([*missing, *more]) == "((1)(2)(3)(4))"


def test_every_level_is_in_order_of_date_then_of_the_mailbox() -> None:
    letters = [
        letter(1, "a", sent=50),
        letter(2, "b", "a", sent=40),
        letter(3, "c", "a", sent=30),
        letter(4, "d", "a", sent=30),
        letter(5, "e", sent=10),
        letter(6, "g", "f", sent=45),
        letter(7, "h", "f", sent=5),
    ]
    assert fast(letters) == "((7)(6))(5)(1 (3)(4)(2))"


_NAMES = st.sampled_from("abcdefgh")
_SUBJECTS = st.sampled_from(["", "x", "y", "Re: x", "X", "Fwd: y", "[liste] x", "re: Y"])


@st.composite
def mailboxes(draw: st.DrawFn) -> list[Letter]:
    count = draw(st.integers(0, 9))
    return [
        Letter(
            number,
            draw(st.integers(0, 4)),
            draw(_SUBJECTS),
            draw(st.none() | _NAMES),
            tuple(draw(st.lists(_NAMES, max_size=4))),
        )
        for number in range(1, count + 1)
    ]


@given(mailboxes())
@example([letter(1, "a", "b", "c"), letter(2, "b", "d"), letter(3, "c", "a"), letter(4, "d", "c", "b", "a")])
@settings(max_examples=500)
def test_the_fast_one_gives_what_the_slow_one_gives(letters: list[Letter]) -> None:
    assert fast(letters) == threads(letters)


@pytest.mark.campaign
@given(mailboxes())
@settings(max_examples=20_000)
def test_the_fast_one_gives_what_the_slow_one_gives_long(letters: list[Letter]) -> None:
    assert fast(letters) == threads(letters)


@given(mailboxes())
def test_every_message_is_in_one_thread(letters: list[Letter]) -> None:
    numbers = fast(letters).replace("(", " ").replace(")", " ").split()
    assert sorted(map(int, numbers)) == [each.number for each in letters]


def chain(count: int) -> list[Letter]:
    return [letter(n, f"m{n}", f"m{n - 1}") for n in range(1, count + 1)]


def crosswise(count: int) -> list[Letter]:
    """Even ones first: each odd one then joins what is above it to what is below."""
    ways = chain(count)
    joined = [*ways[1::2], *ways[::2]]
    return [letter(n, each.identifier, *each.references) for n, each in enumerate(joined, 1)]


def broken(count: int) -> list[Letter]:
    """A long chain whose links are broken; its lowest is asked to be above its highest, again and again."""
    below = [letter(n, f"x{n}", "m1", f"m{count - 1}", "m1") for n in range(1, count)]
    torn = [Letter(count, 0, "", "torn", ()), letter(count, "y", "m3", "torn")]
    return [*chain(count), *torn, *below]


def wide(count: int) -> list[Letter]:
    """As many names as may be, of messages that are not there."""
    return [letter(n, f"m{n}", *(f"m{n}r{at}" for at in range(40))) for n in range(1, count // 40)]


def sunken(count: int) -> list[Letter]:
    """Many answers to the last of a long chain of messages that are not there."""
    steps = range(0, count // 10, 90)
    above = [letter(n, f"m{n}", *(f"r{at + step}" for at in range(91))) for n, step in enumerate(steps, 1)]
    last = f"r{steps[-1] + 90}"
    return above + [letter(n, f"m{n}", last) for n in range(len(above) + 1, count)]


@pytest.mark.parametrize(
    "make", [chain, lambda n: list(reversed(chain(n))), crosswise, broken, wide, sunken], ids=range(6)
)
def test_hostile_references_take_linear_time(make: object) -> None:
    assert callable(make)
    letters = make(30_000)
    assert fastest(lambda: forest(letters), 1) < 8  # half a second here; squares would be hours
    assert len(done(forest(letters).render(range(1, len(letters) + 1)))) > len(letters)


def test_names_of_nobody_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "IMAP_THREAD_IDENTIFIERS_MAX", 2)
    letters = [letter(1, "a", "p", "q", "r"), letter(2, "b", "s"), letter(3, "c", "s"), letter(4, "d", "p")]
    assert fast(letters) == "((1)(4))(2)(3)"


def test_a_walk_up_broken_links_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    letters = [letter(1, "c", "a", "b"), letter(2, "b"), letter(3, "e", "c", "a")]
    assert fast(letters) == "(2 1 3)"
    monkeypatch.setattr(module, "IMAP_THREAD_STEPS_MAX", 0)
    assert fast(letters) == "(2 1)(3)"


# Message IDs


def test_quoting_makes_no_difference() -> None:
    # RFC 5256 §3's own example.
    assert identifiers(b'<"01KF8JCEOCBS0045PS"@xxx.yyy.com>') == identifiers(
        b"<01KF8JCEOCBS0045PS@xxx.yyy.com>"
    )
    assert identifiers(rb'<"a\b c"@d>') == [b"ab c@d"]
    assert identifiers(rb'<a."b\"".c@d>') == [b'a.b".c@d']


@pytest.mark.parametrize(
    "value", [b"", b"a@b", b"<a>", b"<@b>", b"<a@>", b"<a b@c>", b"<a@b", b'<"a@b>', b"<a@b c>", b"<>"]
)
def test_what_is_no_message_id_is_passed_over(value: bytes) -> None:
    assert identifiers(value) == []
    assert identifiers(value + b" <x@y>") == [b"x@y"]


def test_references_come_before_in_reply_to_of_which_only_the_first_counts() -> None:
    assert ancestry(b"<a@b> (x) <c@d>", b"<e@f>") == [b"a@b", b"c@d"]
    assert ancestry(b"none <valid>", b"Marie <x> of <e@f> <g@h>") == [b"e@f"]
    assert ancestry(b"", b"Marie's message of Monday") == []


def test_only_the_nearest_ancestors_are_read() -> None:
    many = [b"<%d@b>" % n for n in range(limits.IMAP_THREAD_REFERENCES_MAX + 5)]
    assert identifiers(b" ".join(many)) == [each[1:-1] for each in many[5:]]


@pytest.mark.parametrize(
    "piece", [b"<", b'<"', b"<a@", b'"', rb"<\"", b"<a", b'<"\\', b'<"a"', b"\\", b'<"<"x']
)
def test_hostile_references_fields_take_linear_time(piece: bytes) -> None:
    assert fastest(lambda: identifiers(piece * 30_000), 2) < 0.5


# ORDEREDSUBJECT and rendering


def test_ordered_subject_gathers_by_subject_below_the_earliest() -> None:
    subjects = ["A", "B", "A", "", "A", ""]
    sent = [30, 20, 10, 40, 10, 40]
    found = done(ordered_subject(subjects, sent))
    assert done(found.render(range(1, 7))) == b"(3 (5)(1))(2)(4 6)"


@given(st.lists(st.tuples(st.sampled_from("ABC"), st.integers(0, 5)), max_size=12))
def test_ordered_subject_is_as_the_rfc_says(rows: list[tuple[str, int]]) -> None:
    # Sorted by subject and date, split by subject, the threads sorted by the date of their first.
    in_order = sorted((subject, sent, place) for place, (subject, sent) in enumerate(rows))
    threads: dict[str, list[tuple[int, int]]] = {}
    for subject, sent, place in in_order:
        threads.setdefault(subject, []).append((sent, place))
    text = ""
    for thread in sorted(threads.values()):
        first, *others = [str(place) for _, place in thread]
        rest = f" {others[0]}" if len(others) == 1 else " " + "".join(f"({each})" for each in others)
        text += f"({first}{rest if others else ''})"
    found = done(ordered_subject([subject for subject, _ in rows], [sent for _, sent in rows]))
    assert done(found.render(range(len(rows)))).decode() == text


def test_the_example_of_the_thread_response() -> None:
    found = Forest([2, 3], {3: [6], 6: [4, 44], 4: [23], 44: [7], 7: [96]})
    assert done(found.render(range(100))) == b"(2)(3 6 (4 23)(44 7 96))"
    assert done(Forest([(3, 5)], {}).render(range(9))) == b"((3)(5))"


def test_branches_nest_however_deep() -> None:
    count = 100_000
    children = {n: [n + 1, n + 2] for n in range(0, count, 2)}
    text = done(Forest([0], children).render(range(count + 2)))
    assert text.count(b"(") == text.count(b")") == count + 1
