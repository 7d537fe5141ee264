"""The operator's command line: one file per noun."""

from __future__ import annotations

import click


@click.group()
@click.version_option(package_name="mssante")
def main() -> None:
    """Run an MSSanté operator: mailboxes, people, keys, trust and queue."""
