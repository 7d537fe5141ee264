"""`mssante bal`: the mailboxes of this operator."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from mssante.cli.run import json_option, perform, plain, requested, show, show_values, table

if TYPE_CHECKING:
    from mssante.control.bal import BalDetails, BalListing


@click.group()
def bal() -> None:
    """Mailboxes (boîtes aux lettres)."""


@bal.command()
@click.argument("address")
@click.option("--kind", required=True, type=click.Choice(["PER", "ORG", "APP", "CAB"], case_sensitive=False))
@json_option
def create(address: str, kind: str, as_json: bool) -> None:
    """Make a mailbox, with its keys. Address and kind never change."""
    from mssante.control.bal import CreateBal

    show(perform(requested(CreateBal, address=address, kind=kind)), as_json=as_json)


@bal.command("list")
@json_option
def listing(as_json: bool) -> None:
    """Every mailbox."""
    from mssante.control.bal import ListBal

    def human(result: BalListing) -> None:
        columns = ("address", "kind", "status", "used_kib", "quota_kib")
        rows = plain(result.mailboxes)
        table(rows, *columns, empty="no mailbox yet: mssante bal create ADDRESS --kind PER")

    show(perform(ListBal()), as_json=as_json, human=human)


@bal.command("show")
@click.argument("address")
@json_option
def show_one(address: str, as_json: bool) -> None:
    """One mailbox: state, size, folders, and who may open it."""
    from mssante.control.bal import ShowBal

    def human(result: BalDetails) -> None:
        show_values({k: v for k, v in plain(result).items() if not isinstance(v, list)})
        table(plain(result.folders), "folder", "messages", "unseen", empty="no folder")
        people = plain(result.people)
        table(people, "person", "role", "until", empty="nobody may open it: mssante access grant")

    show(perform(requested(ShowBal, address=address)), as_json=as_json, human=human)


@bal.command()
@click.argument("address")
@json_option
def suspend(address: str, as_json: bool) -> None:
    """Take no mail for now: peers are told to try later."""
    from mssante.control.bal import SuspendBal

    show(perform(requested(SuspendBal, address=address)), as_json=as_json)


@bal.command()
@click.argument("address")
@json_option
def resume(address: str, as_json: bool) -> None:
    """Take mail again after a suspension."""
    from mssante.control.bal import ResumeBal

    show(perform(requested(ResumeBal, address=address)), as_json=as_json)


@bal.command()
@click.argument("address")
@click.confirmation_option(prompt="A closed mailbox never takes mail again. Close it?")
@json_option
def close(address: str, as_json: bool) -> None:
    """Take no mail any more; what is there stays readable."""
    from mssante.control.bal import CloseBal

    show(perform(requested(CloseBal, address=address)), as_json=as_json)
