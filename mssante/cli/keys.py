"""`mssante keys`: the key store as a whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from mssante.cli.run import json_option, perform, show

if TYPE_CHECKING:
    from mssante.keys.custody import StoreAccepted


@click.group()
def keys() -> None:
    """The key store as a whole."""


@keys.command()
@click.option("--dry-run", is_flag=True, help="Only say what would be removed.")
@json_option
def accept(dry_run: bool, as_json: bool) -> None:
    """Take the key store as it lies there: an older copy put back knowingly, or one that was changed.

    Accesses that were revoked since the copy was made, and passwords of then, are in force again: look at
    them afterwards. What the key broker did not write is removed."""
    from mssante.control.keys import AcceptKeys

    def human(accepted: StoreAccepted) -> None:
        if dry_run and accepted.why:
            click.echo(accepted.why)
        for row in accepted.removed:
            click.echo(f"{'would remove' if dry_run else 'removed'}: {row.person} in {row.table}")
        more = accepted.removed_count - len(accepted.removed)
        if more:
            click.echo(f"and {more} more")
        if dry_run and not accepted.removed_count:
            click.echo("nothing would be removed: 'mssante keys accept' takes the store as it is")
        if not dry_run:
            click.echo("accepted; look at who may open what (mssante bal show), then start the server")

    show(perform(AcceptKeys(dry_run=dry_run)), as_json=as_json, human=human)
