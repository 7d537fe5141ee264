"""Thunderbird on a mailbox of 10,000 letters: until all are listed, and a word of one found by the server.

Renews two screenshots (MSSANTE_SCREENSHOTS names another folder) and prints its figures (`-rP` shows them).
One session: the tests run in the order written.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from email.utils import format_datetime
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.clients.thunderbird_post import Post
from tests.clients.thunderbird_program import Thunderbird, missing

pytestmark = pytest.mark.client

COUNT = 10_000
RARE, RARE_AT = "spondylodiscite", 4_217
PATIENCE_SECONDS = 900
SHOTS = Path(
    os.environ.get("MSSANTE_SCREENSHOTS", Path(__file__).resolve().parents[2] / "docs" / "screenshots")
)
_KINDS = (
    ("Résultats de biologie", "hémoglobine 13,2 g/dL, créatinine 78 µmol/L, glycémie à jeun 5,1 mmol/L"),
    ("Compte rendu d’hospitalisation", "suites opératoires simples, ablation des fils au dixième jour"),
    ("Compte rendu d’imagerie", "radiographie du thorax de face : silhouette cardiaque normale"),
    ("Lettre de liaison", "traitement inchangé, consultation de contrôle dans trois mois"),
    ("Demande d’avis", "merci de votre avis spécialisé sur ce dossier avant le staff de jeudi"),
)
_PARAGRAPH = (
    "Je vous remercie de m’avoir adressé ce patient fictif, dont l’état général reste conservé ; l’examen "
    "clinique est sans particularité, et la surveillance se poursuit en ville avec son médecin traitant.\n"
)


def letters() -> Iterator[bytes]:
    """Two years of letters, about 2 KiB each; one of them holds the rare word."""
    for n in range(1, COUNT + 1):
        kind, text = _KINDS[n % len(_KINDS)]
        when = datetime(2024, 10, 1, 8, tzinfo=UTC) + timedelta(minutes=n * 104)
        message = EmailMessage()
        message["From"] = f"Dr Fictif {n % 97:02d} <medecin{n % 97:02d}@chu-a.mssante.test>"
        message["To"] = "etienne.lheveder@cabinet-b.mssante.test"
        message["Subject"] = f"{kind} n° {n:05d}"
        message["Date"] = format_datetime(when)
        message["Message-ID"] = f"<{n}@chu-a.mssante.test>"
        rare = f"Hypothèse de {RARE} écartée par l’IRM.\n" if n == RARE_AT else ""
        body = f"Cher confrère,\n\n{kind} : {text}.\n{_PARAGRAPH * 6}{rare}\nBien confraternellement.\n"
        message.set_content(body, charset="utf-8", cte="8bit")
        yield message.as_bytes().replace(b"\n", b"\r\n")


def server(pid: int) -> dict[str, float]:
    """Of the server's own: CPU seconds so far, memory in MiB at its peak and now, without mapped files."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    kib = {line.partition(":")[0]: int(line.split()[1]) for line in lines if line.endswith(" kB")}
    user, system = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return {
        "cpu_seconds": round((int(user) + int(system)) / os.sysconf("SC_CLK_TCK"), 1),
        "peak_mib": round((kib["VmHWM"] - kib["RssFile"]) / 1024, 1),
        "now_mib": round((kib["VmRSS"] - kib["RssFile"]) / 1024, 1),
    }


def tell(**figures: object) -> None:
    print(json.dumps(figures, ensure_ascii=False))


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimpleNamespace]:
    """Étienne's mailbox with 10,000 letters, and a Thunderbird that has never seen it."""
    assert not missing(), f"`make clients` installs {', '.join(missing())}"
    work = tmp_path_factory.mktemp("full")
    with asyncio.Runner() as runner:
        post = runner.run(Post.open(work / "demo"))
        try:
            begun = time.monotonic()
            post.keep(post.etienne, letters())
            process = post.story.b.process
            assert process is not None
            tell(appended=COUNT, seconds=round(time.monotonic() - begun, 1), server=server(process.pid))
            program = Thunderbird.open(work / "thunderbird", post.ca_file, logged=False, ahead=False)
            try:
                program.call("configure", post.settings(post.etienne, "Dr Étienne L’Hévéder"))
                yield SimpleNamespace(
                    post=post, program=program, address=post.etienne.address, pid=process.pid
                )
            finally:
                program.close()
        finally:
            runner.run(post.story.end())


def test_all_are_listed(full: SimpleNamespace) -> None:
    full.program.marionette.timeout.script = PATIENCE_SECONDS + 10
    before = full.program.cpu_seconds()
    listed = full.program.call("fill", full.address, COUNT, PATIENCE_SECONDS)
    on_the_way = [tuple(each.values()) for each in listed[:: max(1, len(listed) // 10)]]
    used = round(full.program.cpu_seconds() - before, 1)
    tell(listed=listed[-1], thunderbird_cpu=used, on_the_way=on_the_way, server=server(full.pid))
    shown = full.program.call("show", full.address, "Lettre de liaison n° 09998")
    full.program.call("counted", COUNT)
    full.program.photograph(SHOTS / "thunderbird-10000.png")
    assert shown["rows"] == COUNT
    assert "surveillance" in shown["text"]


def test_a_word_of_a_body_is_found_by_the_server(full: SimpleNamespace) -> None:
    subject = f"{_KINDS[RARE_AT % len(_KINDS)][0]} n° {RARE_AT:05d}"
    searched = full.program.call("searchDialogue", full.address, RARE, PATIENCE_SECONDS)
    full.program.photograph(SHOTS / "thunderbird-10000-found.png")
    tell(searched=searched, server=server(full.pid))
    assert searched["found"] == [subject]


def test_the_server_met_no_bug(full: SimpleNamespace) -> None:
    assert full.post.story.b.log("crashed") == []
