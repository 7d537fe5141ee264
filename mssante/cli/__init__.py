"""The operator's command line: one file per noun."""

from __future__ import annotations

from pathlib import Path

import click

from mssante.app.process import keep_memory_private
from mssante.cli.access import access
from mssante.cli.bal import bal
from mssante.cli.demo import demo
from mssante.cli.doctor import doctor
from mssante.cli.init import init
from mssante.cli.keys import keys
from mssante.cli.person import person
from mssante.cli.queue import queue
from mssante.cli.serve import serve
from mssante.cli.trust import trust


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--config", type=click.Path(path_type=Path), help="The configuration file (or $MSSANTE_CONFIG)."
)
@click.version_option(package_name="mssante")
def main(config: Path | None) -> None:
    """Run an MSSanté operator: mailboxes, people, keys, trust and queue.

    Exit codes: 0 yes, 1 refused, 2 misuse, 75 try later, 78 configuration or file rights."""
    keep_memory_private()  # a command may be given a password, and without a server it opens the keys itself


for command in (access, bal, demo, doctor, init, keys, person, queue, serve, trust):
    main.add_command(command)
