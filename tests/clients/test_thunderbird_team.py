"""One organisational mailbox, open in two Thunderbirds at once: what one does, the other sees by itself.

One session: the tests run in the order written, each on what the one before left. "By itself" is by IDLE:
the waiting steps ask nothing of the server.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from mssante.control.access import GrantAccess
from mssante.control.socket import ask
from mssante.model import Address, PersonId
from tests.clients.thunderbird_post import Post, wait_until
from tests.clients.thunderbird_program import Thunderbird, missing

pytestmark = pytest.mark.client

LETTERS = [f"Demande n° {n}" for n in range(1, 9)]
DONE = "Traités & archivés"


@pytest.fixture(scope="module")
def team(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimpleNamespace]:
    """The centre's mailbox in `one` (its own login) and in `two` (Étienne's, as ETIENNE/CENTRE)."""
    assert not missing(), f"`make clients` installs {', '.join(missing())}"
    work = tmp_path_factory.mktemp("team")
    programs: list[Thunderbird] = []
    with asyncio.Runner() as runner:
        post = runner.run(Post.open(work / "demo"))
        try:
            person, centre = PersonId(post.etienne.address), Address.parse(post.centre.address)
            runner.run(ask(post.story.b.folder, GrantAccess(person=person, address=centre)))
            for n, subject in enumerate(LETTERS, 1):
                post.write(subject, f"Bonjour,\nmerci de rappeler la patiente fictive n° {n}.\n", post.centre)
            for subject in LETTERS:
                post.arrived(post.centre, subject)
            for name in ("one", "two"):
                programs.append(Thunderbird.open(work / name, post.ca_file))
            one, two = programs
            yield SimpleNamespace(post=post, one=one, two=two, address=post.centre.address)
        finally:
            for program in programs:
                program.close()
            runner.run(post.story.end())


def test_both_list_the_same_letters(team: SimpleNamespace) -> None:
    post = team.post
    team.one.call("configure", post.settings(post.centre, "Accueil"))
    team.two.call("configure", post.settings(post.centre, "Accueil", person=post.etienne))
    for program in (team.one, team.two):
        assert program.call("sync", team.address)["total"] == len(LETTERS)
        # With the folder shown and nothing to do, Thunderbird idles on it.
        assert program.call("show", team.address, LETTERS[0])["rows"] == len(LETTERS)


def test_flags_and_keywords_of_one_show_in_the_other(team: SimpleNamespace) -> None:
    team.one.call("flag", team.address, LETTERS[1:2])
    team.two.call("marked", team.address, LETTERS[1], "flagged")
    team.two.call("tag", team.address, LETTERS[2:3], "$label1 dossier")
    team.one.call("marked", team.address, LETTERS[2], "$label1")
    team.one.call("marked", team.address, LETTERS[2], "dossier")
    team.two.call("read", team.address, LETTERS[3:4])
    team.one.call("marked", team.address, LETTERS[3], "read")


def test_letters_moved_by_one_leave_the_other(team: SimpleNamespace) -> None:
    team.one.call("createFolder", team.address, DONE)
    wait_until("the folder", lambda: DONE in team.post.folders(team.post.centre))
    team.one.call("transfer", team.address, LETTERS[4:6], DONE, True)
    team.two.call("stands", team.address, [*LETTERS[:4], *LETTERS[6:]])
    assert DONE in team.two.call("folders", team.address)
    team.two.call("lists", team.address, DONE, LETTERS[4:6])


def test_letters_deleted_by_one_are_in_the_trash_of_both(team: SimpleNamespace) -> None:
    team.two.call("remove", team.address, LETTERS[6:7])
    team.one.call("stands", team.address, [*LETTERS[:4], LETTERS[7]])
    for program in (team.one, team.two):
        program.call("lists", team.address, "trash", LETTERS[6:7])


def test_a_new_letter_is_told_to_both(team: SimpleNamespace) -> None:
    subject = "Urgent : rappeler le service"
    for program in (team.one, team.two):
        program.call("show", team.address, LETTERS[0])
    team.post.write(subject, "Merci de rappeler le 01 99 00 00 00.\n", team.post.centre)
    for program in (team.one, team.two):
        assert program.call("arrival", team.address, subject) < 30


def test_each_finds_what_the_other_left(team: SimpleNamespace) -> None:
    for program in (team.one, team.two):
        assert program.call("search", team.address, "Subject", "demande") == [*LETTERS[:4], LETTERS[7]]
        assert program.call("search", team.address, "Body", "fictive n° 8") == LETTERS[7:]
        assert program.call("search", team.address, "Body", "fictive n° 5") == []


def test_a_draft_of_one_is_a_draft_of_both(team: SimpleNamespace) -> None:
    subject = "Brouillon à relire"
    team.two.call("draft", team.address, team.post.camille.address, subject, "Ébauche…")
    team.one.call("lists", team.address, "drafts", [subject])


def test_who_answers_shows_in_the_other(team: SimpleNamespace) -> None:
    post, written = team.post, f"Re: {LETTERS[0]}"
    team.two.call("show", team.address, LETTERS[1])
    assert team.one.call("reply", team.address, LETTERS[0], "C’est fait.") == written
    wait_until("the letter at A", lambda: post.subjects(post.camille) == [written])
    team.two.call("marked", team.address, LETTERS[0], "replied")
    team.two.call("lists", team.address, "sent", [written])


def test_both_end_with_what_the_server_has(team: SimpleNamespace) -> None:
    post = team.post
    for name in ("inbox", DONE, "trash", "sent", "drafts"):
        folder = {"inbox": "INBOX", "trash": "Trash", "sent": "Sent", "drafts": "Drafts"}.get(name, name)
        for program in (team.one, team.two):
            program.call("lists", team.address, name, post.subjects(post.centre, folder))
    assert {"\\Flagged"} <= post.flags(post.centre, LETTERS[1])
    assert {"$label1", "dossier"} <= post.flags(post.centre, LETTERS[2])
    for operator in (post.story.a, post.story.b):
        assert operator.log("crashed") == []
