"""Thunderbird against the demo: a personal and an organisational mailbox, all that a secretary does in a day.

`make thunderbird` runs it and renews docs/screenshots (MSSANTE_SCREENSHOTS names another folder). One
session: the tests run in the order written, each on what the one before left.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from mssante.demo.operator import DemoLogin
from tests.clients.thunderbird_post import Post, wait_until
from tests.clients.thunderbird_program import Thunderbird, missing

pytestmark = pytest.mark.client

RESULTS = [f"Résultats de biologie n° {n}" for n in range(1, 8)]
TEXT = "Chère consœur, cher confrère,\n\nvoici les résultats n° {n} de notre patiente fictive : {what}.\n"
WHAT = ["hémoglobine 13,2 g/dL", "créatinine 78 µmol/L", "glycémie à jeun 5,1 mmol/L", "CRP < 1 mg/L"]
PROJECT = "Projet é&"
SHOTS = Path(
    os.environ.get("MSSANTE_SCREENSHOTS", Path(__file__).resolve().parents[2] / "docs" / "screenshots")
)


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimpleNamespace]:
    """Two operators with letters in the mailboxes of B, and Thunderbird on its own screen."""
    assert not missing(), f"`make thunderbird` installs {', '.join(missing())}"
    work = tmp_path_factory.mktemp("thunderbird")
    with asyncio.Runner() as runner:
        post = runner.run(Post.open(work / "demo"))
        try:
            report = runner.run(post.story.exchange())
            assert report["read_back_equal"]
            for n, subject in enumerate(RESULTS):
                post.write(subject, TEXT.format(n=n + 1, what=WHAT[n % 4]), post.etienne, post.centre)
            for login in (post.etienne, post.centre):
                for subject in RESULTS:
                    post.arrived(login, subject)
            program = Thunderbird.open(work / "thunderbird", post.ca_file)
            try:
                yield SimpleNamespace(post=post, program=program, call=program.call)
            finally:
                program.close()
        finally:
            runner.run(post.story.end())


def test_both_mailboxes_are_configured_and_listed(day: SimpleNamespace) -> None:
    for login, name in ((day.post.etienne, "Dr Étienne L’Hévéder"), (day.post.centre, "Centre de santé")):
        day.call("configure", day.post.settings(login, name))
    etienne = day.call("sync", day.post.etienne.address)
    centre = day.call("sync", day.post.centre.address)
    assert (etienne["total"], etienne["unread"], centre["total"]) == (8, 8, 7)
    assert set(etienne["folders"]) == {"INBOX", "Archive", "Drafts", "Junk", "Sent", "Trash"}


def test_the_letter_is_listed_and_opened(day: SimpleNamespace) -> None:
    (subject,) = set(day.post.subjects(day.post.etienne)) - set(RESULTS)
    assert "DUMONT-TEST Élodie" in subject
    shown = day.call("show", day.post.etienne.address, subject)
    day.program.photograph(SHOTS / "thunderbird-personal.png")
    assert (shown["rows"], shown["subject"]) == (8, subject)
    assert "Chère consœur, cher confrère" in shown["text"]


def test_the_organisational_mailbox_shows_its_letters_too(day: SimpleNamespace) -> None:
    shown = day.call("show", day.post.centre.address, RESULTS[0])
    day.program.photograph(SHOTS / "thunderbird-organisational.png")
    assert (shown["rows"], shown["subject"]) == (7, RESULTS[0])
    assert "hémoglobine" in shown["text"]


def _await_flags(post: Post, login: DemoLogin, subject: str, wanted: set[str]) -> None:
    wait_until(f"{wanted}", lambda: wanted <= post.flags(login, subject))


def test_read_flagged_and_tagged_stay_so_on_the_server(day: SimpleNamespace) -> None:
    post, one, two, three = day.post, *RESULTS[:3]
    for login in (post.etienne, post.centre):
        day.call("read", login.address, [one])
        day.call("flag", login.address, [two])
        day.call("tag", login.address, [three], "$label1 dossier")
        for subject, wanted in ((one, {"\\Seen"}), (two, {"\\Flagged"}), (three, {"$label1", "dossier"})):
            _await_flags(post, login, subject, wanted)
    assert "\\Flagged" not in post.flags(post.etienne, one)


def test_a_folder_with_an_accent_and_an_ampersand(day: SimpleNamespace) -> None:
    day.call("createFolder", day.post.etienne.address, PROJECT)
    wait_until("the folder", lambda: PROJECT in day.post.folders(day.post.etienne))


def test_copied_moved_deleted(day: SimpleNamespace) -> None:
    post, address = day.post, day.post.etienne.address
    day.call("transfer", address, RESULTS[:2], PROJECT, False)
    day.call("lists", address, PROJECT, RESULTS[:2])
    day.call("transfer", address, RESULTS[3:5], PROJECT, True)
    day.call("lists", address, PROJECT, [*RESULTS[:2], *RESULTS[3:5]])
    assert post.subjects(post.etienne, PROJECT) == [*RESULTS[:2], *RESULTS[3:5]]
    day.call("remove", address, RESULTS[5:6])
    wait_until("the Trash", lambda: post.subjects(post.etienne, "Trash") == RESULTS[5:6])
    left = set(post.subjects(post.etienne))
    assert left & set(RESULTS) == {*RESULTS[:3], RESULTS[6]}


@pytest.mark.parametrize(
    ("where", "words", "found"),
    [
        ("Subject", "Résultats de biologie n° 2", RESULTS[1:2]),
        ("Subject", "résultats", [*RESULTS[:3], RESULTS[6]]),
        ("Body", "hémoglobine", RESULTS[:1]),
        ("Body", "5,1 mmol", [RESULTS[2], RESULTS[6]]),
        ("Body", "introuvable", []),
    ],
)
def test_searched_on_the_server(day: SimpleNamespace, where: str, words: str, found: list[str]) -> None:
    assert day.call("search", day.post.etienne.address, where, words) == found


def test_a_draft_is_kept_on_the_server(day: SimpleNamespace) -> None:
    post = day.post
    subject = "Brouillon à compléter"
    day.call("draft", post.etienne.address, post.camille.address, subject, "Chère Camille, ébauche…")
    assert post.subjects(post.etienne, "Drafts") == [subject]
    assert "Chère Camille" in post.text(post.etienne, subject, "Drafts")


def _await_reply(post: Post, login: DemoLogin, written: str, count: int) -> None:
    """In its writer's Sent, and the `count`-th at A."""
    wait_until("Sent", lambda: post.subjects(login, "Sent") == [written])
    wait_until("the letter at A", lambda: post.subjects(post.camille) == [written] * count)


def test_a_reply_reaches_the_other_operator_over_mutual_tls(day: SimpleNamespace) -> None:
    post = day.post
    written = f"Re: {RESULTS[0]}"
    for count, login in enumerate((post.etienne, post.centre), 1):
        words = f"Merci beaucoup, bien reçu ({login.address})."
        assert day.call("reply", login.address, RESULTS[0], words) == written
        _await_reply(post, login, written, count)
    peers = [event for event in post.story.a.log("peer_accepted") if event["direction"] == "in"]
    assert peers
    assert {event["dn"].partition(",")[0] for event in peers} == {"CN=mss.operateur-b.test"}
    assert {event["tls_version"] for event in peers} == {"TLSv1.3"}
    wait_until("\\Answered", lambda: "\\Answered" in post.flags(post.etienne, RESULTS[0]))


def test_idle_tells_of_a_new_letter(day: SimpleNamespace) -> None:
    post = day.post
    subject = "Urgent : rappeler le service"
    day.call("show", post.etienne.address, RESULTS[0])
    post.write(subject, "Merci de rappeler le 01 99 00 00 00.\n", post.etienne)
    assert day.call("arrival", post.etienne.address, subject) < 15
    day.call("show", post.etienne.address, subject)
    day.program.photograph(SHOTS / "thunderbird-day.png")


def test_the_inbox_is_compacted_and_nothing_else_was_lost(day: SimpleNamespace) -> None:
    post = day.post
    day.call("compact", post.etienne.address)
    day.call("sync", post.etienne.address)
    day.call("lists", post.etienne.address, "inbox", post.subjects(post.etienne))
    assert len(post.subjects(post.centre)) == len(RESULTS)
    for operator in (post.story.a, post.story.b):
        assert operator.log("crashed") == []
