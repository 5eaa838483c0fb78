"""Exceptions planted in every stage of a step: what raises is left out and told of, and everything else goes on."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from alerts.judge import judged
from fusion.order import fuse
from model.faults import FaultKind
from model.messages import Messages
from model.rejections import Reason
from model.time import NS, iso_from_ns
from runtime import advance as whole
from runtime import recovery
from runtime.advance import Outcome, World, beginning
from runtime.recovery import TRIES_MAX, Raised, sifted
from runtime.replay import replayed
from sensors.decode import decode
from tests.builders import T0, messages, shipped_world

RADAR, OTHER = "marchwarden/san-rafael/detections/radar-west", "marchwarden/san-rafael/detections/radar-east"
MARK = b'"planted"'


class Planted(Exception):
    """What nobody foresaw."""


def said(at_s: float, lat: float = 31.34, id: str = "") -> bytes:
    mark = f', "source_id": "{id}"' if id else ""
    return f'{{"time": "{iso_from_ns(T0 + round(at_s * NS))}", "lat": {lat}, "lon": -110.6, "class": "person"{mark}}}'.encode()


def walk(seconds: int) -> list[tuple[float, str, bytes]]:
    """One who walks over the line in view of a radar."""
    return [(second + 0.1, RADAR, said(second, 31.33230 + second * 0.00003)) for second in range(seconds)]


def outcomes(world: World, sent: list[tuple[float, str, bytes]], chunk: int = 1 << 30) -> list[Outcome]:
    recorded = messages(*sorted(sent, key=lambda each: each[0]))
    batches = [recorded.between(i, min(i + chunk, len(recorded))) for i in range(0, len(recorded), chunk)]
    return list(replayed(world, batches))


def alerts_of(found: list[Outcome]) -> list[tuple[str, int]]:
    return [
        (alert.incident.key, alert.incident.revision)
        for outcome in found
        for alert in outcome.alerts
        if alert.incident.kind.value != "system_fault"
    ]


def faults_of(found: list[Outcome]) -> set[tuple[str, str]]:
    return {(fault.kind.value, fault.about) for outcome in found for fault in outcome.faults}


def left_out(found: list[Outcome]) -> list[bytes]:
    return [aside.payload for outcome in found for aside in outcome.aside]


@pytest.fixture
def plant(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, Callable[..., bool]], None]:
    """Lets a stage of `advance` raise when a test on its arguments is true."""

    def planted(name: str, bad: Callable[..., bool]) -> None:
        real = getattr(whole, name)

        def raising(*given: Any) -> Any:
            if bad(*given):
                raise Planted(f"in {name}")
            return real(*given)

        monkeypatch.setattr(whole, name, raising)

    return planted


def row_is_marked(rows: Any) -> bool:
    return bool((np.abs(rows.velocity_sigma_mps - 77.0) < 1e-6).any())


MESSAGE_STAGES: dict[str, Callable[..., bool]] = {
    "opened": lambda m, *_: any(MARK in p for p in m.payloads),
    "decode": lambda c, s, i, m: any(MARK in p for p in m.payloads),
    "place": lambda c, s, z, readings: bool((readings.confidence == 0.123).any()),
    "advance_health": lambda c, h, heard, unplaced: bool((heard.readings.confidence == 0.123).any()),
    "fuse": lambda se, c, s, st, rows, *_: bool((rows.confidence == 0.123).any()),
    "judged": lambda g, st, rows, *_: bool((rows.confidence == 0.123).any()),
}


def marked(at_s: float) -> bytes:
    return said(at_s, 31.38, "planted")[:-1].replace(b'"person"', b'{"person": 1.0}') + b', "confidence": 0.123}'


@pytest.mark.parametrize("stage", MESSAGE_STAGES)
def test_a_message_that_lets_a_stage_raise_is_left_out_and_the_rest_goes_on(stage: str, plant: Any) -> None:
    world = shipped_world()
    undisturbed = outcomes(world, walk(40))
    assert alerts_of(undisturbed)
    sent = [*walk(40), *((s + 0.15, OTHER, marked(s)) for s in range(10, 20))]
    plant(stage, MESSAGE_STAGES[stage])
    found = outcomes(world, sent)
    assert alerts_of(found) == alerts_of(undisturbed)
    assert left_out(found) == [marked(s) for s in range(10, 20)]
    rejected = [r for o in found for r in o.rejections if r.reason is Reason.STEP_FAILED]
    assert [r.topic for r in rejected] == [OTHER] * 10
    assert {kind for kind, _ in faults_of(found)} == {"step_failed"}
    incidents = {a.incident.key for o in found for a in o.alerts if a.incident.kind.value == "system_fault"}
    assert len(incidents) == 1


def test_what_is_left_out_is_the_same_however_the_recording_is_cut(plant: Any) -> None:
    world = shipped_world()
    sent = [*walk(30), *((s + 0.15, OTHER, marked(s)) for s in range(10, 20))]
    plant("place", MESSAGE_STAGES["place"])
    whole_, cut = outcomes(world, sent), outcomes(world, sent, chunk=1)
    assert left_out(whole_) == left_out(cut)
    assert [o.alerts for o in whole_ if o.alerts] == [o.alerts for o in cut if o.alerts]
    assert [o.deliveries for o in whole_ if o.deliveries] == [o.deliveries for o in cut if o.deliveries]


def test_of_many_such_messages_of_one_sender_those_of_others_in_the_same_step_are_kept(
    plant: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = shipped_world()
    calls: list[int] = []
    real = recovery.advance
    monkeypatch.setattr(recovery, "advance", lambda *given: calls.append(1) or real(*given))
    plant("decode", MESSAGE_STAGES["decode"])
    flood = [(10.15, OTHER, marked(10) + b" " * n) for n in range(500)]
    found = outcomes(world, [*walk(20), *flood])
    assert sum(1 for o in found for r in o.rejections if r.reason is Reason.STEP_FAILED) == 500
    assert max(len(o.aside) for o in found) == recovery.ASIDE_MAX
    assert sum(len(o.detections) for o in found) == 20
    assert len(calls) < len(found) + TRIES_MAX


def test_a_detection_that_lets_a_later_scan_raise_is_left_out_and_no_other(plant: Any) -> None:
    """It waits in fusion when the step of its message is over; the step that closes its scan is full of others' messages."""
    world = shipped_world()
    undisturbed = outcomes(world, walk(40))

    def closes_with_it(settings: Any, c: Any, s: Any, state: Any, arrived: Any, looks: Any, idle: Any) -> bool:
        _, fused = fuse(settings, c, s, state, arrived, looks, idle)
        if not fused.scans:
            return False
        ends = {scan.time_ns for scan in fused.scans}
        rows = [*(chunk.rows for chunk in state.chunks), arrived]
        return any(-(-int(t) // NS) * NS in ends for each in rows for t in each.observed_ns[each.confidence == 0.123])

    plant("fuse", closes_with_it)
    found = outcomes(world, [*walk(40), (20.15, OTHER, marked(20))])
    assert alerts_of(found) == alerts_of(undisturbed)
    (aside,) = [a for o in found for a in o.aside]
    assert aside.topic == "detections/radar-east"
    assert sum(1 for o in found for r in o.rejections if r.reason is Reason.STEP_FAILED) == 1


def test_where_the_tracks_themselves_raise_tracking_begins_anew_and_incidents_stay(plant: Any) -> None:
    world = shipped_world()
    undisturbed = outcomes(world, walk(40))
    raised = {key for key, revision in alerts_of(undisturbed) if revision == 1}
    plant("fuse", lambda se, c, s, state, rows, *_: state.clock_ns > T0 + 30 * NS and len(state.tracks) > 0)
    found = outcomes(world, walk(40))
    assert {key for key, _ in alerts_of(found)} >= raised
    assert ("state_lost", "runtime.advance") in faults_of(found)
    assert sum(len(o.detections) for o in found) == 40
    nobody = [
        (s + 0.1, RADAR, f'{{"time": "{iso_from_ns(T0 + s * NS)}", "detections": []}}'.encode())
        for s in range(40, 400, 5)
    ]
    over = {a.incident.key for o in outcomes(world, [*walk(40), *nobody]) for a in o.alerts if a.why == "unseen"}
    assert over >= raised


def test_an_incident_that_lets_judging_raise_is_let_go_and_the_others_stay(plant: Any) -> None:
    world = shipped_world()
    two = [
        *walk(40),
        *((s + 0.2, RADAR, said(s, 31.33230 + s * 0.00003).replace(b"-110.6,", b"-110.612,")) for s in range(40)),
    ]
    keys = sorted({key for key, _ in alerts_of(outcomes(world, two))})
    assert len(keys) >= 2
    plant("judged", lambda g, state, *_: any(i.key == keys[0] and i.revision >= 1 for i in state.incidents))
    found = outcomes(world, two)
    told = {key for key, _ in alerts_of(found)}
    assert set(keys[1:]) <= told
    lost = [f for o in found for f in o.faults if f.kind is FaultKind.STATE_LOST]
    assert any(keys[0] in f.detail for f in lost)


def test_a_timer_that_raises_costs_its_second_and_no_message(plant: Any) -> None:
    world = shipped_world()
    plant("judged", lambda *given: given[7] // NS < given[8] // NS)  # before_ns, now_ns: a whole second has passed
    found = outcomes(world, walk(40))
    assert alerts_of(found)
    assert sum(len(o.detections) for o in found) == 40
    assert left_out(found) == []


@pytest.mark.parametrize("stage", MESSAGE_STAGES | {"dispatched": None, "place": None})
def test_a_stage_that_always_raises_ends_nothing_and_every_message_is_accounted_for(stage: str, plant: Any) -> None:
    world = shipped_world()
    plant(stage, lambda *_: True)
    found = outcomes(world, walk(20))
    assert len(left_out(found)) == 20
    assert sum(1 for o in found for r in o.rejections if r.reason is Reason.STEP_FAILED) == 20
    assert {kind for kind, _ in faults_of(found)} == {"step_failed"}
    times = [o.now_ns for o in found]
    assert times == sorted(set(times))


def test_a_fault_whose_incident_cannot_be_raised_is_counted_all_the_same(plant: Any) -> None:
    world = shipped_world()
    plant("decode", MESSAGE_STAGES["decode"])
    real = whole.judged
    plant("judged", lambda *given: len(given[9]) > 0)
    found = outcomes(world, [*walk(20), (10.15, OTHER, marked(10))])
    assert real is judged
    assert faults_of(found) == {("step_failed", "runtime.advance")}
    assert alerts_of(found) == alerts_of(outcomes(world, walk(20)))


def test_a_plate_in_an_exceptions_words_is_in_no_fault_and_no_rejection(monkeypatch: pytest.MonkeyPatch) -> None:
    def raising(*given: Any) -> Any:
        if any(MARK in p for p in given[3].payloads):
            raise ValueError("could not convert 'TST0001'")
        return decode(*given)

    monkeypatch.setattr(whole, "decode", raising)
    found = outcomes(shipped_world(), [(1.0, OTHER, marked(1))])
    assert any("TST0001" in a.error for o in found for a in o.aside)
    assert not any("TST0001" in f.detail for o in found for f in o.faults)
    assert not any("TST0001" in r.detail for o in found for r in o.rejections)


def test_sifting_finds_the_ones_that_raise_among_many() -> None:
    bad, tries = {3, 500, 999}, list[int]()

    def works(kept: list[int]) -> int | Raised:
        tries.append(len(kept))
        return Raised("Planted", "x", "") if bad & set(kept) else len(kept)

    result, kept, out = sifted([i % 10 for i in range(1000)], works, 0)
    assert (result, len(kept), set(out)) == (997, 997, bad)
    assert len(tries) <= 2 * 3 * 11


def test_a_step_takes_a_bounded_number_of_tries_whatever_raises(plant: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    world = shipped_world()
    calls: list[int] = []
    real = recovery.advance
    monkeypatch.setattr(recovery, "advance", lambda *given: calls.append(1) or real(*given))
    plant("decode", lambda *given: any(MARK in p for p in given[-1].payloads))
    many = messages(*((0.05, f"{OTHER}/{n}", marked(0)) for n in range(2000)))
    state, outcome = recovery.take_step(world, beginning(world, T0 - 1), many, T0 + NS // 10)
    assert len(calls) <= TRIES_MAX + 2
    assert len(outcome.rejections) >= 2000
    assert state.now_ns == T0 + NS // 10


def test_a_state_that_is_poisoned_before_it_is_read_from_disk_is_left_behind() -> None:
    """As the position of an infinite covariance that an earlier version took in: every step from that state raises."""
    world = shipped_world()
    state = beginning(world, T0 - 1)
    for after, _, _ in recovery_steps(world, state, messages(*walk(20))):
        state = after
    poisoned = replace(
        state,
        fusion=replace(
            state.fusion,
            checkpoints=tuple(
                replace(c, tracks=None)
                for c in state.fusion.checkpoints  # type: ignore[arg-type]
            ),
        ),
    )
    found = list(recovery_steps(world, poisoned, messages(*((s + 20.1, RADAR, said(s + 20)) for s in range(5)))))
    assert {f.kind for _, o, _ in found for f in o.faults} == {FaultKind.STATE_LOST}
    assert {i.key for i in found[-1][0].alerts.incidents} >= {i.key for i in state.alerts.incidents}
    assert sum(len(o.detections) for _, o, _ in found) == 5


def recovery_steps(world: World, state: Any, sent: Messages) -> Iterator[tuple[Any, Outcome, int]]:
    from runtime.steps import steps

    return steps(world, state, sent, int(sent.received_ns[-1]) + NS)
