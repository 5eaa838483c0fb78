"""The whole step: what is too late, what was nobody's silence, and who acts on an alert that is gone."""

import json

import numpy as np

from model.messages import ACTION_TOPIC, SERVICE_TOPIC, Messages
from model.rejections import Reason
from model.time import NS, iso_from_ns
from runtime.advance import Outcome, State, beginning
from runtime.steps import steps
from tests.builders import T0, messages, shipped_world

WORLD = shipped_world()
RADAR = "marchwarden/san-rafael/detections/radar-west"


def run(state: State, *sent: tuple[float, str, object], until_s: float) -> tuple[State, list[Outcome]]:
    batch = messages(*((at, topic, json.dumps(said).encode()) for at, topic, said in sent))
    outcomes = []
    for after, outcome, _ in steps(WORLD, state, batch, T0 + round(until_s * NS)):
        state = after
        outcomes.append(outcome)
    return state, outcomes


def seen(at_s: float, late_s: float = 0.1) -> tuple[float, str, object]:
    return at_s + late_s, RADAR, {"time": iso_from_ns(T0 + round(at_s * NS)), "lat": 31.34, "lon": -110.6, "sigma_m": 3}


def raised(outcomes: list[Outcome], rule: str) -> list[str]:
    return [a.incident.zone for o in outcomes for a in o.alerts if a.why == "raised" and a.incident.rule == rule]


def test_a_row_too_late_for_tracking_is_counted_and_still_placed_for_the_history() -> None:
    sent = sorted([seen(t) for t in range(60)] + [seen(10.5, late_s=45.0)], key=lambda s: s[0])
    _, outcomes = run(beginning(WORLD, T0), *sent, until_s=70)
    late = [r for o in outcomes for r in o.rejections if r.reason is Reason.TOO_LATE]
    assert [r.sensor for r in late] == ["radar-west"]
    assert sum(len(o.detections) for o in outcomes) == 61


def test_a_radar_that_stops_is_called_silent_but_an_outage_of_our_own_is_nobodys_silence() -> None:
    talked = [seen(float(t)) for t in range(5)]
    _, quiet = run(beginning(WORLD, T0), *talked, until_s=70)
    assert "radar-west" in raised(quiet, "silent-sensors")
    back = (150.0, SERVICE_TOPIC, {"event": "connected", "until": T0 + 6 * NS})
    _, after = run(beginning(WORLD, T0), *talked, back, seen(150.5), until_s=190)
    assert raised(after, "silent-sensors") == []


def gone(at_s: float, event: str, until_s: float) -> tuple[float, str, object]:
    return at_s, SERVICE_TOPIC, {"event": event, "until": T0 + round(until_s * NS)}


def test_while_the_broker_is_away_no_sensor_is_silent() -> None:
    talked = [seen(float(t)) for t in range(5)]
    away = [gone(6.0, "disconnected", 5.9), gone(156.0, "connected", 155.9)]  # for longer than any may be silent
    state, during = run(beginning(WORLD, T0), *talked, *away, until_s=156)
    _, heard = run(state, seen(156.5), until_s=190)
    assert raised(during, "silent-sensors") + raised(heard, "silent-sensors") == []
    _, unheard = run(state, until_s=230)
    assert "radar-west" in raised(unheard, "silent-sensors")


def test_what_waited_at_the_broker_while_the_service_was_down_is_tracked_however_long_starting_takes() -> None:
    waited = [(100.0 + 0.001 * t, *seen(float(t))[1:]) for t in range(5, 95)]
    starts = [gone(70.0, "disconnected", 6.0), gone(100.2, "connected", 99.8)]
    sent = sorted([*(seen(float(t)) for t in range(5)), *waited, *starts], key=lambda s: s[0])
    _, outcomes = run(beginning(WORLD, T0), *sent, until_s=130)
    assert [r for o in outcomes for r in o.rejections] == []
    assert len({s.time_ns for o in outcomes for s in o.scans if s.tracks.confirmed.any()}) > 85


def test_an_action_on_an_alert_that_never_was_is_counted() -> None:
    _, outcomes = run(
        beginning(WORLD, T0), (1.0, ACTION_TOPIC, {"action": "ack", "alert": "A1", "by": "desk-1"}), until_s=2
    )
    assert [r.reason for o in outcomes for r in o.rejections] == [Reason.ACTION_REFUSED]


def test_nonsense_on_the_services_own_topics_stops_nothing() -> None:
    batch = Messages(
        np.array([T0 + NS, T0 + NS]), (SERVICE_TOPIC, ACTION_TOPIC), (b"\xff", b"[]"), np.zeros(2, np.bool_)
    )
    outcomes = [o for _, o, _ in steps(WORLD, beginning(WORLD, T0), batch, T0 + 2 * NS)]
    assert [r.reason for o in outcomes for r in o.rejections] == [Reason.WRONG_SHAPE] * 2
