"""`mssante doctor`: what would fail tonight."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from mssante.cli.run import NO, json_option, perform, show

if TYPE_CHECKING:
    from mssante.control.doctor import DoctorReport


@click.command()
@click.option("--verify-data", is_flag=True, help="Check every invariant of the stored data too (minutes).")
@json_option
def doctor(verify_data: bool, as_json: bool) -> None:
    """Look at certificates, trust, clock, disk, databases and permissions. Exit 1 if something is wrong."""
    from mssante.control.doctor import Doctor

    def human(report: DoctorReport) -> None:
        for finding in report.findings:
            click.echo(f"{finding.state:>5}  {finding.subject}: {finding.text}")

    report = perform(Doctor(verify_data=verify_data))
    show(report, as_json=as_json, human=human)
    sys.exit(0 if report.well else NO)
