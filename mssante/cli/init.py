"""`mssante init`: a working directory with its configuration, its root key and its two databases."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import click

from mssante.cli.run import MISCONFIGURED, NO, end, finish
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
    routes: tuple[tuple[str, str], ...] = ()
    log: str = ""

    def text(self) -> str:
        """The configuration as TOML. JSON strings are TOML strings."""
        quoted = json.dumps
        relay, submission, submissions, imap, imaps, status = self.ports
        routes = ", ".join(f"{quoted(domain)} = {quoted(target)}" for domain, target in self.routes)
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
ldif = {quoted(self.ldif)}

[storage]
database = "mail.db"
keys = "keys.db"
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
    """Makes the working directory. Raises FileExistsError rather than touch one that is in use."""
    from mssante.app.parts import create_root_key, open_parts

    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / "config.toml"
    with path.open("x", encoding="utf-8") as file:
        file.write(starter.text())
    config = load(path)
    create_root_key(config)
    async with open_parts(config):
        pass  # both databases are made, migrated, and the operator's outbox with its keys
    return path


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option("--name", required=True, help="The operator's name.")
@click.option("--hostname", required=True, help="The host name in our certificate's CN.")
@click.option("--domain", "domains", multiple=True, required=True, help="A mail domain of ours; repeat it.")
@click.option(
    "--environment", type=click.Choice(["production", "test"]), default="production", show_default=True
)
def init(folder: Path, name: str, hostname: str, domains: tuple[str, ...], environment: str) -> None:
    """Make a working directory: config.toml, the root key, the key store and the mail database."""
    starter = Starter(name=name, hostname=hostname, domains=domains, environment=environment)
    try:
        path = finish(lay(folder, starter))
    except FileExistsError as error:
        end(NO, f"refused: {error.filename} exists already; nothing was changed")
    except ConfigError as error:
        (folder / "config.toml").unlink()
        end(MISCONFIGURED, str(error))
    click.echo(f"made {path}, root.key, keys.db and mail.db (only you can read them)")
    click.echo(
        "next: put the certificates where config.toml says, then: mssante --config " + f"{path} doctor"
    )
    click.echo(
        "keep a copy of root.key and keys.db apart from the mail: without them no letter can be opened"
    )
