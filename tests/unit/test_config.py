"""mssante.config: complete and typed, or every mistake at once with its line."""

from __future__ import annotations

import re
from dataclasses import fields
from datetime import timedelta
from pathlib import Path
from typing import get_type_hints

import pytest

from mssante.app.trust import rules
from mssante.config import Config, ConfigError, Endpoint, load
from mssante.model import Domain
from mssante.trust.policy import Rules

EXAMPLE = Path(__file__).parents[2] / "config.example.toml"


def mistakes(tmp_path: Path, text: str) -> list[tuple[int, str]]:
    path = tmp_path / "config.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load(path)
    return [(mistake.line, mistake.where) for mistake in caught.value.mistakes]


def test_the_example_is_a_whole_configuration() -> None:
    config = load(EXAMPLE)
    assert isinstance(config, Config)
    assert config.operator.domains == (Domain("chu-a.mssante.test"),)
    assert config.listen.relay == Endpoint("127.0.0.1", 2525)
    assert config.tls.key == EXAMPLE.parent / "pki/operator-a.key"


@pytest.mark.parametrize("section", [each.name for each in fields(Config) if each.name != "path"])
def test_the_example_explains_every_key(section: str) -> None:
    text = EXAMPLE.read_text(encoding="utf-8").partition(f"[{section}]")[2].partition("\n[")[0]
    known = {each.name for each in fields(get_type_hints(Config)[section])}
    assert {key for key in known if not re.search(rf"(^|\s){key} =", text)} == set()


def test_every_mistake_is_reported_at_once_with_its_line(tmp_path: Path) -> None:
    text = EXAMPLE.read_text(encoding="utf-8")
    text = text.replace('relay = "127.0.0.1:2525"', "relay = 25").replace("bytes_max =", "bytes_maxi =")
    text = text.replace('domains = ["chu-a.mssante.test"]', 'domains = ["pas un domaine"]')
    lines = text.splitlines()
    wanted = [
        (next(n for n, line in enumerate(lines, 1) if line.startswith(start)), where)
        for start, where in [
            ("domains", "operator.domains"),
            ("relay", "listen.relay"),
            ("bytes_maxi", "messages.bytes_maxi"),
        ]
    ]
    assert mistakes(tmp_path, text) == wanted


def test_a_missing_key_points_at_its_section(tmp_path: Path) -> None:
    text = EXAMPLE.read_text(encoding="utf-8").replace("root_key =", "# root_key =")
    line = next(n for n, text_line in enumerate(text.splitlines(), 1) if text_line == "[storage]")
    assert mistakes(tmp_path, text) == [(line, "storage.root_key")]


def test_a_broken_toml_gives_its_line(tmp_path: Path) -> None:
    assert mistakes(tmp_path, '[operator]\nname = "a\n')[0][0] == 2


def test_two_directories_contradict_each_other(tmp_path: Path) -> None:
    text = EXAMPLE.read_text(encoding="utf-8").replace(
        'ldif = "annuaire.ldif"', 'ldif = "annuaire.ldif"\nldap = "ldaps://x"'
    )
    assert [where for _, where in mistakes(tmp_path, text)] == ["directory", "directory.ldap"]


def test_the_status_page_stays_on_loopback_unless_it_is_said_otherwise(tmp_path: Path) -> None:
    text = EXAMPLE.read_text(encoding="utf-8")
    for host in ("0.0.0.0", "192.0.2.1", "[::]", "supervision.chu-a.test"):
        elsewhere = text.replace('status = "127.0.0.1:', f'status = "{host}:')
        assert [where for _, where in mistakes(tmp_path, elsewhere)] == ["listen.status"]
    path = tmp_path / "config.toml"
    for host in ("127.0.0.2", "[::1]", "localhost"):
        path.write_text(text.replace('status = "127.0.0.1:', f'status = "{host}:'), encoding="utf-8")
        assert load(path).listen.status
    said = elsewhere.replace("status_for_others = false", "status_for_others = true")
    path.write_text(said, encoding="utf-8")
    assert load(path).listen.status == Endpoint("supervision.chu-a.test", 2080)


def test_the_rules_of_the_trust_space_can_be_set(tmp_path: Path) -> None:
    assert rules(load(EXAMPLE).trust) == Rules(space_age_max=timedelta(days=7))
    text = EXAMPLE.read_text(encoding="utf-8")
    for key, value in (
        ("extended_key_usage_required", "false"),
        ("host_names_agree", "false"),
        ("space_hours_max", "48"),
    ):
        text = re.sub(rf"(?m)^{key} = \w+", f"{key} = {value}", text)
    path = tmp_path / "config.toml"
    path.write_text(text, encoding="utf-8")
    assert rules(load(path).trust) == Rules(
        extended_key_usage_required=False, host_names_agree=False, space_age_max=timedelta(days=2)
    )


def test_a_link_stays_to_be_seen(tmp_path: Path) -> None:
    """What must not be a link is refused where it is opened (K14): reading it here must not follow it."""
    (tmp_path / "elsewhere").touch()
    (tmp_path / "root.key").symlink_to("elsewhere")
    path = tmp_path / "config.toml"
    path.write_text(EXAMPLE.read_text(encoding="utf-8"), encoding="utf-8")
    assert load(path).storage.root_key == tmp_path / "root.key"
