"""`mssante init`: a working directory with its configuration, its root key and its two databases."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click

from mssante.cli.run import MISCONFIGURED, NO, TRY_LATER, end
from mssante.config import ConfigError
from mssante.reasons import Passing
from mssante.words.operator import declined_sentence


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option("--name", required=True, help="The operator's name.")
@click.option("--hostname", required=True, help="The host name in our certificate's CN.")
@click.option("--domain", "domains", multiple=True, required=True, help="A mail domain of ours; repeat it.")
@click.option(
    "--environment", type=click.Choice(["production", "test"]), default="production", show_default=True
)
@click.option(
    "--database", default="mail/mail.db", show_default=True, help="A file, or postgresql://USER@HOST/NAME."
)
@click.option(
    "--keys", default="keys/keys.db", show_default=True, help="The key store: a file or a URL, apart."
)
@click.option("--ldap", help="The directory: ldaps://HOST; without it, annuaire.ldif.")
@click.option("--ldap-base", help="The entry under which the directory lies.")
@click.option("--ldap-ca", help="The authority of the directory's certificate; the system's by default.")
@click.option("--ldap-bind-dn", help="Who we are there; with --ldap-password-file.")
@click.option("--ldap-password-file", help="A file that only we can read.")
def init(folder: Path, domains: tuple[str, ...], **given: str | None) -> None:
    """Make a working directory: config.toml, the root key, the key store and the mail database."""
    from mssante.app.first import Starter, lay
    from mssante.app.parts import CannotStart

    ldap = tuple((key, value) for key, value in given.items() if key.startswith("ldap") and value)
    plain = {key: value for key, value in given.items() if not key.startswith("ldap") and value is not None}
    starter = Starter(domains=domains, ldap=ldap, **plain)  # type: ignore[arg-type] # each a text, as click gives them
    try:
        path = asyncio.run(lay(folder, starter))
    except FileExistsError as error:
        end(NO, f"refused: {error.filename} exists already; nothing was changed")
    except ConfigError as error:
        end(MISCONFIGURED, str(error))
    except (CannotStart, Passing) as error:
        click.echo(f"made {folder}/config.toml and the root key; a database does not open yet:", err=True)
        text, code = str(error), MISCONFIGURED
        if isinstance(error, Passing):
            text, code = declined_sentence(error), TRY_LATER
        end(code, f"{text}: mend it, then mssante doctor makes what is missing")
    click.echo(f"made {path}, the root key, the key store and the mail database (only you can read them)")
    click.echo(f"next: put the certificates where config.toml says, then: mssante --config {path} doctor")
    click.echo(
        "keep a copy of root.key and the key store apart from the mail: without them no letter can be opened"
    )
