"""Sensors that have fallen silent, that somebody tampers with, and what nobody watches any more because of it.

Judged once a second of received time: what is asked here has no scan.
"""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from alerts.rules import Cover, Ground, Rule
from alerts.schedule import in_force
from alerts.subjects import event_at
from model.alerts import GATEWAY, Detail, Event, EventKind, Evidence
from model.health import Health
from model.liveness import DOWN, ORDER, SensorCondition, condition_codes, silence_ns
from model.time import MS, NS

# A recording keeps times of receipt to the microsecond; keys made from them must come out the same when it is replayed.
ORIGIN_NS = MS
CONDITIONS = {  # as the detail of an event names them
    SensorCondition.SWITCHED_OFF: "switched_off",
    SensorCondition.OFFLINE: "offline",
    SensorCondition.SILENT: "unheard",
    SensorCondition.GATEWAY_DOWN: "gateway_down",
}
NAMED_MAX = 200  # sensors behind a gateway that its event names
TAMPER_NS = 60 * NS  # a word of tampering stands for this long


def equipment_events(ground: Ground, health: Health, now_ns: int) -> list[Event]:
    """An event for each thing that is wrong at `now_ns`, what is lost first and then why, in the order of rules."""
    code = condition_codes(health, ground.sensors.silent_after_s, now_ns)
    return [
        event
        for kind, events in KINDS.items()
        for rule in ground.rules
        if rule.kind is kind and in_force(rule.schedule, now_ns)
        for event in events(ground, rule, health, code, now_ns)
    ]


def equipment_due_ns(ground: Ground, health: Health) -> list[int]:
    """When a sensor falls silent, or a word of tampering is old, of all that have not been heard again till then."""
    silent = health.heard_ns + health.excused_ns + silence_ns(ground.sensors.silent_after_s)
    return [*silent.tolist(), *(health.tampered_ns[health.tampered_ns > 0] + TAMPER_NS).tolist()]


def _silent(ground: Ground, rule: Rule, health: Health, code: NDArray[np.intp], now_ns: int) -> Iterator[Event]:
    """Each sensor that is silent by itself, and each gateway that is down with the sensors that are silent because of it."""
    rows = np.array(rule.sensors, np.int64)
    down = rows[code[rows] == ORDER.index(SensorCondition.GATEWAY_DOWN)]
    for row in rows[code[rows] < ORDER.index(SensorCondition.GATEWAY_DOWN)].tolist():
        detail: Detail = (
            ("condition", CONDITIONS[ORDER[code[row]]]),
            ("silent_s", float((now_ns - int(health.heard_ns[row])) // NS)),
        )
        yield _sensor_event(ground, rule, row, int(health.heard_ns[row]), now_ns, detail)
    for gateway in np.unique(ground.gateway[down]).tolist():
        yield _gateway_event(ground, rule, gateway, down[ground.gateway[down] == gateway], health, now_ns)


def _gateway_event(
    ground: Ground, rule: Rule, gateway: int, behind: NDArray[np.int64], health: Health, now_ns: int
) -> Event:
    """What carries the messages of several sensors is down: one thing that happened, in the middle of them."""
    id, since_ns = ground.gateways[gateway], int(health.gateway_down_ns[behind].min())
    sector = int(np.bincount(np.maximum(ground.sensors.sector[behind], 0)).argmax())
    x, y = ground.sensors.position[behind[ground.sensors.sector[behind] == sector]].mean(axis=0).tolist()
    detail: Detail = (
        ("condition", CONDITIONS[SensorCondition.GATEWAY_DOWN]),
        ("silent_s", float((now_ns - since_ns) // NS)),
        ("sensors", float(len(behind))),
    )
    evidence = tuple(Evidence(ground.sensor_ids[row], int(health.heard_ns[row])) for row in behind[:NAMED_MAX].tolist())
    origin_ns = since_ns // ORIGIN_NS * ORIGIN_NS
    event = event_at(ground, rule, id, sector, (x, y), origin_ns, now_ns, evidence, detail)
    return replace(event, subjects=(f"{GATEWAY}{id}",))


def _tampered(ground: Ground, rule: Rule, health: Health, _: NDArray[np.intp], now_ns: int) -> Iterator[Event]:
    rows = np.array(rule.sensors, np.int64)
    for row in rows[(health.tampered_ns[rows] > 0) & (now_ns - health.tampered_ns[rows] <= TAMPER_NS)].tolist():
        yield _sensor_event(ground, rule, row, int(health.tampered_ns[row]), now_ns, ())


def _sensor_event(ground: Ground, rule: Rule, row: int, last_ns: int, now_ns: int, detail: Detail) -> Event:
    id, (x, y) = ground.sensor_ids[row], ground.sensors.position[row].tolist()
    evidence = (Evidence(id, last_ns),) if last_ns else ()
    origin_ns = last_ns // ORIGIN_NS * ORIGIN_NS
    return event_at(ground, rule, id, int(ground.sensors.sector[row]), (x, y), origin_ns, now_ns, evidence, detail)


def _gap(ground: Ground, rule: Rule, health: Health, code: NDArray[np.intp], now_ns: int) -> Iterator[Event]:
    silent = code < len(DOWN)
    for place, cover in zip(rule.places, rule.cover, strict=True):
        lost = lost_spots(cover, ~silent)
        share = len(lost) / max(cover.spots, 1)
        if len(lost) and share >= rule.share_min:
            x, y = cover.place[lost].mean(axis=0).tolist()
            down = np.unique(cover.sensor[silent[cover.sensor] & np.isin(cover.spot, lost)]).tolist()
            evidence = tuple(Evidence(ground.sensor_ids[row], int(health.heard_ns[row])) for row in down)
            since_ns = max(e.time_ns for e in evidence) // ORIGIN_NS * ORIGIN_NS
            detail: Detail = (("lost_share", round(share, 2)),)
            zone = ground.place_id(rule, place)
            yield event_at(ground, rule, zone, cover.sector, (x, y), since_ns, now_ns, evidence, detail)


def lost_spots(cover: Cover, working: NDArray[np.bool_]) -> NDArray[np.int64]:
    """The spots that could be in view and that no working sensor has in view."""
    return np.setdiff1d(cover.spot, cover.spot[working[cover.sensor]])


KINDS = {
    EventKind.COVERAGE_GAP: _gap,
    EventKind.SILENT_SENSOR: _silent,
    EventKind.TAMPERED_SENSOR: _tampered,
}
