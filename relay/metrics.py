"""What the relay counts, in Prometheus' text format (GET /metrics)."""

from collections.abc import Callable, Iterator

from prometheus_client import GC_COLLECTOR, PROCESS_COLLECTOR, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from relay.alerts import Alerts
from relay.deliveries import Deliveries
from relay.exchange import Exchange
from relay.links import Places
from relay.storage import Storage


class Metrics(Collector):
    """All of it.

    Args:
        exchange, deliveries, alerts, storage, pages: what is counted.

    Attributes:
        others: how many more relays the cluster has.
    """

    def __init__(
        self,
        exchange: Exchange,
        deliveries: Deliveries,
        alerts: Alerts,
        storage: Storage,
        pages: Places,
    ) -> None:
        self._exchange = exchange
        self._deliveries = deliveries
        self._alerts = alerts
        self._storage = storage
        self._pages = pages
        self.others: Callable[[], int] = lambda: 0
        self._registry = CollectorRegistry()
        for collector in (self, PROCESS_COLLECTOR, GC_COLLECTOR):
            self._registry.register(collector)

    def text(self) -> bytes:
        """It in the text format."""
        return generate_latest(self._registry)

    def collect(self) -> Iterator[Metric]:
        """What a registry asks for."""
        counts = self._exchange.counts
        connected = sum(1 for each in self._exchange.connected() if not each.remote)
        yield GaugeMetricFamily("relay_devices_connected", "Devices connected.", connected)
        relays = 1 + self.others()
        yield GaugeMetricFamily("relay_relays", "Relays of the cluster that are heard.", relays)
        known = len(self._exchange.devices)
        yield GaugeMetricFamily("relay_devices_known", "Devices known.", known)
        yield GaugeMetricFamily("relay_pages", "Pages and scripts connected.", self._pages.taken)
        messages = CounterMetricFamily("relay_messages", "Messages received.", labels=["sender"])
        messages.add_metric(["device"], counts["device"])
        messages.add_metric(["page"], counts["page"])
        yield messages
        yield CounterMetricFamily(
            "relay_unanswered", "Requests that no device answered.", counts["unanswered"]
        )
        yield CounterMetricFamily(
            "relay_slow", "Peers closed because they were too slow.", counts["slow"]
        )
        waiting = self._deliveries.total
        yield GaugeMetricFamily("relay_waiting", "Commands that wait for a device.", waiting)
        firing = len(self._alerts.firing)
        yield GaugeMetricFamily("relay_alerts_firing", "Alerts that fire.", firing)
        yield CounterMetricFamily(
            "relay_store_errors", "What could not be kept.", self._storage.errors
        )
