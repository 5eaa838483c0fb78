"""A reader that says a watched plate must not take the alert of another reader, far away, into its own incident."""

from dataclasses import replace

import numpy as np

from alerts.rules import WatchList
from model.alerts import EventKind
from model.detections import Detections
from model.time import NS
from tests.builders import detections
from tests.script import Script, between, ground, rule, track

WATCHED = WatchList(np.array([77], np.uint64), np.array([77], np.uint64), np.array([0], np.int8))
PLATE = rule(EventKind.WATCHED_PLATE, watch_list=WATCHED, confidence_min=0.6, probability_min=0.1)


def read(second: float, y_m: float) -> Detections:
    return detections(second, [[0.0, y_m]], sensor=3 if y_m < 1000.0 else 2, plate=np.array([77], np.uint64))


def test_a_plate_read_where_its_vehicle_cannot_be_is_an_alert_of_its_own_however_long_both_go_on() -> None:
    script = Script(ground(PLATE))
    for second in range(0, 400, 4):
        script.at(second, arrived=Detections.joined([read(second, 500.0), read(second, 26_500.0)]))
    raised = [alert.incident for _, alert in script.told if alert.why == "raised"]
    assert len(raised) == 2
    assert len({incident.at.position[1] for incident in raised}) == 2
    assert not [alert for _, alert in script.told if alert.why in ("merged", "merged_away")]


def test_a_track_that_carries_the_plate_joins_the_incident_that_it_can_be_part_of() -> None:
    script = Script(ground(PLATE))
    carrier = track(9, (0.0, 26_500.0)).but(plate=np.array([77], np.uint64))
    script.at(0, arrived=read(0, 500.0))
    for second in range(1, 20):
        script.at(second, carrier, arrived=read(second, 26_500.0))
    far, near = sorted((i for i in script.state.incidents), key=lambda i: -i.at.position[1])
    assert len(far.subjects) == 2
    assert len(near.subjects) == 1


def test_a_vehicle_that_drives_from_reader_to_reader_is_one_alert() -> None:
    script = Script(ground(replace(PLATE, clear_after_ns=3600 * NS)))
    script.at(0, arrived=read(0, 500.0))
    script.at(900, arrived=read(900, 26_500.0))
    script.want(("raised", between(0, 0)), ("another_rule", between(900, 900)))
