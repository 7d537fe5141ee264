"""`mssante doctor`: what would fail tonight."""

from __future__ import annotations

import sys
from typing import Any

import click

from mssante.cli.run import NO, json_option, perform, show


@click.command()
@click.option("--verify-data", is_flag=True, help="Check every invariant of the stored data too (minutes).")
@json_option
def doctor(verify_data: bool, as_json: bool) -> None:
    """Look at certificates, trust, clock, disk, databases and permissions. Exit 1 if something is wrong."""

    def human(result: dict[str, Any]) -> None:
        for finding in result["findings"]:
            click.echo(f"{finding['state']:>5}  {finding['subject']}: {finding['text']}")

    result = perform("doctor", verify_data=verify_data)
    show(result, as_json=as_json, human=human)
    sys.exit(0 if result["well"] else NO)
