"""Events as Prometheus counters: how many of each, by reason where there is one.

Invariants: labels come from fixed sets (event names, reasons, listeners), never from a peer's words.
"""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from mssante.observe.event import Event, add_sink
from mssante.observe.events import MessageAccepted, TrustSpaceLoaded
from mssante.observe.log import name_of

LABELS = ("reason", "listener", "protocol", "source")


class Metrics:
    """One registry fed by events. `text()` is the page Prometheus reads."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._events = Counter("mssante_events", "Events by name", ["event", *LABELS], registry=self.registry)
        self._bytes = Histogram(
            "mssante_message_bytes",
            "Sizes of accepted messages",
            buckets=(4096, 65536, 1 << 20, 10 << 20, 50 << 20),
            registry=self.registry,
        )
        self._domains = Gauge("mssante_trust_domains", "Domains in the trust space", registry=self.registry)

    def start(self) -> Callable[[], None]:
        """Counts every event from now on. Call what is returned to stop it."""
        return add_sink(self._count)

    def _count(self, event: Event) -> None:
        labels = [str(getattr(event, label, "")) for label in LABELS]
        self._events.labels(name_of(event), *labels).inc()
        if isinstance(event, MessageAccepted):
            self._bytes.observe(event.bytes)
        elif isinstance(event, TrustSpaceLoaded):
            self._domains.set(event.domains)

    def text(self) -> bytes:
        return generate_latest(self.registry)
