"""LDAP search filters, made in one place from a template and values (RFC 4515).

Invariants: a value never changes a filter's shape; of its octets only ASCII letters and digits go as
they are, the rest as escapes, so no parser's idea of white space or of a special character matters.
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
