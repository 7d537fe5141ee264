"""Who gets a place, and what a flood of refusals becomes."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mssante.limits import (
    CONNECTIONS_DISMISSED_AT_ONCE,
    KNOWN_ADDRESSES_REMEMBERED_MAX,
    REPEATED_KINDS_MAX,
)
from mssante.net.places import Caps, Places, prefix_of
from mssante.net.repeated import Repeated

CAPS = Caps(total=10, per_address=4, pre_tls=10, pre_tls_per_address=3, reserved_for_known=0.2)


@pytest.mark.parametrize(
    ("remote", "prefix"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::1", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("local", "local"),
    ],
)
def test_what_counts_as_one_address(remote: str, prefix: str) -> None:
    assert prefix_of(remote) == prefix


def test_one_subscriber_of_ipv6_has_the_places_of_one_address() -> None:
    places = Places(CAPS)
    taken = 0
    for host in range(100):
        prefix = prefix_of(f"2001:db8::{host:x}")
        if not places.full(prefix):
            places.take(prefix)
            places.secured(prefix)
            taken += 1
    assert taken == CAPS.per_address
    assert not places.full(prefix_of("2001:db8:0:1::1"))


def test_the_reserve_is_for_those_who_have_proved_themselves() -> None:
    places = Places(CAPS)
    for host in range(8):
        places.take(f"192.0.2.{host}")
        places.secured(f"192.0.2.{host}")
    assert places.full("198.51.100.1") == "too many connections"
    places.know("198.51.100.1", "CN=a peer")
    assert places.full("198.51.100.1") is None
    places.give_back("192.0.2.0")
    assert places.full("198.51.100.2") is None


def test_one_party_with_many_addresses_leaves_the_reserve_to_others() -> None:
    places = Places(CAPS)
    places.know("203.0.113.1", "CN=another peer")
    for host in range(20):
        prefix = f"192.0.2.{host}"
        places.know(prefix, "CN=a peer")
        if places.full(prefix) is None:
            places.take(prefix)
            places.secured(prefix)
    assert places.full("203.0.113.1") is None


def test_one_party_with_many_addresses_makes_nobody_else_a_stranger() -> None:
    places = Places(CAPS)
    places.know("203.0.113.1", "CN=another peer")
    for host in range(2 * KNOWN_ADDRESSES_REMEMBERED_MAX):
        places.know(f"192.0.{host >> 8}.{host & 255}", "CN=a peer")
    for host in range(8):
        places.take(f"198.51.100.{host}")
        places.secured(f"198.51.100.{host}")
    assert places.full("203.0.113.1") is None
    assert places.full("192.0.0.0") == "too many connections"  # its oldest went


def test_so_many_are_dismissed_with_a_word_and_no_more() -> None:
    places = Places(CAPS)
    places.dismissed = CONNECTIONS_DISMISSED_AT_ONCE - 1
    assert places.may_dismiss()
    places.dismissed += 1
    assert not places.may_dismiss()


class Timers:
    def __init__(self) -> None:
        self.waiting: list[Callable[[], None]] = []

    def later(self, _seconds: float, call: Callable[[], None]) -> None:
        self.waiting.append(call)

    def ring(self) -> None:
        due, self.waiting = self.waiting, []
        for call in due:
            call()


def test_what_is_repeated_is_told_once_and_then_summed() -> None:
    told: list[tuple[str, int]] = []
    timers = Timers()
    repeated = Repeated[str](
        lambda kind, times: told.append((kind, times)), rest="others", later=timers.later
    )
    for _ in range(1000):
        repeated.happened("a")
    repeated.happened("b")
    assert told == [("a", 1), ("b", 1)]
    timers.ring()
    assert told == [("a", 1), ("b", 1), ("a", 999)]
    timers.ring()
    repeated.happened("a")
    assert told[-1] == ("a", 1)


def test_kinds_without_end_become_one() -> None:
    told: list[tuple[str, int]] = []
    timers = Timers()
    repeated = Repeated[str](
        lambda kind, times: told.append((kind, times)), rest="others", later=timers.later
    )
    for number in range(5 * REPEATED_KINDS_MAX):
        repeated.happened(str(number))
    assert len(told) == REPEATED_KINDS_MAX + 1
    timers.ring()
    assert told[-1] == ("others", 4 * REPEATED_KINDS_MAX - 1)
