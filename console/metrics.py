"""The service's condition for Prometheus."""

from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, disable_created_metrics, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from model.liveness import ALIVE, SensorCondition, ServiceCondition

RUNNING = ServiceCondition.RUNNING
TEXT = CONTENT_TYPE_PLAIN_0_0_4
disable_created_metrics()  # type: ignore[no-untyped-call]  # of counters that are made anew for each answer they would say nothing


def exposition(status: dict[str, Any]) -> bytes:
    """What `Desk.status` says, in Prometheus' text format. Counters count since the service or its database began."""
    registry = CollectorRegistry()

    def gauge(name: str, help: str, value: float) -> None:
        Gauge(f"marchwarden_{name}", help, registry=registry).set(value)

    def counter(name: str, help: str, value: float) -> None:
        Counter(f"marchwarden_{name}", help, registry=registry).inc(value)

    service, sensors = status.get("service", {}), status.get("sensors", [])
    gauge("up", "Whether the service has told of itself in the last half minute", float(status["condition"] in ALIVE))
    gauge("ready", "Whether it runs, hears its broker and keeps up", float(status["condition"] == RUNNING))
    gauge("parts_down", "Processes, threads and tasks that should run and do not", len(status["down"]))
    starts = Counter("marchwarden_starts", "Starts of a process, thread or task", ["part"], registry=registry)
    for process in status["processes"]:
        for part in process["parts"]:
            starts.labels(part["name"]).inc(part["starts"])
    if service:
        gauge("connected", "Whether the broker is there", float(service["connected"]))
        if service["behind_s"] is not None:
            gauge("behind_seconds", "How far the pipeline is behind the clock", service["behind_s"])
        gauge("tracks", "Confirmed tracks", service["tracks"])
        gauge("incidents_open", "Incidents that are not over", service["incidents_open"])
        counter("messages", "Messages taken in since the service started", service["messages"])
        counter("detections", "Detections placed since the service started", service["detections"])
        counter("alerts", "Revisions of alerts since the service started", service["alerts"])
    gauge("sensors", "Registered sensors", len(sensors))
    gauge("sensors_offline", "Sensors that say that they are down", sum(bool(s["offline"]) for s in sensors))
    by_condition = Gauge("marchwarden_sensors_by_condition", "Sensors by condition", ["condition"], registry=registry)
    for condition in SensorCondition:
        by_condition.labels(condition.value).set(sum(s["condition"] == condition for s in sensors))
    deliveries = Gauge("marchwarden_deliveries", "Deliveries by state", ["state"], registry=registry)
    for state, count in status["deliveries"].items():
        deliveries.labels(state).set(count)
    rejected = Counter("marchwarden_rejected", "What could not be used", ["reason", "sensor"], registry=registry)
    for each in status["rejections"]:
        rejected.labels(each["reason"], each["sensor"]).inc(each["count"])
    return generate_latest(registry)
