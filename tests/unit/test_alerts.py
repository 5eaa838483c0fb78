"""Rules about lines, zones, plates and sensors, and whose they are, as scripts in time."""

from dataclasses import replace

import numpy as np
import pytest

from alerts.dispatch import dispatched
from alerts.rules import Agreement, WatchList
from model.alerts import EventKind, Phase
from model.detections import Detections
from model.time import NS
from tests.builders import detections
from tests.script import Script, between, ground, rule, track

CROSSING = rule(EventKind.CROSSING, places=(0,), direction=1, to_lines=True)
ENTERING = rule(EventKind.ENTERING, places=(0,))
DWELLING = rule(EventKind.DWELLING, places=(0,), confirm_ns=20 * NS, already_inside=True)
WATCHED = WatchList(np.array([77, 78], np.uint64), np.array([77, 77], np.uint64), np.array([0, 1], np.int8))
PLATE = rule(EventKind.WATCHED_PLATE, watch_list=WATCHED, confidence_min=0.6, probability_min=0.1)
SILENT = rule(EventKind.SILENT_SENSOR, sensors=(0, 2), clears="leaving", clear_after_ns=0)


# ── crossing ─────────────────────────────────────────────────────────────────────────────────────


def test_a_walk_over_the_line_is_one_alert_and_it_is_over_when_nobody_is_seen_any_more() -> None:
    script = Script(ground(CROSSING))
    script.walk(0, 40, (1, 0.0, -30.0))
    for second in range(40, 120):
        script.at(second)
    script.want(("raised", between(20, 24)), ("unseen", between(99, 101)))
    incident = script.told[0][1].incident
    assert dict(incident.gravest.detail)["direction"] == "inbound"
    assert incident.evidence[0].sensor == "cam-1"
    assert script.told[1][1].incident.key == incident.key
    assert script.told[1][1].incident.phase is Phase.CLEARED


def test_walking_the_other_way_is_none_of_an_inbound_rules_business() -> None:
    script = Script(ground(CROSSING))
    script.walk(0, 40, (1, 0.0, 30.0), speed=-1.5)
    script.want()


def test_jitter_about_the_line_raises_nothing() -> None:
    script = Script(ground(CROSSING))
    random = np.random.default_rng(5)
    for second in range(120):
        script.at(second, track(1, (0.0, float(random.normal(0, 1.0))), sigma_m=4.0))
    script.want()


def test_who_crosses_before_he_is_confirmed_is_told_of_as_soon_as_he_is() -> None:
    script = Script(ground(CROSSING))
    for second, sure in ((0, False), (1, False), (2, False), (3, True)):
        script.at(second, track(1, (0.0, -10.0 + 10.0 * second)).but(confirmed=np.array([sure])))
    script.want(("raised", between(3, 3)))


def test_an_animal_raises_nothing_where_the_rule_asks_for_people() -> None:
    deer = np.zeros((1, 6))
    deer[0, 2] = 1.0
    script = Script(ground(CROSSING))
    for second in range(20):
        script.at(second, track(1, (0.0, -30.0 + 3 * second)).but(class_probability=deer))
    script.want()


def test_two_who_cross_together_are_one_incident_and_one_far_off_is_another() -> None:
    script = Script(ground(CROSSING))
    script.walk(0, 30, (1, 0.0, -15.0), (2, 20.0, -20.0), (3, 3000.0, -15.0))
    assert [alert.why for _, alert in script.told] == ["raised", "raised", "another_subject"]
    assert len(script.told[2][1].incident.subjects) == 2


def test_a_scan_that_is_run_again_does_not_raise_what_is_raised_already() -> None:
    script = Script(ground(CROSSING))
    script.walk(0, 30, (1, 0.0, -30.0))
    late = script.state
    script.now_s = 17
    script.walk(18, 31, (1, 0.5, -3.0))
    assert [alert.why for _, alert in script.told] == ["raised"]
    assert len(late.incidents) == len(script.state.incidents) == 1


def test_the_key_depends_on_what_happened_and_not_on_when_it_was_processed() -> None:
    keys = []
    for lag_s in (0, 7):
        script = Script(ground(CROSSING), now_s=lag_s)
        script.walk(0, 30, (1, 0.0, -30.0))
        keys.append(script.told[0][1].incident.key)
    assert keys[0] == keys[1]


# ── zones ────────────────────────────────────────────────────────────────────────────────────────


def test_entering_is_told_once_however_long_he_stays() -> None:
    script = Script(ground(ENTERING))
    script.walk(0, 40, (1, 0.0, 80.0))
    script.want(("raised", between(14, 17)))


@pytest.mark.parametrize(("already_inside", "count"), [(False, 0), (True, 1)])
def test_who_is_first_seen_inside_entered_only_if_the_rule_says_so(already_inside: bool, count: int) -> None:
    script = Script(ground(replace(ENTERING, already_inside=already_inside)))
    for second in range(5):
        script.at(second, track(1, (0.0, 150.0)))
    assert len(script.told) == count


def test_leaving_and_coming_back_is_a_second_entry_of_the_same_incident() -> None:
    script = Script(ground(ENTERING))
    script.walk(0, 20, (1, 0.0, 90.0))
    script.walk(20, 40, (1, 0.0, 118.0), speed=-1.5)
    script.walk(40, 60, (1, 0.0, 90.0))
    script.want(("raised", between(7, 10)))


def test_dwelling_is_told_after_its_time_and_parking_for_ten_minutes_is_not_ten_alerts() -> None:
    script = Script(ground(DWELLING))
    for second in range(600):
        script.at(second, track(1, (0.0, 150.0)))
    script.want(("raised", between(20, 21)), ("repeat_interval_elapsed", between(320, 322)))


# ── plates and silence ───────────────────────────────────────────────────────────────────────────


def test_fifty_readings_of_a_watched_plate_are_one_alert() -> None:
    script = Script(ground(PLATE))
    for frame in range(50):
        read = detections(frame * 0.2, [[0.0, 500.0]], sensor=3, plate=np.array([77], np.uint64))
        script.at(frame * 0.2, arrived=read)
    script.want(("raised", between(0, 0)))
    unsure = detections(60, [[0.0, 500.0]], sensor=3, plate=np.array([77], np.uint64)).but(confidence=np.array([0.3]))
    other = detections(60, [[0.0, 500.0]], sensor=3, plate=np.array([79], np.uint64))
    script.at(11, arrived=Detections.joined([unsure, other]))
    assert len(script.told) == 1


def test_a_plate_goes_only_to_those_entitled_to_it() -> None:
    script = Script(ground(PLATE))
    script.at(0, arrived=detections(0, [[0.0, 500.0]], sensor=3, plate=np.array([77], np.uint64)))
    bodies = {d.agency: d.body.decode() for d in dispatched(script.ground, [script.told[0][1]])}
    assert "000000000000004d" in bodies["east"]
    assert "000000000000004d" not in bodies["west"]
    assert "withheld" in bodies["west"]


def test_a_silent_sensor_is_told_of_to_its_owner_and_again_when_it_is_heard() -> None:
    script = Script(ground(SILENT))
    script.at(29)
    script.at(31)
    script.at(32)
    script.health = script.health.but(heard_ns=script.health.heard_ns + 32 * NS)
    script.at(33)
    script.want(("raised", between(31, 31)), ("heard_again", between(33, 33)))
    raised = script.told[0][1].incident
    assert raised.zone == "cam-1"
    assert (raised.routed[0].agency, raised.routed[0].reason) == ("patrol", "owner")


# ── people, and routing ──────────────────────────────────────────────────────────────────────────


def test_an_acknowledged_incident_is_not_repeated_and_a_resolved_one_is_over() -> None:
    script = Script(ground(DWELLING))
    for second in range(30):
        script.at(second, track(1, (0.0, 150.0)))
    script.act(30, "ack", track(1, (0.0, 150.0)))
    script.stay(31, 500, track(1, (0.0, 150.0)))
    script.act(500, "resolve", note="genuine")
    script.want(("raised", between(20, 21)), ("acknowledged", between(30, 30)), ("resolved", between(500, 500)))
    last = script.told[-1][1].incident
    assert (last.acknowledged_by, last.resolution, last.phase) == ("desk-1", "genuine", Phase.CLEARED)


def routed(x: float, agreements: tuple[Agreement, ...] = (), y: float = -30.0) -> list[tuple[str, bool, str]]:
    script = Script(ground(replace(CROSSING, direction=0), agreements=agreements))
    script.walk(0, 30, (1, x, y))
    return [(r.agency, r.lead, r.reason) for r in script.told[0][1].incident.routed]


def test_a_place_in_one_jurisdiction_is_that_agencys() -> None:
    assert routed(-3000.0) == [("west", True, "jurisdiction")]


def test_where_areas_overlap_precedence_decides_and_the_other_gets_a_copy() -> None:
    assert routed(0.0) == [("east", True, "precedence"), ("west", False, "overlap")]


def test_an_agreement_goes_before_precedence() -> None:
    paper = Agreement("mou-7", "west-county", "patrol", ("west",), (EventKind.CROSSING,))
    assert routed(0.0, (paper,)) == [
        ("patrol", True, "agreement:mou-7"),
        ("west", False, "agreement:mou-7"),
        ("east", False, "overlap"),
    ]
    other = replace(paper, kinds=(EventKind.DWELLING,))
    assert routed(0.0, (other,))[0] == ("east", True, "precedence")


def test_a_place_that_is_nobodys_goes_to_the_nearest_with_that_reason() -> None:
    assert routed(-7000.0) == [("west", True, "nearest_jurisdiction")]
