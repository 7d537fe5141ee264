"""`mssante bal`: the mailboxes of this operator."""

from __future__ import annotations

from typing import Any

import click

from mssante.cli.run import json_option, perform, show, table


@click.group()
def bal() -> None:
    """Mailboxes (boîtes aux lettres)."""


@bal.command()
@click.argument("address")
@click.option("--kind", required=True, type=click.Choice(["PER", "ORG", "APP", "CAB"], case_sensitive=False))
@json_option
def create(address: str, kind: str, as_json: bool) -> None:
    """Make a mailbox, with its keys. Address and kind never change."""
    show(perform("bal.create", address=address, kind=kind), as_json=as_json)


@bal.command("list")
@json_option
def listing(as_json: bool) -> None:
    """Every mailbox."""

    def human(result: dict[str, Any]) -> None:
        columns = ("address", "kind", "status", "used_kib", "quota_kib")
        table(result["mailboxes"], *columns, empty="no mailbox yet: mssante bal create ADDRESS --kind PER")

    show(perform("bal.list"), as_json=as_json, human=human)


@bal.command("show")
@click.argument("address")
@json_option
def show_one(address: str, as_json: bool) -> None:
    """One mailbox: state, size, folders, and who may open it."""

    def human(result: dict[str, Any]) -> None:
        show({k: v for k, v in result.items() if not isinstance(v, list)}, as_json=False)
        table(result["folders"], "folder", "messages", "unseen", empty="no folder")
        table(result["people"], "person", "role", "until", empty="nobody may open it: mssante access grant")

    show(perform("bal.show", address=address), as_json=as_json, human=human)


@bal.command()
@click.argument("address")
@json_option
def suspend(address: str, as_json: bool) -> None:
    """Take no mail for now: peers are told to try later."""
    show(perform("bal.suspend", address=address), as_json=as_json)


@bal.command()
@click.argument("address")
@json_option
def resume(address: str, as_json: bool) -> None:
    """Take mail again after a suspension."""
    show(perform("bal.resume", address=address), as_json=as_json)


@bal.command()
@click.argument("address")
@click.confirmation_option(prompt="A closed mailbox never takes mail again. Close it?")
@json_option
def close(address: str, as_json: bool) -> None:
    """Take no mail any more; what is there stays readable."""
    show(perform("bal.close", address=address), as_json=as_json)
