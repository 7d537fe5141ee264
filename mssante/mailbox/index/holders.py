"""What an index of words can say of messages before any is opened."""

from __future__ import annotations

from typing import Literal, NamedTuple

# Where a needle is looked for. "field": in one field of the header, which the index does not tell apart from
# the others, so it only says where it is not.
Area = Literal["text", "body", "field"]
Numbers = frozenset[int] | set[int]


class Holders(NamedTuple):
    """Of the messages asked about: those that hold a needle, and those that may (the former included)."""

    sure: Numbers
    possible: Numbers
