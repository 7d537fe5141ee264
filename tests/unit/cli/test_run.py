"""What every command does alike when something was declined."""

from __future__ import annotations

import pytest

from mssante.cli.run import NO, TRY_LATER, finish
from mssante.reasons import Declined, Passing, Reason, Refused


async def _declining(declined: Declined) -> None:
    raise declined


@pytest.mark.parametrize(
    ("declined", "code", "said"),
    [
        (
            Passing(Reason.STORAGE_FULL),
            TRY_LATER,
            "try later: the storage is full; this operator must free or add space on the disk\n",
        ),
        (
            Passing(Reason.STORAGE_FULL, "ENOSPC"),
            TRY_LATER,
            "try later: the storage is full; this operator must free or add space on the disk (ENOSPC)\n",
        ),
        (
            Refused(Reason.MAILBOX_CLOSED),
            NO,
            "refused: the mailbox is closed, and stays so; whoever asked must use another address\n",
        ),
        (Refused(Reason.MAILBOX_CLOSED, "closed since May"), NO, "refused: closed since May\n"),
    ],
)
def test_what_is_declined_says_who_must_act_and_what_to_do(
    declined: Declined, code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        finish(_declining(declined))
    assert ended.value.code == code
    assert capsys.readouterr().err == said
