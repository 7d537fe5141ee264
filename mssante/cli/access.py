"""`mssante access`: which person may open which mailbox."""

from __future__ import annotations

import click

from mssante.cli.run import json_option, perform, requested, show


@click.group()
def access() -> None:
    """Who may open which mailbox."""


@access.command()
@click.argument("login")
@click.argument("address")
@click.option("--role", type=click.Choice(["full", "read"]), default="full", show_default=True)
@click.option("--until", help="Last moment of the access: YYYY-MM-DD, or with time and zone.")
@json_option
def grant(login: str, address: str, role: str, until: str | None, as_json: bool) -> None:
    """Let a person open a mailbox."""
    from mssante.control.access import GrantAccess

    request = requested(GrantAccess, person=login, address=address, role=role, until=until)
    show(perform(request), as_json=as_json)


@access.command()
@click.argument("login")
@click.argument("address")
@json_option
def revoke(login: str, address: str, as_json: bool) -> None:
    """Take the access away, now: open sessions of that mailbox end."""
    from mssante.control.access import RevokeAccess

    show(perform(requested(RevokeAccess, person=login, address=address)), as_json=as_json)
