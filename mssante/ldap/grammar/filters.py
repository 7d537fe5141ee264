"""LDAP search filters, made in one place from a template and values (RFC 4515).

Invariants: a value never changes a filter's structure; all its octets are escaped except ASCII letters and
digits, so it does not matter which characters a parser takes for white space or for special ones.
"""

from __future__ import annotations

from mssante.ldap.grammar.values import refuse_unsafe
from mssante.model import Malformed

_PLAIN = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")


def build_filter(template: str, *values: str) -> str:
    """`template` with each `{}` replaced by the next of `values`, escaped.

    Raises Malformed for an empty value, a control character, or a value over 256 octets. The template
    is a constant of ours; `build_filter` results may be joined into a larger filter as they are.
    """
    return template.format(*(_escaped(value) for value in values))


def _escaped(value: str) -> str:
    refuse_unsafe(value)
    if not value:
        raise Malformed("empty value")  # `=*{}*` would become "present"
    return "".join(chr(octet) if octet in _PLAIN else f"\\{octet:02x}" for octet in value.encode())
