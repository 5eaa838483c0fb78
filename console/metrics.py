"""The service's condition for Prometheus."""

from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, disable_created_metrics, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from model.time import NS, ns_from_iso

TEXT = CONTENT_TYPE_PLAIN_0_0_4
disable_created_metrics()  # type: ignore[no-untyped-call]  # of counters that are made anew for each answer they would say nothing


def exposition(status: dict[str, Any], now_s: float) -> bytes:
    """What `Outbox.status` says, in Prometheus' text format. Counters count since the service or its database began."""
    registry = CollectorRegistry()

    def gauge(name: str, help: str, value: float) -> None:
        Gauge(f"marchwarden_{name}", help, registry=registry).set(value)

    def counter(name: str, help: str, value: float) -> None:
        Counter(f"marchwarden_{name}", help, registry=registry).inc(value)

    service, sensors = status.get("service", {}), status.get("sensors", [])
    gauge("up", "Whether the service has told of itself in the last half minute", float(_fresh(service, now_s)))
    if service:
        gauge("connected", "Whether the broker is there", float(service["connected"]))
        gauge("behind_seconds", "How far the pipeline is behind the clock", service["behind_s"])
        gauge("tracks", "Confirmed tracks", service["tracks"])
        gauge("incidents_open", "Incidents that are not over", service["incidents_open"])
        counter("messages", "Messages taken in since the service started", service["messages"])
        counter("detections", "Detections placed since the service started", service["detections"])
        counter("alerts", "Revisions of alerts since the service started", service["alerts"])
    gauge("sensors", "Registered sensors", len(sensors))
    gauge("sensors_offline", "Sensors that say that they are down", sum(bool(s["offline"]) for s in sensors))
    deliveries = Gauge("marchwarden_deliveries", "Deliveries by state", ["state"], registry=registry)
    for state, count in status["deliveries"].items():
        deliveries.labels(state).set(count)
    rejected = Counter("marchwarden_rejected", "What could not be used", ["reason", "sensor"], registry=registry)
    for each in status["rejections"]:
        rejected.labels(each["reason"], each["sensor"]).inc(each["count"])
    return generate_latest(registry)


def _fresh(service: dict[str, Any], now_s: float) -> bool:
    return bool(service) and now_s - ns_from_iso(service["time"]) / NS < 30.0
