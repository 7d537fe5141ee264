"""How many connections one port accepts at once, in total and from each address.

Invariants: every connection is counted from beginning to end, and a refused one while it is told so and
closed; an address stands for one subscriber, so a whole IPv6 /64 counts as one (RFC 6177 §2); some places are
reserved for addresses where somebody has proved who they are, so that silent strangers cannot take all of
them (R8); nor can one party (a peer or a person) that has proved itself at many addresses: above its share it
is let in as a stranger is, and it never makes us forget the addresses of those who have fewer.
"""

from __future__ import annotations

import ipaddress
from collections import Counter, OrderedDict
from dataclasses import dataclass

from mssante import limits
from mssante.observe.terms import ConnectionCause

_PREFIX_V6 = 64
_NETWORK_V4 = 24
_NETWORK_V6 = 48


@dataclass(frozen=True, slots=True, kw_only=True)
class Caps:
    """How many connections at once. An address that has not proved itself can use only the share
    `1 - reserved_for_known` of the two totals (R8), and neither can a party that has `share_of_party` of the
    port's places."""

    total: int = limits.CONNECTIONS_MAX
    per_address: int = limits.CONNECTIONS_PER_ADDRESS_MAX
    pre_tls: int = limits.CONNECTIONS_PRE_TLS_MAX
    pre_tls_per_address: int = limits.CONNECTIONS_PRE_TLS_PER_ADDRESS_MAX
    reserved_for_known: float = limits.CONNECTIONS_RESERVED_FOR_KNOWN
    share_of_party: float = limits.CONNECTIONS_SHARE_OF_PARTY
    handshake_seconds: float = limits.HANDSHAKE_SECONDS_MAX
    write_seconds: float = limits.WRITE_SECONDS_MAX


def prefix_of(remote: str) -> str:
    """What counts as one address: an IPv4 address, or the /64 of an IPv6 one. Other text stays as it is."""
    address = _address(remote)
    if address is None or isinstance(address, ipaddress.IPv4Address):
        return remote if address is None else str(address)
    return str(ipaddress.ip_network((address, _PREFIX_V6), strict=False))


def network_of(remote: str) -> str:
    """What strangers share by: the /24 of an IPv4 address, the /48 of an IPv6 one, because one who changes
    addresses has many of the same network (RFC 6177 §2: a site gets at most a /48). Other text stays."""
    address = _address(remote)
    if address is None:
        return remote
    width = _NETWORK_V4 if isinstance(address, ipaddress.IPv4Address) else _NETWORK_V6
    return str(ipaddress.ip_network((address, width), strict=False))


def _address(remote: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The address, a mapped IPv4 address as itself; None for other text."""
    try:
        address = ipaddress.ip_address(remote.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


class Places:
    """Counts connections by prefix (`prefix_of`). A place is taken once and given back once."""

    def __init__(self, caps: Caps) -> None:
        self._caps = caps
        self._taken = 0
        self._by_prefix: Counter[str] = Counter()
        self._pre_tls = 0
        self._pre_tls_by_prefix: Counter[str] = Counter()
        self._known: OrderedDict[str, str] = OrderedDict()  # prefix: who proved themselves there last
        self.dismissed = 0

    def know(self, prefix: str, party: str) -> None:
        """Opens the reserved places to this prefix, where a party has proved who it is."""
        self._known[prefix] = party
        self._known.move_to_end(prefix)
        if len(self._known) > limits.KNOWN_ADDRESSES_REMEMBERED_MAX:
            ((most, _),) = Counter(self._known.values()).most_common(1)
            del self._known[next(each for each, party in self._known.items() if party == most)]

    def full(self, prefix: str) -> ConnectionCause | None:
        """Why there is no place for one more connection; None when there is one."""
        caps = self._caps
        known = prefix in self._known
        share = 1.0 - caps.reserved_for_known
        if self._by_prefix[prefix] >= caps.per_address:
            return ConnectionCause.TOO_MANY_FROM_ADDRESS
        # A peer that has proved itself may open all its connections at once, as its queue does after a stop.
        if not known and self._pre_tls_by_prefix[prefix] >= caps.pre_tls_per_address:
            return ConnectionCause.TOO_MANY_WITHOUT_TLS_FROM_ADDRESS
        is_short = self._taken >= caps.total * share or self._pre_tls >= caps.pre_tls * share
        if is_short and known and self._held_by(self._known[prefix]) < caps.total * caps.share_of_party:
            share = 1.0
        if self._taken >= caps.total * share:
            return ConnectionCause.TOO_MANY
        if self._pre_tls >= caps.pre_tls * share:
            return ConnectionCause.TOO_MANY_WITHOUT_TLS
        return None

    def _held_by(self, party: str) -> int:
        """How many places the party has, at all addresses where it was the last to prove itself."""
        return sum(self._by_prefix[prefix] for prefix, each in self._known.items() if each == party)

    def take(self, prefix: str) -> None:
        """Counts a new connection. It has no TLS yet."""
        self._taken += 1
        self._by_prefix[prefix] += 1
        self._pre_tls += 1
        self._pre_tls_by_prefix[prefix] += 1

    def secured(self, prefix: str) -> None:
        """The connection has TLS now, or it ends: it does not count as one without TLS any more."""
        self._pre_tls -= 1
        _less(self._pre_tls_by_prefix, prefix)

    def give_back(self, prefix: str) -> None:
        """The connection has ended. Call `secured` for it first."""
        self._taken -= 1
        _less(self._by_prefix, prefix)

    def may_dismiss(self) -> bool:
        """Whether one more refused connection may be told so before it is closed; otherwise it is cut at
        once. The caller counts it in `dismissed` for as long as it lasts."""
        return self.dismissed < limits.CONNECTIONS_DISMISSED_AT_ONCE


def _less(counter: Counter[str], key: str) -> None:
    counter[key] -= 1
    if counter[key] <= 0:
        del counter[key]
