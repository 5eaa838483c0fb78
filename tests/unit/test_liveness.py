"""One notion of what is alive, for sensors and for the service: from the age of the last sign, wherever it is asked."""

from typing import Any

import numpy as np
import pytest

from alerts.equipment import equipment_events
from console.live import condition
from console.metrics import exposition
from model.health import Health
from model.liveness import ALIVE_NS, SensorCondition, down, judged, sensor_conditions
from model.time import NS, iso_from_ns
from tests.script import ground
from tests.unit.test_alerts import SILENT

T0 = 1_795_000_000 * NS


def report(process: str = "service", age_s: float = 1.0, ended: bool = False, **parts: str | None) -> dict[str, Any]:
    made = [{"name": n, "since": s, "starts": 2, "error": "ValueError: x"} for n, s in parts.items()]
    time = iso_from_ns(T0 - int(age_s * NS))
    return {"process": process, "time": time, "ended": ended, "parts": made, "configuration": None}


def status(state_age_s: float = 1.0, connected: bool = True, sensor: str = "working") -> dict[str, Any]:
    at = iso_from_ns(T0 - int(state_age_s * NS))
    service = {"time": at, "step_newest": at, "behind_s": 0.3, "connected": connected, "tracks": 1, "incidents_open": 1}
    return {
        "service": service | {"messages": 1, "detections": 1, "alerts": 1},
        "sensors": [{"sensor": "radar-west", "condition": sensor, "offline": False, "heard": at}],
        "deliveries": {"waiting": 0, "dead": 0, "delivered": 1},
        "rejections": [],
    }


NOTHING: dict[str, Any] = {"deliveries": {"waiting": 0, "dead": 0, "delivered": 0}, "rejections": []}
DAYS_S = 3 * 86_400.0


@pytest.mark.parametrize(
    ("last", "processes", "wanted", "sensor"),
    [
        (status(), [report()], "running", "working"),
        (status(connected=False), [report()], "disconnected", "working"),
        (status(DAYS_S), [report(age_s=DAYS_S, ended=True)], "stopped", "unknown"),
        (status(), [report(ended=True)], "stopped", "unknown"),
        (status(DAYS_S), [report(age_s=DAYS_S)], "not_running", "unknown"),
        (status(DAYS_S), [], "not_running", "unknown"),
        (status(DAYS_S), [report()], "behind", "unknown"),  # it runs, and its journal gives it nothing
        (NOTHING, [report()], "behind", None),
        (NOTHING, [], "never_ran", None),
    ],
)
def test_page_metrics_and_command_agree_on_the_service(
    last: dict[str, Any], processes: list[dict[str, Any]], wanted: str, sensor: str | None
) -> None:
    found = judged(last, processes, T0)
    alive = wanted in ("running", "disconnected", "behind")
    assert found["condition"] == wanted
    assert [s["condition"] for s in found["sensors"]] == ([] if sensor is None else [sensor])
    assert condition(found, "2026-11-25T14:00:00Z")["running"] is alive
    text = exposition(found).decode()
    assert f"marchwarden_up {float(alive)}" in text
    assert f"marchwarden_ready {float(wanted == 'running')}" in text
    if found["service"] and not alive:
        assert (found["service"]["connected"], found["service"]["behind_s"]) == (False, None)


def test_the_delay_is_that_of_now_and_not_of_when_it_was_written() -> None:
    assert judged(status(20.0), [report()], T0)["service"]["behind_s"] == 20.0


def test_what_is_down_is_named_and_a_process_that_stands_still_counts_as_down() -> None:
    since = iso_from_ns(T0 - NS)
    processes = [
        report(**{"ingest process": since, "channel west": None}),
        report("console", age_s=ALIVE_NS / NS + 1, **{"live view": since}),
        report("ingest", ended=True, **{"TAK stream": None}),
    ]
    assert [name for name, _ in down(processes, T0)] == ["channel west", "console process"]
    assert judged(status(), processes, T0)["down"][0] == "The channel west is down: ValueError: x"


def test_a_sensor_is_silent_for_the_page_exactly_when_the_rule_says_so() -> None:
    world = ground(SILENT)
    count, after_s = len(world.sensor_ids), world.sensors.silent_after_s
    rows = [row for row in SILENT.sensors if np.isfinite(after_s[row])]
    assert rows
    limit_ns = int(after_s[rows[0]] * NS)
    for past_ns in (-NS, 0, 1, NS):
        for offline in (False, True):
            health = Health.blank(count).but(
                heard_ns=np.full(count, T0, np.int64),
                messages=np.ones(count, np.int64),
                offline=np.full(count, offline),
            )
            now_ns = T0 + limit_ns + past_ns
            told = {e.zone for e in equipment_events(world, health, now_ns)}
            conditions = sensor_conditions(health, after_s, now_ns)
            for row in rows:
                bad = conditions[row] in (SensorCondition.SILENT, SensorCondition.OFFLINE)
                assert bad is (world.sensor_ids[row] in told)
