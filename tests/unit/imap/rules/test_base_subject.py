"""Base subjects (RFC 5256 §2.1), also against a slow reading of the RFC's own words."""

from __future__ import annotations

import re
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mssante.imap.rules.base_subject import base_subject
from tests.unit.imap.spoken import fastest

_CASES = [
    ("Compte rendu", "Compte rendu", False),
    ("Re: Compte rendu", "Compte rendu", True),
    ("RE : Compte rendu", "Compte rendu", True),
    ("Re[2]: Compte rendu", "Compte rendu", True),
    ("re [liste] : Compte rendu", "Compte rendu", True),
    ("Fw: Fwd: fWd: Compte rendu", "Compte rendu", True),
    ("[liste] Compte rendu", "Compte rendu", False),
    ("[liste][x] [y]  Re: Compte  \t rendu", "Compte rendu", True),
    ("Re: [liste] Re: [x] Compte rendu", "Compte rendu", True),
    ("[liste]", "[liste]", False),
    ("[liste] [x]", "[x]", False),
    ("Re: [liste]", "[liste]", True),
    ("Compte rendu (fwd)", "Compte rendu", True),
    ("Compte rendu (fwd) (FWD)  ", "Compte rendu", True),
    ("(fwd)", "", True),
    ("(fwd) Compte rendu", "(fwd) Compte rendu", False),
    ("[Fwd: Compte rendu]", "Compte rendu", True),
    ("[Fwd: Re: [liste] Compte rendu (fwd)]", "Compte rendu", True),
    ("[fwd: [FWD: Compte rendu]]", "Compte rendu", True),
    ("[fwd: Compte] rendu", "rendu", False),
    ("[fwd:]", "", True),
    ("Re:", "", True),
    ("   ", "", False),
    ("", "", False),
    ("Re: Re", "Re", True),
    ("Rendez-vous", "Rendez-vous", False),
    ("Ref: dossier", "Ref: dossier", False),
    ("Rép: dossier", "Rép: dossier", False),
    ("TR: dossier", "TR: dossier", False),
    ("Re;: dossier", "Re;: dossier", False),
    ("[a[b] Re: dossier", "[a[b] Re: dossier", False),
    ("]Re: dossier", "]Re: dossier", False),
    ("Re[a][b]: dossier", "Re[a][b]: dossier", False),
    ("Objet\r\n suite", "Objet suite", False),
]


@pytest.mark.parametrize(("subject", "base", "answers"), _CASES)
def test_base_subjects(subject: str, base: str, answers: bool) -> None:
    assert base_subject(subject) == (base, answers)


_TRAILER = re.compile(r"(\(fwd\)|[ \t])\Z", re.IGNORECASE)
_LEADER = re.compile(r"((\[[^\[\]]*\][ \t]*)*(re|fwd?)[ \t]*(\[[^\[\]]*\][ \t]*)?:|[ \t])", re.IGNORECASE)
_BLOB = re.compile(r"\[[^\[\]]*\][ \t]*")


def slow(subject: str) -> tuple[str, bool]:
    """RFC 5256 §2.1, one removal at a time."""
    text, answers = re.sub("[ \t]+", " ", subject), False
    while True:
        while found := _TRAILER.search(text):
            answers |= found[0].lower() == "(fwd)"
            text = text[: found.start()]
        while True:
            if found := _LEADER.match(text):
                answers |= found[0] not in " \t"
            elif not ((found := _BLOB.match(text)) and text[found.end() :].strip()):
                break
            text = text[found.end() :]
        if not (text.lower().startswith("[fwd:") and text.endswith("]")):
            return text, answers
        text, answers = text[5:-1], True


_PIECES = st.sampled_from(
    ["Re", "re:", "fw", "FWD:", ":", "[", "]", "[fwd:", "(fwd)", " ", "\t", "a", "é", "[2]"]
)


@given(st.lists(_PIECES, max_size=14).map("".join))
@settings(max_examples=500)
def test_it_is_as_the_rfc_says_step_by_step(subject: str) -> None:
    assert base_subject(subject) == slow(subject)


@given(st.lists(_PIECES, max_size=14).map("".join))
def test_a_base_subject_is_its_own_base(subject: str) -> None:
    base, _ = base_subject(subject)
    assert base_subject(base)[0] == base


@pytest.mark.parametrize(
    "piece", ["[a]", "re:", "(fwd)", "[fwd:", "[", "]", "re[", "[a] ", "[fwd:a]", "re [a]", " ", "\t "]
)
def test_hostile_subjects_take_linear_time(piece: str) -> None:
    for end in ("", "x", "]" * 20_000):
        subject = piece * (60_000 // len(piece)) + end
        assert fastest(partial(base_subject, subject), 2) < 0.3
