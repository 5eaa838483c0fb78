"""From alerts to deliveries: one for each agency that is told and each of its channels."""

from collections.abc import Iterable

from alerts.rules import Ground
from alerts.wire import delivery_key, encoded, record_of
from model.alerts import Alert, Delivery


def dispatched(ground: Ground, alerts: Iterable[Alert]) -> tuple[Delivery, ...]:
    """The deliveries of `alerts`, in their order."""
    agencies = {agency.id: agency for agency in ground.agencies}
    deliveries = []
    for alert in alerts:
        for route in alert.incident.routed:
            agency = agencies[route.agency]
            for channel, _ in agency.channels:
                key = delivery_key(agency.id, channel, alert.incident.key, alert.incident.revision)
                record = record_of(alert, agency.plates) | {"delivery": key, "to": agency.id}
                deliveries.append(
                    Delivery(key, agency.id, channel, alert.incident.key, alert.incident.revision, encoded(record))
                )
    return tuple(deliveries)


def alert_line(alert: Alert) -> bytes:
    """One line of alerts.ndjson."""
    return encoded(record_of(alert)) + b"\n"


def delivery_line(delivery: Delivery) -> bytes:
    """One line of deliveries.ndjson: where it goes, and the body as sent."""
    head = encoded({"delivery": delivery.key, "agency": delivery.agency, "channel": delivery.channel})
    return head[:-1] + b', "body": ' + delivery.body + b"}\n"
