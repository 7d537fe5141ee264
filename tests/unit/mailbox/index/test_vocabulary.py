"""mssante.mailbox.index.vocabulary: what a segment holds of a needle is what the texts hold."""

from __future__ import annotations

import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mssante.limits import INDEX_WORDS_OCTETS_MAX
from mssante.mailbox.index.vocabulary import (
    MESSAGES_MAX,
    MessageWords,
    Needle,
    OtherVersion,
    Segment,
    laid_out,
)
from mssante.mime.folding import fold

words = st.text(st.sampled_from("abcé'-œ9"), min_size=1, max_size=4)
texts = st.lists(words | st.just("\0"), max_size=8).map(" ".join)
mail = st.lists(st.tuples(texts, texts), min_size=1, max_size=40)
needles = st.text(st.sampled_from("abcé'9 "), min_size=1, max_size=6)


def segment(post: list[tuple[str, str]], version: int = 1) -> Segment:
    return Segment(laid_out([MessageWords.of(n, *each) for n, each in enumerate(post)], version), version)


@settings(max_examples=300)
@given(mail, needles, st.booleans(), st.booleans())
def test_what_is_found_is_what_the_texts_hold(
    post: list[tuple[str, str]], needle: str, header: bool, body: bool
) -> None:
    post = [(fold(one), fold(two)) for one, two in post]
    needle = fold(needle)
    holding = {
        n for n, (one, two) in enumerate(post) if (header and needle in one) or (body and needle in two)
    }
    read = segment(post)
    sure, maybe = (
        set(read.numbers_at(bits)) for bits in read.find(Needle.of(needle), header=header, body=body)
    )
    if " " in needle:
        assert not sure
        assert holding <= maybe or not (header or body)
    else:
        assert sure == holding
        assert not maybe


def test_many_words_and_many_messages() -> None:
    post = [(f"h{n}", " ".join(f"m{n * k % 997}" for k in range(300))) for n in range(MESSAGES_MAX)]
    read = segment(post)
    for needle in ("m5", "m99", "h1", "7", "m", "absent", "m996"):
        sure, _ = read.find(Needle.of(needle), header=True, body=True)
        assert read.numbers_at(sure) == [n for n, (h, b) in enumerate(post) if needle in h or needle in b]
    assert read.words() == [MessageWords.of(n, *each) for n, each in enumerate(post)]


@given(mail)
def test_a_segment_gives_back_what_it_was_made_of(post: list[tuple[str, str]]) -> None:
    made = [MessageWords.of(n, *each) for n, each in enumerate(post)]
    assert segment(post).words() == made


def test_blanks_in_a_needle_narrow_by_the_edges_of_words() -> None:
    bodies = ("compte rendu", "compte-rendu", "rendu compte", "un compte\0rendu")
    read = segment([("", body) for body in bodies])
    for needle, expected in (
        ("compte rendu", {0, 3}),
        ("pte ren", {0, 3}),
        ("u c", {2}),
        (" compte ", {0, 2, 3}),
        (" ", {0, 1, 2, 3}),
    ):
        sure, maybe = read.find(Needle.of(needle), header=True, body=True)
        assert not sure
        assert expected <= set(read.numbers_at(maybe)), needle
    assert read.find(Needle.of("rendu x"), header=False, body=True) == (0, 0)


def test_too_many_words_are_never_decided() -> None:
    long = " ".join(f"{n:09}" for n in range(INDEX_WORDS_OCTETS_MAX // 10 + 1))
    read = segment([("a", "b"), ("a", long)])
    assert read.find(Needle.of("absent"), header=True, body=True) == (0, 2)
    assert read.find(Needle.of("a"), header=True, body=True) == (1, 2)
    assert read.words()[1] == MessageWords(1, None, None)


def test_another_version_is_not_read() -> None:
    octets = laid_out([MessageWords.of(1, "a", "b")], 1)
    with pytest.raises(OtherVersion):
        Segment(octets, 2)


def test_a_segment_read_on_another_machine_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    made = [MessageWords.of(n, "a b", f"c{n}") for n in range(3)]
    octets = laid_out(made, 1)
    monkeypatch.setattr(sys, "byteorder", "big" if sys.byteorder == "little" else "little")
    assert laid_out(made, 1) != octets


def test_words_are_not_shown() -> None:
    assert "canari" not in repr(MessageWords.of(1, "canari", "canari"))
    assert "canari" not in repr(Needle.of("canari"))
