"""The command line, as an operator uses it without a server: exit codes, words, and what it leaves behind."""

from __future__ import annotations

import asyncio
import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from mssante.annuaire.ldif import LdifDirectory
from mssante.app.trust import trust_state
from mssante.cli import main
from mssante.clock import SystemClock
from mssante.config import DirectorySource, load
from mssante.demo.certs.make import build
from mssante.demo.certs.white_list import write as write_white_list
from tests.support.postgres import Postgres

DOMAIN = "chu-a.mssante.test"
ADDRESS = f"camille.moreau@{DOMAIN}"
PASSWORD = "un-mot-de-passe-bien-long"


class Cli:
    """Runs `mssante` on one working directory."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config = folder / "config.toml"

    def __call__(self, *words: str, input: str | None = None) -> Result:
        return CliRunner().invoke(main, ["--config", str(self.config), *words], input=input)

    def json(self, *words: str) -> Any:
        done = self(*words, "--json")
        assert done.exit_code == 0, done.output
        return json.loads(done.stdout)


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    folder = tmp_path / "operator"
    words = ["init", str(folder), "--name", "CHU A", "--hostname", "mss.operateur-a.test", "--domain", DOMAIN]
    done = CliRunner().invoke(main, [*words, "--environment", "test"])
    assert done.exit_code == 0, done.output
    return Cli(folder)


@pytest.fixture
def trusted(cli: Cli) -> Cli:
    """The same, with a PKI, a white list and a directory in place."""
    from mssante.demo import annuaire

    now = SystemClock().now()
    pki = build(cli.folder / "pki", now=now, operators=("a",), with_cases=False)
    leaf = pki.leaves["operator-a"]
    (cli.folder / "pki/operator.pem").write_bytes(leaf.chain_file.read_bytes())
    key = cli.folder / "pki/operator.key"
    key.touch(mode=0o600)
    key.write_bytes(leaf.key_file.read_bytes())
    write_white_list(cli.folder / "listeblanche.xml", [(DOMAIN, leaf.dn)], generated_at=now)
    (cli.folder / "annuaire.ldif").write_bytes(annuaire.dev_ldif_path().read_bytes())
    return cli


def findings(done: Result) -> dict[str, str]:
    return {each["subject"]: each["state"] for each in json.loads(done.stdout)["findings"]}


def test_init_makes_a_directory_only_its_owner_reads(cli: Cli) -> None:
    """And the mail apart from its keys, so that one copied folder never holds both."""
    assert {path.name for path in cli.folder.iterdir()} >= {"config.toml", "root.key", "keys", "mail"}
    for name in ("root.key", "keys/keys.db", "mail/mail.db"):
        assert stat.S_IMODE((cli.folder / name).stat().st_mode) == 0o600
    for folder in (cli.folder, cli.folder / "keys", cli.folder / "mail"):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_keys_and_mail_in_one_folder_work_and_the_doctor_says_so(trusted: Cli) -> None:
    """As an installation of before has them."""
    assert "folders" not in findings(trusted("doctor", "--json"))
    for name in ("keys/keys.db", "mail/mail.db"):
        (trusted.folder / name).rename(trusted.folder / Path(name).name)
        trusted.config.write_text(trusted.config.read_text().replace(f'"{name}"', f'"{Path(name).name}"'))
    done = trusted("doctor", "--json")
    assert done.exit_code == 0
    assert findings(done)["folders"] == "warn"


def test_init_never_touches_a_directory_in_use(cli: Cli) -> None:
    before = (cli.folder / "root.key").read_bytes()
    words = ["init", str(cli.folder), "--name", "X", "--hostname", "h.test", "--domain", DOMAIN]
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 1
    assert "exists already" in done.stderr
    assert (cli.folder / "root.key").read_bytes() == before


INIT = ("--name", "CHU A", "--hostname", "mss.operateur-a.test", "--domain", DOMAIN)


def test_init_on_postgresql_and_an_ldap_directory(tmp_path: Path, postgres: Postgres) -> None:
    folder, mail, keys = tmp_path / "operator", postgres.url(), postgres.url()
    password = tmp_path / "password"
    ldap = ("--ldap", "ldaps://annuaire.test", "--ldap-base", "o=annuaire", "--ldap-bind-dn", "cn=mssante")
    words = ["init", str(folder), *INIT, "--database", mail, "--keys", keys, *ldap]
    done = CliRunner().invoke(main, [*words, "--ldap-password-file", str(password)])
    assert done.exit_code == 0, done.output
    config = load(folder / "config.toml")
    assert (config.storage.database, config.storage.keys) == (mail, keys)
    assert config.directory == DirectorySource(
        ldap="ldaps://annuaire.test",
        ldap_base="o=annuaire",
        ldap_bind_dn="cn=mssante",
        ldap_password_file=password,
    )
    assert {path.name for path in folder.iterdir()} == {"config.toml", "root.key"}
    cli = Cli(folder)
    assert cli("bal", "create", ADDRESS, "--kind", "PER").exit_code == 0
    assert [each["address"] for each in cli.json("bal", "list")["mailboxes"]] == [ADDRESS]


@pytest.mark.parametrize(
    ("options", "code", "said", "left"),
    [
        (["--ldap", "ldaps://annuaire.test"], 78, "ldap_base is missing", set()),
        (["--database", "postgresql://u:s3cret@/mail"], 78, "no password here", set()),
        (
            ["--database", "postgresql://u@/mail?host=/nowhere"],
            75,
            "this operator must check it",
            {"config.toml", "root.key", "keys"},
        ),
        (["--database", "oracle://u@host/mail"], 78, "postgresql://", {"config.toml", "root.key", "keys"}),
    ],
)
def test_init_says_what_is_missing_and_leaves_no_half(
    tmp_path: Path, options: list[str], code: int, said: str, left: set[str]
) -> None:
    done = CliRunner().invoke(main, ["init", str(tmp_path / "o"), *INIT, *options])
    assert (done.exit_code, said in done.stderr) == (code, True), done.output
    assert "s3cret" not in done.output
    assert {path.name for path in (tmp_path / "o").iterdir()} == left


def test_a_mailbox_and_a_person_from_nothing(cli: Cli, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text(PASSWORD + "\n")
    assert cli("bal", "create", ADDRESS, "--kind", "per").exit_code == 0
    assert cli("person", "create", "camille", "--password-file", str(secret)).exit_code == 0
    assert cli("access", "grant", "camille", ADDRESS, "--until", "2099-12-31").exit_code == 0
    shown = cli.json("bal", "show", ADDRESS)
    assert shown["kind"] == "PER"
    assert [each["person"] for each in shown["people"]] == ["camille"]
    assert shown["people"][0]["until"].startswith("2099-12-31")
    assert [each["address"] for each in cli.json("bal", "list")["mailboxes"]] == [ADDRESS]
    assert cli("access", "revoke", "camille", ADDRESS).exit_code == 0
    assert cli.json("bal", "show", ADDRESS)["people"] == []


def test_a_password_comes_by_descriptor_or_prompt_and_never_by_argument(cli: Cli) -> None:
    reading, writing = os.pipe()
    os.write(writing, PASSWORD.encode() + b"\n")
    os.close(writing)
    assert cli("person", "create", "camille", "--password-fd", str(reading)).exit_code == 0
    assert cli("person", "password", "camille", input=f"{PASSWORD}2\n{PASSWORD}2\n").exit_code == 0
    assert cli("person", "create", "paul", "--password", PASSWORD).exit_code == 2


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["bal", "create", "x@elsewhere.test", "--kind", "PER"], 1, "not one of our domains"),
        (["bal", "create", "x@@y", "--kind", "PER"], 1, "not a mail address"),
        (["bal", "create", ADDRESS, "--kind", "FOO"], 2, "FOO"),
        (["bal", "show", f"nobody@{DOMAIN}"], 1, "bal list"),
        (["access", "grant", "nobody", ADDRESS], 1, "refused"),
        (["nonsense"], 2, "nonsense"),
    ],
)
def test_a_refusal_says_what_to_do(cli: Cli, words: list[str], code: int, said: str) -> None:
    done = cli(*words)
    assert done.exit_code == code
    assert said in done.stderr


def test_address_and_kind_never_change(cli: Cli) -> None:
    assert cli("bal", "create", ADDRESS, "--kind", "PER").exit_code == 0
    done = cli("bal", "create", ADDRESS, "--kind", "ORG")
    assert done.exit_code == 1
    assert "exists already" in done.stderr


def test_a_mailbox_is_suspended_resumed_and_closed_for_ever(cli: Cli) -> None:
    cli("bal", "create", ADDRESS, "--kind", "PER")
    for verb, status in (("suspend", "suspended"), ("resume", "active")):
        assert cli.json("bal", verb, ADDRESS)["status"] == status
    assert cli("bal", "close", ADDRESS, input="n\n").exit_code == 1
    assert cli("bal", "close", ADDRESS, "--yes").exit_code == 0
    assert cli("bal", "resume", ADDRESS).exit_code == 1


def test_the_queue_is_empty_and_says_so(cli: Cli) -> None:
    assert cli.json("queue", "list") == {"recipients": []}
    assert "empty" in cli("queue", "list").stdout
    assert cli.json("queue", "retry") == {"due_now": 0}


def test_the_doctor_finds_nothing_wrong_where_nothing_is(trusted: Cli) -> None:
    done = trusted("doctor", "--verify-data", "--json")
    assert done.exit_code == 0, done.output
    assert set(findings(done).values()) == {"ok"}


def test_the_doctor_names_what_is_missing(cli: Cli) -> None:
    done = cli("doctor", "--json")
    assert done.exit_code == 1
    assert findings(done)["certificate"] == "WRONG"
    assert findings(done)["trust"] == "WRONG"


def test_the_doctor_sees_a_key_that_others_can_read(trusted: Cli) -> None:
    (trusted.folder / "pki/operator.key").chmod(0o644)
    done = trusted("doctor", "--json")
    assert done.exit_code == 1
    assert findings(done)["permissions"] == "WRONG"


def test_the_doctor_sees_that_our_domain_is_not_listed_with_our_name(trusted: Cli) -> None:
    other = "CN=mss.operateur-b.test,OU=369000002000022,O=Operateur B,ST=Rhône (69),C=FR"
    write_white_list(trusted.folder / "listeblanche.xml", [(DOMAIN, other)], generated_at=SystemClock().now())
    done = trusted("doctor", "--json")
    assert done.exit_code == 1
    assert findings(done)["certificate (in)"] == "WRONG"
    assert findings(done)["our domain"] == "WRONG"


def test_a_list_held_back_is_named_and_accepted_on_purpose(trusted: Cli) -> None:
    now, file = SystemClock().now(), trusted.folder / "listeblanche.xml"
    name = "CN=mss.operateur-b.test,OU=369000002000022,O=Operateur B,ST=Rhône (69),C=FR"
    write_white_list(file, [(f"d{n}.test", name) for n in range(100)], generated_at=now)
    asyncio.run(_as_the_server_does(trusted))
    write_white_list(file, [("d1.test", name)], generated_at=now)
    held = trusted("doctor")
    assert held.exit_code == 1
    assert "WRONG  source list: held back: it lost 99 of 100 pairs" in held.stdout
    assert "what serves on: 100 pairs" in held.stdout
    shown = {each["source"]: each for each in trusted.json("trust", "show")["sources"]}["list"]
    assert (shown["pairs"], shown["held_why"]) == (100, "it lost 99 of 100 pairs of domain and name")
    assert f"mssante trust accept list {shown['held_digest']}" in held.stdout
    wrong = trusted("trust", "accept", "list", shown["digest"])
    assert (wrong.exit_code, "look again" in wrong.stderr) == (1, True)
    assert trusted.json("trust", "accept", "list", shown["held_digest"]) == {"source": "list", "pairs": 1}
    shown = {each["source"]: each for each in trusted.json("trust", "show")["sources"]}["list"]
    assert (shown["pairs"], shown["held_why"]) == (1, None)


async def _as_the_server_does(cli: Cli) -> None:
    directory = LdifDirectory.load(cli.folder / "annuaire.ldif")
    await trust_state(load(cli.config), directory, SystemClock()).load()


def test_test_anchors_are_refused_in_production(trusted: Cli) -> None:
    trusted.config.write_text(trusted.config.read_text().replace('"test"', '"production"'))
    done = trusted("doctor", "--json")
    assert done.exit_code == 1
    assert findings(done)["trust"] == "WRONG"
    served = trusted("serve")
    assert served.exit_code == 78
    assert "TEST" in served.stderr


@pytest.mark.parametrize("name", ["mail/mail.db", "keys/keys.db", "root.key"])
def test_a_file_that_others_can_read_stops_everything(cli: Cli, name: str) -> None:
    (cli.folder / name).chmod(0o644)
    done = cli("bal", "list")
    assert done.exit_code == 78
    assert "chmod 600" in done.stderr


def test_every_mistake_of_a_configuration_is_told_at_once(cli: Cli) -> None:
    text = cli.config.read_text().replace("hostname", "hostnam").replace('name = "CHU A"', "name = 3")
    cli.config.write_text(text)
    done = cli("bal", "list")
    assert done.exit_code == 78
    assert "3 mistake(s)" in done.stderr
    assert "line 4" in done.stderr
    assert "Traceback" not in done.output


def test_without_a_configuration_the_next_step_is_named(tmp_path: Path) -> None:
    done = CliRunner().invoke(main, ["--config", str(tmp_path / "none.toml"), "bal", "list"])
    assert done.exit_code == 78
    assert "mssante init" in done.stderr


def test_the_root_key_may_come_from_systemd(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    credentials = cli.folder / "credentials"
    credentials.mkdir()
    (cli.folder / "root.key").rename(credentials / "root-key")
    text = cli.config.read_text().replace('root_key = "root.key"', 'root_key_credential = "root-key"')
    cli.config.write_text(text)
    assert cli("bal", "list").exit_code == 78
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(credentials))
    assert cli("bal", "list").exit_code == 0


def test_a_root_key_is_in_one_place(cli: Cli) -> None:
    cli.config.write_text(
        cli.config.read_text().replace("root_key =", 'root_key_credential = "k"\nroot_key =')
    )
    done = cli("bal", "list")
    assert done.exit_code == 78
    assert "storage.root_key" in done.stderr
