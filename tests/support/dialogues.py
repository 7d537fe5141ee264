"""The notation of the dialogues, for both protocols: tests/dialogues/README.md."""

from __future__ import annotations

import re

_PIECE = re.compile(r"…|<([a-z]\w*)>")
_CITES = re.compile(r"# (RFC|Facts) ")


class Script:
    """The lines of a dialogue without comments and blank lines, and its settings (`! name: value`)."""

    def __init__(self, text: str) -> None:
        first, *self.all = text.splitlines()
        assert _CITES.match(first), "the first line cites the clause"
        self.lines = [line for line in self.all if line and not line.startswith("#")]
        self.settings = dict(line[2:].split(": ", 1) for line in self.lines if line.startswith("! "))


class Names:
    """The `<names>` a dialogue has learnt, and what `…` and they stand for in what is expected."""

    def __init__(self) -> None:
        self._known: dict[str, str] = {}

    def filled(self, line: str) -> str:
        """What a client says, with the names it has learnt."""
        return _PIECE.sub(lambda piece: self._known.get(piece[1] or "", piece[0]), line)

    def are(self, expected: list[str], heard: list[str]) -> bool:
        """Whether the lines heard are those expected, one by one; if so, their names are known."""
        known = dict(self._known)
        for text, said in zip(expected, heard, strict=False):
            found = re.fullmatch(_pattern(text, known), said)
            if found is None:
                return False
            known |= found.groupdict()
        self._known = known
        return True


def _pattern(text: str, known: dict[str, str]) -> str:
    pattern, at = "", 0
    for piece in _PIECE.finditer(text):
        pattern += re.escape(text[at : piece.start()])
        name = piece[1]
        if name is None:
            pattern += ".*"
        elif name in known:
            pattern += re.escape(known[name])
        else:
            pattern += rf"(?P<{name}>[^\s\[\]()]+)"
        at = piece.end()
    return pattern + re.escape(text[at:])
