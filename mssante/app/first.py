"""A first working directory: its configuration, its root key and its two databases."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from mssante.app.parts import create_root_key, open_parts
from mssante.config import ConfigError, load


@dataclass(frozen=True, slots=True, kw_only=True)
class Starter:
    """What a first configuration is made from. Paths are written as given."""

    name: str
    hostname: str
    domains: tuple[str, ...]
    environment: str = "production"
    host: str = "0.0.0.0"
    ports: tuple[int, int, int, int, int, int] = (25, 587, 465, 143, 993, 8025)
    certificate: str = "pki/operator.pem"
    key: str = "pki/operator.key"
    anchors: str = "pki/anchors.pem"
    intermediates: str = "pki/issuing.pem"
    crls: str = "pki/crl"
    white_list: str = "listeblanche.xml"
    ldif: str = "annuaire.ldif"
    ldap: tuple[tuple[str, str], ...] = ()  # keys of [directory], in place of the LDIF file
    database: str = "mail.db"
    keys: str = "keys.db"
    routes: tuple[tuple[str, str], ...] = ()
    log: str = ""

    def text(self) -> str:
        """The configuration as TOML. JSON strings are TOML strings."""
        quoted = json.dumps
        relay, submission, submissions, imap, imaps, status = self.ports
        routes = ", ".join(f"{quoted(domain)} = {quoted(target)}" for domain, target in self.routes)
        source = self.ldap or (("ldif", self.ldif),)
        directory = "\n".join(f"{key} = {quoted(value, ensure_ascii=False)}" for key, value in source)
        return f"""\
# Made by mssante init. Every key is explained in config.example.toml.

[operator]
name = {quoted(self.name, ensure_ascii=False)}
hostname = {quoted(self.hostname)}
domains = {quoted(list(self.domains))}
environment = {quoted(self.environment)}

[tls]
certificate = {quoted(self.certificate)}
key = {quoted(self.key)}

[trust]
anchors = {quoted(self.anchors)}
intermediates = {quoted(self.intermediates)}
crls = {quoted(self.crls)}
sources = ["list", "directory"]
white_list = {quoted(self.white_list)}

[directory]
{directory}

[storage]
database = {quoted(self.database)}
keys = {quoted(self.keys)}
root_key = "root.key"

[listen]
relay = "{self.host}:{relay}"
submission = "{self.host}:{submission}"
submissions = "{self.host}:{submissions}"
imap = "{self.host}:{imap}"
imaps = "{self.host}:{imaps}"
status = "127.0.0.1:{status}"

[courier]
only_routes = {"true" if routes else "false"}
routes = {{ {routes} }}

[log]
{f"file = {quoted(self.log)}" if self.log else '# file = "mssante.log"'}
"""


async def lay(folder: Path, starter: Starter) -> Path:
    """Makes the working directory. Raises FileExistsError rather than change one that is in use; ConfigError,
    and then no configuration is left; CannotStart or Passing for a database that does not open yet: the rest
    is made, and the next start makes the databases."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / "config.toml"
    with path.open("x", encoding="utf-8") as file:
        file.write(starter.text())
    try:
        config = load(path)
    except ConfigError:
        path.unlink()
        raise
    for place in (config.storage.database, config.storage.keys):
        if not place.is_url:
            (config.folder / place).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    create_root_key(config)
    async with open_parts(config):
        pass  # both databases are made, migrated, and the operator's outbox with its keys
    return path
