"""Crossing a silence in strides gives the same bytes as stepping through it second by second."""

import json
from collections.abc import Iterator
from dataclasses import fields, replace

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from alerts.dispatch import alert_line
from alerts.rules import Rung
from alerts.schedule import Schedule, Window
from model.alerts import EventKind
from model.messages import ACTION_TOPIC, SERVICE_TOPIC, Messages
from model.time import NS, iso_from_ns
from runtime.advance import Outcome, State, World, advance, beginning
from runtime.inbox import silence_until
from runtime.snapshot import snapshot
from runtime.steps import STEP_NS, steps
from tests.builders import T0, messages, shipped_world

WORLD = shipped_world()
NATIVE = "marchwarden/san-rafael/detections"
RADAR = "radar-west"


def plain_steps(world: World, state: State, batch: Messages, until_ns: int) -> Iterator[tuple[State, Outcome]]:
    """`runtime.steps.steps` as it would be without `runtime.silence`: the reference."""
    taken = 0
    cells = -(-batch.received_ns // STEP_NS) * STEP_NS

    def seconds(until_ns: int) -> Iterator[tuple[State, Outcome]]:
        nonlocal state
        for second_ns in range((state.now_ns // NS + 1) * NS, until_ns + 1, NS):
            state, outcome = advance(world, state, Messages.none(), second_ns)
            yield state, outcome

    while taken < len(batch) and cells[taken] <= until_ns:
        now_ns = int(cells[taken])
        last = int(np.searchsorted(cells, now_ns, side="right"))
        arrived = batch.between(taken, last)
        yield from seconds(silence_until(arrived, now_ns - 1))
        state, outcome = advance(world, state, arrived, now_ns)
        taken = last
        yield state, outcome
    yield from seconds(until_ns)


def bytes_of(results: Iterator[tuple[State, Outcome]]) -> tuple[list[object], list[bytes], int]:
    """What came of the steps, but for those that nothing came of; the last state; and how many steps there were."""
    came: list[object] = []
    count, last = 0, None
    for state, outcome in results:
        count, last = count + 1, state
        parts = {
            f.name: getattr(outcome, f.name) for f in fields(outcome) if f.name not in ("now_ns", "scans", "alerts")
        }
        parts = {name: repr(value) for name, value in parts.items() if len(value) and name != "detections"}
        scans = [
            (s.time_ns, snapshot(s.tracks), snapshot(s.reasons))
            for s in outcome.scans
            if len(s.tracks) or len(s.reasons)
        ]
        alerts = [alert_line(a) for a in outcome.alerts]
        if parts or scans or alerts:
            came.append((outcome.now_ns, parts, scans, alerts))
    assert last is not None
    return came, [snapshot(part) for part in (last.health, last.fusion, last.alerts, last)], count


def assert_same(world: World, batch: Messages, until_ns: int) -> tuple[int, int]:
    """The outcomes and the last state, by strides and plainly; how many steps each took."""
    begun = beginning(world, T0 - 1)
    strides = bytes_of((s, o) for s, o, _ in steps(world, begun, batch, until_ns))
    plain = bytes_of(plain_steps(world, begun, batch, until_ns))
    assert strides[0] == plain[0]
    assert strides[1] == plain[1]
    return strides[2], plain[2]


SECONDS = st.integers(20, 900).map(float)


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """The shipped site with other times in its rules, agencies and fusion."""
    ground = WORLD.ground
    minute = T0 // (60 * NS) % 1440
    window = Window(tuple(range(7)), (minute + draw(st.integers(1, 20))) % 1440, (minute + 30) % 1440)
    nights = Schedule("nights", "UTC", (window,))
    rules = []
    for rule in ground.rules:
        times = {name: round(draw(SECONDS) * NS) for name in ("repeat_ns", "clear_after_ns", "dwell_ns", "join_ns")}
        if rule.kind is EventKind.DWELLING:
            post = replace(rule, id="post", kind=EventKind.ABSENCE, count_min=1, places=rule.places[:1])
            rules.append(
                replace(post, dwell_ns=times["dwell_ns"], repeat_ns=draw(st.sampled_from([0, times["repeat_ns"]])))
            )
        rules.append(replace(rule, **times, schedule=draw(st.sampled_from([rule.schedule, nights]))))
    ladder = tuple(Rung(("minor", "major", "critical"), round(draw(SECONDS) * NS), (), ()) for _ in range(2))
    agencies = tuple(replace(a, ladder=ladder) for a in ground.agencies)
    habits = replace(
        ground.habits, storm_incidents=draw(st.sampled_from([0, 3, 20])), storm_ns=round(draw(SECONDS) * NS)
    )
    inhibitions = draw(st.sampled_from([(), ground.inhibitions]))
    silent = ground.sensors.but(
        silent_after_s=np.array(
            [draw(st.sampled_from([np.inf, 60.0, 305.5, 1000.0])) for _ in range(len(ground.sensors))]
        )
    )
    fusion = replace(
        WORLD.fusion,
        scan_ns=round(draw(st.sampled_from([0.5, 1.0, 2.0])) * NS),
        idle_ns=round(draw(st.sampled_from([0.3, 2.0, 5.0])) * NS),
        lateness_ns=round(draw(st.sampled_from([5.0, 30.0])) * NS),
        memory_ns=60 * NS,
    )
    ground = replace(
        ground,
        rules=tuple(rules),
        agencies=agencies,
        habits=habits,
        inhibitions=inhibitions,
        sensors=silent,
        lateness_ns=fusion.reach_ns,
    )
    return replace(WORLD, ground=ground, fusion=fusion)


@st.composite
def recordings(draw: st.DrawFn) -> Messages:
    """A few moments in which something is heard, far apart."""
    sent: list[tuple[float, str, object]] = []
    at_s, connected = 1.0, True
    for _ in range(draw(st.integers(1, 4))):
        at_s += draw(st.one_of(st.floats(0.1, 40.0), st.floats(100.0, 1000.0)))
        kind = draw(st.sampled_from(["row", "passage", "ahead", "connection", "silence", "heartbeat"]))
        if kind == "connection":
            connected = not connected
            until = draw(st.sampled_from([None, T0 + round((at_s - 5.0) * NS)]))
            sent.append((at_s, SERVICE_TOPIC, {"event": "connected" if connected else "disconnected", "until": until}))
        elif kind == "silence":
            until = iso_from_ns(T0 + round((at_s + draw(SECONDS)) * NS))
            quiet = {"action": "silence", "by": "desk-1", "note": "works", "until": until}
            matchers = {"kind": draw(st.sampled_from(["silent_sensor", "absence", "crossing"]))}
            sent.append((at_s, ACTION_TOPIC, {**quiet, "matchers": matchers}))
        elif kind == "heartbeat":
            sent.append((at_s, f"{NATIVE}/{draw(st.sampled_from([RADAR, 'cam-01', 'gate-1']))}", {"detections": []}))
        else:
            ahead_s = 8.0 if kind == "ahead" else -0.2
            for k in range(12 if kind == "passage" else 1):
                at_s += 1.0
                place = {"lat": 31.335 - 0.0004 * k, "lon": -110.6, "sigma_m": 3.0, "class": "person"}
                sent.append(
                    (at_s, f"{NATIVE}/{RADAR}", {"time": iso_from_ns(T0 + round((at_s + ahead_s) * NS)), **place})
                )
    return messages(*((t, topic, json.dumps(said).encode()) for t, topic, said in sent))


@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
@given(worlds(), recordings(), st.integers(1, 1500))
def test_strides_give_the_bytes_of_single_seconds(world: World, batch: Messages, after_s: int) -> None:
    assert_same(world, batch, int(batch.received_ns[-1]) + after_s * NS)


def test_what_nobody_said_costs_nothing() -> None:
    """A quarter of a year in a few hundred steps, where nobody is to be told that it is quiet."""
    rules = tuple(r for r in WORLD.ground.rules if r.kind not in (EventKind.SILENT_SENSOR, EventKind.COVERAGE_GAP))
    world = replace(WORLD, ground=replace(WORLD.ground, rules=rules))
    batch = messages(*((at_s, f"{NATIVE}/{RADAR}", b'{"detections": []}') for at_s in (1.0, 90 * 86_400.0)))
    count = sum(1 for _ in steps(world, beginning(world, T0), batch, T0 + 91 * 86_400 * NS))
    assert count < 400


def test_a_sensor_silent_for_hours_is_told_of_again_at_the_same_seconds() -> None:
    batch = messages((1.0, f"{NATIVE}/{RADAR}", b'{"detections": []}'))
    strides, plain = assert_same(WORLD, batch, T0 + 7300 * NS)
    assert strides < plain / 5


def test_what_falls_due_in_silence_does_so_at_the_same_second() -> None:
    """An absence under a schedule, sensors that fall silent, ladders, repeats, somebody's silence: one after the other."""
    ground, minute = WORLD.ground, T0 // (60 * NS) % 1440
    nights = Schedule("nights", "UTC", (Window(tuple(range(7)), (minute + 10) % 1440, (minute + 35) % 1440),))
    dwelling = next(r for r in ground.rules if r.kind is EventKind.DWELLING)
    post = replace(dwelling, id="post", kind=EventKind.ABSENCE, count_min=1, places=dwelling.places[:1])
    post = replace(post, dwell_ns=130 * NS, schedule=nights, repeat_ns=0)
    ladder = (Rung(("minor", "major", "critical"), 217 * NS, (), ()),)
    limits = np.full(len(ground.sensors), np.inf)
    limits[0] = 333.5
    ground = replace(
        ground,
        rules=(post, *(replace(r, repeat_ns=411 * NS) for r in ground.rules)),
        agencies=tuple(replace(a, ladder=ladder) for a in ground.agencies),
        sensors=ground.sensors.but(silent_after_s=limits),
    )
    until = iso_from_ns(T0 + 1999 * NS)
    quiet = {
        "action": "silence",
        "by": "desk-1",
        "note": "works",
        "until": until,
        "matchers": {"kind": "silent_sensor"},
    }
    frame = (1.0, f"{NATIVE}/{RADAR}", b'{"detections": []}')  # starts the event clock
    batch = messages(frame, (1.0, ACTION_TOPIC, json.dumps(quiet).encode()))
    strides, plain = assert_same(replace(WORLD, ground=ground), batch, T0 + 3000 * NS)
    assert strides < plain / 8
