"""mssante.config: complete and typed, or every mistake at once with its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from mssante.config import Config, ConfigError, Endpoint, load
from mssante.model import Domain

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
