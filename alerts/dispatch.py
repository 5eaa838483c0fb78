"""From alerts to deliveries: one for each channel that is told.

A channel that never heard of an incident is told of it as raised, whatever revision it is, and never of its end alone. What is
muted goes to nobody, or not to the agency that muted it for itself, but its end goes to those who knew of it.
"""

from collections.abc import Iterable
from typing import Any

from alerts.redaction import redacted, withheld_from
from alerts.routing import channels_of
from alerts.rules import Ground
from alerts.wire import delivery_key, encoded, record_of
from model.alerts import Alert, Delivery, Phase, View
from model.time import iso_from_ns


def dispatched(ground: Ground, alerts: Iterable[Alert]) -> tuple[Delivery, ...]:
    """The deliveries of `alerts`, in their order."""
    deliveries = []
    for alert in alerts:
        incident = alert.incident
        if incident.muted and incident.phase is not Phase.CLEARED:
            continue
        informed = {i.channel: i for i in incident.informed}
        for route, channel in channels_of(ground, incident):
            known = informed.get(channel.id)
            if known is None or (route.muted and incident.phase is not Phase.CLEARED):
                continue
            if alert.agencies and route.agency not in alert.agencies:
                continue
            agency = ground.agency_of[route.agency]
            record = _record_for(ground, alert, withheld_from(agency, route))
            first = {"phase": Phase.RAISED.value} if known.revision == incident.revision else {}
            key = delivery_key(agency.id, channel.id, incident.key, incident.revision)
            told = {
                "delivery": delivery_key(agency.id, channel.id, incident.key, known.revision),
                "time": iso_from_ns(known.told_ns),
            }
            body = record | first | {"delivery": key, "to": agency.id, "first_told": told}
            deliveries.append(Delivery(key, agency.id, channel.id, incident.key, incident.revision, encoded(body)))
    return tuple(deliveries)


def views(ground: Ground, alerts: Iterable[Alert]) -> tuple[View, ...]:
    """The alerts as agencies may see them that may not see all, or that silenced them for themselves."""
    made = []
    for alert in alerts:
        for route in alert.incident.routed:
            withheld = withheld_from(ground.agency_of[route.agency], route)
            if withheld or route.muted:
                record = _record_for(ground, alert, withheld)
                body = encoded(record | {"muted": record["muted"] or route.muted or None})
                made.append(View(alert.incident.key, alert.incident.revision, route.agency, body))
    return tuple(made)


def _record_for(ground: Ground, alert: Alert, withheld: frozenset[str]) -> dict[str, Any]:
    return record_of(redacted(ground, alert, withheld)) | ({"withheld": sorted(withheld)} if withheld else {})


def alert_line(alert: Alert) -> bytes:
    """One line of alerts.ndjson."""
    return encoded(record_of(alert)) + b"\n"


def delivery_line(delivery: Delivery) -> bytes:
    """One line of deliveries.ndjson: where it goes, and the body as sent."""
    head = encoded({"delivery": delivery.key, "agency": delivery.agency, "channel": delivery.channel})
    return head[:-1] + b',"body":' + delivery.body + b"}\n"
