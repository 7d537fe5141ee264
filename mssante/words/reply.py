"""One SMTP reply as a value: a code, an enhanced code (RFC 3463), and a line of ASCII that we wrote."""

from __future__ import annotations

import re
from dataclasses import dataclass

_REPLY = re.compile(r"[245]\d\d [245]\.\d{1,3}\.\d{1,3} [ -~]{1,200}")


@dataclass(frozen=True, slots=True)
class Reply:
    """One reply. Raises ValueError when it would not be exactly one valid reply line."""

    code: int
    enhanced: str
    text: str

    def __post_init__(self) -> None:
        if not _REPLY.fullmatch(str(self)) or str(self.code)[0] != self.enhanced[0]:
            raise ValueError("not an SMTP reply")

    def __str__(self) -> str:
        return f"{self.code} {self.enhanced} {self.text}"

    @property
    def refuses(self) -> bool:
        """Whether the reply says that the command was not carried out."""
        return self.code >= 400
