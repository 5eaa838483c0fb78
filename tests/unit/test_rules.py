"""Every kind of rule and every condition on it, as scripts in time."""

from dataclasses import replace
from datetime import date

import numpy as np
import pytest

from alerts.coverage import cover_of_line, cover_of_zone
from alerts.rules import Clears, WatchList
from alerts.schedule import Schedule, Window, in_force
from model.alerts import EventKind, Tally
from model.detections import Detections
from model.time import NS, ns_from_iso
from tests.builders import ONE_SECTOR, T0, detections, sensors
from tests.script import ALL, Script, between, found_again, ground, rule, track, unit

CROSSING = rule(EventKind.CROSSING, places=(0,), direction=0, to_lines=True)
ENTERING = rule(EventKind.ENTERING, places=(0,))
LEAVING = rule(EventKind.LEAVING, places=(0,), release_ns=5 * NS, already_inside=True)
DWELLING = rule(
    EventKind.DWELLING,
    places=(0,),
    confirm_ns=20 * NS,
    already_inside=True,
    clears=Clears.LEAVING,
    clear_after_ns=30 * NS,
)
APPROACH = rule(
    EventKind.APPROACH,
    places=(0,),
    direction=1,
    to_lines=True,
    horizon_ns=60 * NS,
    probability_min=0.7,
    confirm_ns=5 * NS,
    already_inside=True,
    clears=Clears.LEAVING,
)
SPEED = rule(
    EventKind.SPEED, classes=(1,), speed_mps=20.0, probability_min=0.95, confirm_ns=3 * NS, already_inside=True
)
WRONG_WAY = rule(
    EventKind.WRONG_WAY,
    classes=ALL,
    places=(0,),
    heading=(0.0, 1.0),
    speed_mps=1.0,
    probability_min=0.95,
    confirm_ns=3 * NS,
    already_inside=True,
)
GROUP = rule(EventKind.GROUP, count_min=3, within_m=20.0, confirm_ns=5 * NS, already_inside=True)
CONVOY = rule(EventKind.CONVOY, classes=(1,), count_min=3, within_m=80.0, confirm_ns=5 * NS, already_inside=True)
ABSENCE = rule(
    EventKind.ABSENCE, places=(1,), count_min=1, dwell_ns=60 * NS, clears=Clears.LEAVING, clear_after_ns=0, repeat_ns=0
)
EQUIPMENT = {"clears": Clears.LEAVING, "clear_after_ns": 0, "repeat_ns": 0}
TAMPERED = rule(EventKind.TAMPERED_SENSOR, sensors=(0, 1, 2, 3), clears=Clears.HAND)
INSIDE, OUTSIDE = (0.0, 150.0), (0.0, 60.0)


# ── zones ────────────────────────────────────────────────────────────────────────────────────────


def test_leaving_is_told_once_one_has_been_out_for_long_enough() -> None:
    script = Script(ground(LEAVING))
    script.stay(0, 30, track(1, INSIDE))
    script.stay(30, 50, track(1, OUTSIDE))
    script.want(("raised", between(34, 36)))
    assert dict(script.incident().gravest.detail)["stayed_s"] == 29


def test_who_steps_out_and_in_again_has_not_left() -> None:
    script = Script(ground(LEAVING))
    for start in range(0, 60, 6):
        script.stay(start, start + 3, track(1, INSIDE))
        script.stay(start + 3, start + 6, track(1, OUTSIDE))
    script.want()


def test_who_is_lost_inside_and_found_outside_has_left() -> None:
    script = Script(ground(LEAVING))
    script.stay(0, 10, track(1, INSIDE))
    script.stay(10, 70)
    script.stay(70, 80, track(1, OUTSIDE))
    script.want(("raised", between(70, 71)))


def test_jitter_about_a_zones_edge_raises_nothing() -> None:
    script = Script(ground(replace(ENTERING, hysteresis_m=10.0), replace(LEAVING, hysteresis_m=10.0)))
    random = np.random.default_rng(3)
    for second in range(300):
        script.at(second, track(1, (0.0, 100.0 + float(random.normal(0, 3.0))), sigma_m=4.0))
    script.want()


def test_a_confirmation_time_lets_a_short_visit_pass() -> None:
    script = Script(ground(replace(ENTERING, confirm_ns=10 * NS)))
    script.stay(0, 5, track(1, OUTSIDE))
    script.stay(5, 12, track(1, INSIDE))
    script.stay(12, 40, track(1, OUTSIDE))
    script.want()
    script.stay(40, 60, track(1, INSIDE))
    script.want(("raised", between(50, 50)))


def test_a_parked_car_that_is_lost_and_found_again_and_again_is_one_alert() -> None:
    script = Script(ground(replace(DWELLING, classes=(1,), repeat_ns=0)))
    for start in range(0, 3000, 100):
        script.stay(start, start + 60, track(1, INSIDE, kind="vehicle"), every=5)
        script.stay(start + 60, start + 80, every=5)
    assert [alert.why for _, alert in script.told if alert.why == "raised"] == ["raised"]


def test_dwelling_is_over_when_he_has_left_though_he_is_still_seen() -> None:
    script = Script(ground(DWELLING))
    script.stay(0, 40, track(1, INSIDE))
    script.stay(40, 120, track(1, OUTSIDE))
    script.want(("raised", between(20, 20)), ("left", between(69, 71)))


def test_what_clears_by_time_is_over_then_whatever_he_does() -> None:
    script = Script(ground(replace(ENTERING, clears=Clears.TIME)))
    script.stay(0, 5, track(1, OUTSIDE))
    script.stay(5, 100, track(1, INSIDE))
    script.want(("raised", between(5, 5)), ("time_passed", between(65, 67)))


def test_what_clears_by_hand_stays_until_somebody_resolves_it() -> None:
    script = Script(ground(replace(ENTERING, clears=Clears.HAND, repeat_ns=0)))
    script.stay(0, 5, track(1, OUTSIDE))
    script.stay(5, 10, track(1, INSIDE))
    script.stay(10, 200)
    script.stay(200, 2000, every=20)
    script.act(2000, "resolve", note="genuine")
    script.want(("raised", between(5, 5)), ("resolved", between(2000, 2000)))


# ── schedules ────────────────────────────────────────────────────────────────────────────────────

NIGHTS = Schedule("nights", "America/Phoenix", (Window((0, 1, 2, 3, 4, 5, 6), 22 * 60, 6 * 60),))


@pytest.mark.parametrize(
    ("schedule", "time", "expected"),
    [
        (NIGHTS, "2026-11-20T04:59:00Z", False),  # 21:59 in Phoenix
        (NIGHTS, "2026-11-20T05:00:00Z", True),
        (NIGHTS, "2026-11-20T12:59:00Z", True),  # 05:59
        (NIGHTS, "2026-11-20T13:00:00Z", False),
        # Tijuana keeps daylight saving time: 22:00 is another hour of UTC in summer.
        (replace(NIGHTS, zone="America/Tijuana"), "2026-07-02T05:00:00Z", True),
        (replace(NIGHTS, zone="America/Tijuana"), "2026-12-02T05:00:00Z", False),
        (replace(NIGHTS, zone="America/Tijuana"), "2026-12-02T06:00:00Z", True),
        # A window belongs to the day on which it begins.
        (Schedule("fri", "UTC", (Window((4,), 22 * 60, 6 * 60),)), "2026-11-21T05:00:00Z", True),
        (Schedule("fri", "UTC", (Window((4,), 22 * 60, 6 * 60),)), "2026-11-20T05:00:00Z", False),
        (replace(NIGHTS, never=((date(2026, 11, 19), date(2026, 11, 19)),)), "2026-11-20T12:00:00Z", False),
        (replace(NIGHTS, only=((date(2026, 11, 19), date(2026, 11, 19)),)), "2026-11-20T12:00:00Z", True),
        (Schedule("days", "UTC", (), only=((date(2026, 12, 24), date(2026, 12, 26)),)), "2026-12-26T23:59:00Z", True),
    ],
)
def test_a_schedule_is_wall_clock_time_in_its_zone(schedule: Schedule, time: str, expected: bool) -> None:
    assert in_force(schedule, ns_from_iso(time)) is expected


def _from(second: int) -> Schedule:
    """In force from the first whole minute so many seconds after the start of the script."""
    minute = -(-(T0 // NS + second) // 60) % 1440
    return Schedule(f"from {minute}", "UTC", (Window((0, 1, 2, 3, 4, 5, 6), minute, (minute + 60) % 1440),))


@pytest.mark.parametrize(("already_inside", "count"), [(False, 0), (True, 1)])
def test_who_is_inside_when_the_hours_begin_counts_if_the_rule_says_so(already_inside: bool, count: int) -> None:
    script = Script(ground(replace(DWELLING, schedule=_from(180), already_inside=already_inside)))
    script.stay(0, 300, track(1, INSIDE))
    assert len(script.told) == count
    assert all(second >= 180 for second, _ in script.told)


def test_a_crossing_out_of_hours_raises_nothing_then_or_later() -> None:
    script = Script(ground(replace(CROSSING, schedule=_from(180))))
    script.walk(0, 100, (1, 0.0, -30.0))
    script.stay(100, 300, track(1, (0.0, 120.0)))
    script.want()


# ── approach, speed, wrong way ───────────────────────────────────────────────────────────────────


def test_who_walks_towards_the_line_is_told_of_before_he_is_there() -> None:
    script = Script(ground(APPROACH))
    script.walk(0, 100, (1, 0.0, -150.0))
    assert script.told[0][1].why == "raised"
    assert 45 < script.told[0][0] < 75
    said = dict(script.incident().gravest.detail)
    assert 20 < float(said["within_s"]) <= 60


def test_who_walks_along_the_line_or_away_from_it_does_not_approach_it() -> None:
    script = Script(ground(APPROACH))
    for second in range(100):
        script.at(
            second,
            track(1, (1.5 * second, -40.0), (1.5, 0.0)),
            track(2, (500.0, -40.0 - 1.5 * second), (0.0, -1.5)),
        )
    script.want()


def test_an_approach_to_a_zone_is_foreseen_from_any_side_and_passing_by_is_none() -> None:
    script = Script(ground(replace(APPROACH, to_lines=False, direction=0)))
    for second in range(90):
        script.at(
            second,
            track(1, (200.0 - 1.5 * second, 150.0), (-1.5, 0.0)),
            track(2, (-400.0 + 3.0 * second, 350.0), (3.0, 0.0)),
        )
    assert {i.subjects for i in script.state.incidents} == {("T0000000000001",)}


def test_the_probability_of_an_approach_is_lower_the_less_is_known() -> None:
    raised = []
    for sigma_m in (2.0, 60.0):
        script = Script(ground(APPROACH))
        script.walk(0, 100, (1, 0.0, -150.0), sigma_m=sigma_m)
        raised.append(script.told[0][0] if script.told else 1000)
    assert raised[0] < raised[1]


def test_speed_counts_when_it_is_sure_and_lasts() -> None:
    script = Script(ground(SPEED))
    for second in range(20):
        script.at(
            second,
            track(1, (30.0 * second, 0.0), (30.0, 0.0), kind="vehicle"),
            track(2, (20.2 * second, 900.0), (20.2, 0.0), kind="vehicle"),
            track(3, (3000.0, 900.0), (30.0 if second == 7 else 10.0, 0.0), kind="vehicle"),
        )
    script.want(("raised", between(3, 3)))
    assert dict(script.incident().gravest.detail)["speed_mps"] == 30.0


def test_going_against_the_right_way_is_told_and_going_with_it_is_not() -> None:
    script = Script(ground(WRONG_WAY))
    for second in range(10):
        script.at(
            second,
            track(1, (0.0, 190.0 - 4 * second), (0.0, -4.0), kind="vehicle"),
            track(2, (30.0, 110.0 + 4 * second), (0.0, 4.0), kind="vehicle"),
            track(3, (-300.0, 190.0 - 4 * second), (0.0, -4.0), kind="vehicle"),
        )
    script.want(("raised", between(3, 3)))
    assert script.incident().subjects == ("T0000000000001",)


# ── groups and convoys ───────────────────────────────────────────────────────────────────────────


def test_a_group_is_one_alert_with_all_its_members() -> None:
    script = Script(ground(GROUP))
    script.walk(0, 30, (1, 0.0, 0.0), (2, 10.0, 3.0), (3, 20.0, 0.0), (4, 400.0, 0.0), (5, 410.0, 0.0))
    script.want(("raised", between(5, 5)))
    assert script.incident().subjects == ("T0000000000001", "T0000000000002", "T0000000000003")
    assert dict(script.incident().gravest.detail)["count"] == 3


def test_two_who_pass_each_other_by_are_no_group() -> None:
    script = Script(ground(replace(GROUP, count_min=2)))
    for second in range(40):
        script.at(
            second,
            track(1, (0.0, -30 + 1.5 * second), (0.0, 1.5)),
            track(2, (3.0, 30 - 1.5 * second), (0.0, -1.5)),
        )
    script.want()


def test_who_walks_past_two_who_sit_makes_no_three() -> None:
    script = Script(ground(GROUP))
    for second in range(60):
        script.at(
            second,
            track(1, (0.0, 0.0)),
            track(2, (6.0, 0.0)),
            track(3, (10.0, -40 + 1.4 * second), (0.0, 1.4), sigma_m=6.0),
        )
    script.want()


def test_a_convoy_is_vehicles_one_behind_the_other_at_one_speed() -> None:
    script = Script(ground(CONVOY))
    for second in range(20):
        x = 15.0 * second
        script.at(
            second,
            *(track(n, (x - 60.0 * n, 0.0), (15.0, 0.0), kind="vehicle") for n in (1, 2, 3)),
            *(track(n, (-x + 60.0 * n, 9.0), (-15.0, 0.0), kind="vehicle") for n in (11, 12)),
        )
    script.want(("raised", between(5, 5)))
    assert len(script.incident().subjects) == 3


def test_parked_cars_are_no_convoy() -> None:
    script = Script(ground(CONVOY))
    script.stay(0, 60, *(track(n, (20.0 * n, 0.0), kind="vehicle") for n in range(5)))
    script.want()


# ── plates ───────────────────────────────────────────────────────────────────────────────────────

NEAR = WatchList(np.array([77, 78, 90], np.uint64), np.array([77, 77, 77], np.uint64), np.array([0, 1, 2], np.int8))
PLATE = rule(EventKind.WATCHED_PLATE, watch_list=NEAR, confidence_min=0.6, probability_min=0.1)


def read(at_s: float, best: int, others: dict[int, float] | None = None, share: float = 0.9) -> Detections:
    row = detections(at_s, [[0.0, 500.0]], sensor=3, plate=np.array([best], np.uint64))
    plates, shares = row.plates.copy(), row.plate_share.copy()
    shares[0, 0] = share
    for place, (token, chance) in enumerate((others or {}).items(), 1):
        plates[0, place], shares[0, place] = token, chance
    return row.but(plates=plates, plate_share=shares)


def test_a_reading_one_letter_off_is_told_as_such_with_the_reading_kept() -> None:
    script = Script(ground(PLATE))
    script.at(0, arrived=read(0, 78))
    said = dict(script.incident().gravest.detail)
    assert (said["plate"], said["read"], said["edits"]) == (f"{77:016x}", f"{78:016x}", 1.0)


def test_a_readers_second_guess_counts_as_much_as_it_is_worth() -> None:
    script = Script(ground(PLATE))
    script.at(0, arrived=read(0, 500, {77: 0.05}))
    script.want()
    script.at(1, arrived=read(1, 500, {77: 0.3}, share=0.65))
    script.want(("raised", between(1, 1)))
    said = dict(script.incident().gravest.detail)
    assert (said["read"], said["reading"]) == (f"{500:016x}", 2.0)
    assert script.incident().gravest.probability == pytest.approx(0.27)


def test_two_readings_of_one_car_are_one_alert_and_it_follows_the_car() -> None:
    script = Script(ground(PLATE, CROSSING))
    script.at(0, arrived=read(0, 77))
    script.at(1, arrived=read(1, 78))
    carrying = {"plate": np.array([77], np.uint64)}
    for second in range(2, 40):
        script.at(second, track(9, (0.0, -30.0 + 2 * second), (0.0, 2.0), **carrying))
    assert [a.why for _, a in script.told] == ["raised", "another_subject", "another_rule"]
    assert script.incident().subjects == (f"{77:016x}", "T0000000000009")


# ── sensors and cover ────────────────────────────────────────────────────────────────────────────


def test_tampering_stays_until_somebody_has_looked() -> None:
    script = Script(ground(TAMPERED))
    script.at(1)
    script.health = script.health.but(tampered_ns=np.array([0, T0 + 2 * NS, 0, 0]))
    script.stay(2, 400)
    assert [a.why for _, a in script.told] == ["raised", "repeat_interval_elapsed"]
    assert script.incident().zone == "cam-2"
    script.act(400, "resolve", note="sensor-fault")
    assert script.told[-1][1].why == "resolved"


def test_a_gap_in_cover_is_told_with_the_sensors_that_are_down_and_is_over_when_they_are_back() -> None:
    base = ground()
    watching = sensors(
        4,
        position=np.array([[-40.0, 150.0], [40.0, 150.0], [5000.0, 0.0], [6000.0, 0.0]]),
        range_m=[60.0, 60.0, 100.0, 100.0],
        silent_after_s=[30.0] * 4,
    )
    cover = cover_of_zone(ONE_SECTOR, base.zones, 0, watching, (0, 1, 2, 3))
    assert set(cover.sensor.tolist()) == {0, 1}
    gap = rule(EventKind.COVERAGE_GAP, places=(0,), sensors=(0, 1, 2, 3), share_min=0.2, cover=(cover,), **EQUIPMENT)
    script = Script(replace(ground(gap), sensors=watching))
    script.health = script.health.but(heard_ns=np.array([T0, T0 + 1000 * NS, T0 + 1000 * NS, T0 + 1000 * NS]))
    script.stay(0, 35)
    script.want(("raised", between(31, 31)))
    incident = script.incident()
    assert [e.sensor for e in incident.evidence] == ["cam-1"]
    assert 0.2 < float(dict(incident.gravest.detail)["lost_share"]) < 0.5
    script.health = script.health.but(heard_ns=np.full(4, T0 + 1000 * NS))
    script.at(36)
    assert script.told[-1][1].why == "covered_again"


def test_keys_about_sensors_are_the_same_for_times_of_receipt_kept_to_the_microsecond() -> None:
    keys = set()
    for rounding in (0, 789):
        script = Script(ground(rule(EventKind.SILENT_SENSOR, sensors=(0, 2), **EQUIPMENT)))
        script.health = script.health.but(heard_ns=script.health.heard_ns + rounding)
        script.stay(0, 40)
        keys.add(script.incident().key)
    assert len(keys) == 1


def test_the_cover_of_a_line_is_the_share_of_it_that_is_in_view() -> None:
    watching = sensors(1, position=np.array([[0.0, 0.0]]), range_m=[900.0])
    cover = cover_of_line(ONE_SECTOR, ground().lines, 0, watching, (0,))
    assert cover.spots == pytest.approx(400 * 1800 / 18000, abs=2)


def test_a_post_that_is_left_is_told_and_a_patrol_that_comes_back_ends_it() -> None:
    script = Script(ground(ABSENCE))
    for second in range(200):
        here = second < 50 or second > 150
        script.at(second, units=(unit("patrol-1", second, (1050.0, 150.0) if here else (1050.0, 70.0)),))
    script.want(("raised", between(109, 110)), ("present_again", between(151, 152)))
    assert script.incident().zone == "post"


def test_an_absence_ends_with_its_hours_and_nobody_is_said_to_have_come() -> None:
    minute = T0 // NS // 60 % 1440
    hours = Schedule("until 140 s", "UTC", (Window((0, 1, 2, 3, 4, 5, 6), minute, minute + 3),))
    script = Script(ground(replace(ABSENCE, count_min=2, schedule=hours)))
    script.at(0, units=(unit("patrol-1", 0, (1050.0, 150.0)), unit("patrol-2", 0, (1050.0, 150.0))))
    script.stay(1, 200)
    script.want(("raised", between(120, 122)), ("hours_over", between(140, 141)))
    assert script.told[0][1].text.startswith("Fewer than 2 in the post for")


def test_nobody_is_missed_out_of_hours() -> None:
    script = Script(ground(replace(ABSENCE, schedule=_from(7200))))
    script.stay(0, 200)
    script.want()


# ── own units ────────────────────────────────────────────────────────────────────────────────────


def test_a_patrol_of_ours_raises_nothing_and_the_reason_is_recorded() -> None:
    script = Script(ground(ENTERING, CROSSING))
    for second in range(120):
        place = (0.0, -30.0 + 1.5 * second)
        script.at(second, track(1, place, (0.0, 1.5)), units=(unit("patrol-1", second, (5.0, place[1])),))
    script.want()
    assert [(w.event.rule, w.reason) for _, w in script.withheld] == [
        ("crossing", "own_unit:patrol-1"),
        ("entering", "own_unit:patrol-1"),
    ]


def test_an_intruder_whom_a_patrol_passes_by_is_told_of_once_it_has_passed() -> None:
    script = Script(ground(CROSSING))
    for second in range(60):
        patrol = (-45.0 + 4.0 * second, 0.0)
        script.at(
            second,
            track(1, (0.0, -12.0 + 1.2 * second), (0.0, 1.2)),
            units=(unit("patrol-1", second, patrol, sigma_m=3.0),),
        )
    script.want(("raised", between(11, 40)))


def test_an_intruder_far_from_every_patrol_is_none_of_ours() -> None:
    script = Script(ground(CROSSING))
    for second in range(40):
        script.at(
            second, track(1, (0.0, -30.0 + 1.5 * second), (0.0, 1.5)), units=(unit("patrol-1", second, (200.0, 0.0)),)
        )
    script.want(("raised", between(20, 24)))


def test_the_last_word_of_a_patrol_does_not_hold_for_ever() -> None:
    script = Script(ground(ENTERING))
    script.at(0, track(1, OUTSIDE), units=(unit("patrol-1", 0, INSIDE),))
    script.stay(1, 100, track(1, OUTSIDE))
    script.stay(100, 130, track(1, INSIDE))
    script.want(("raised", between(100, 100)))


def test_a_patrol_that_falls_silent_explains_no_wider_area_the_longer_it_is_silent() -> None:
    script = Script(ground(ENTERING))
    script.at(0, track(1, OUTSIDE), units=(unit("patrol-1", 0, (INSIDE[0] + 300.0, INSIDE[1])),))
    script.stay(1, 50, track(1, OUTSIDE))
    script.stay(50, 58, track(1, INSIDE))
    script.want(("raised", between(50, 50)))


def test_a_patrol_explains_nothing_once_its_word_is_stale() -> None:
    script = Script(ground(ENTERING))
    word = replace(unit("patrol-1", 0, INSIDE), until_ns=T0 + 10 * NS)
    script.at(0, track(1, OUTSIDE), units=(word,))
    script.stay(1, 5, track(1, OUTSIDE))
    script.stay(5, 20, track(1, INSIDE))
    script.want(("raised", between(11, 11)))


def test_a_unit_that_is_not_registered_explains_nothing() -> None:
    script = Script(ground(ENTERING))
    for second in range(20):
        script.at(second, track(1, OUTSIDE if second < 10 else INSIDE), units=(unit("patrol-7", second, INSIDE),))
    script.want(("raised", between(10, 10)))


def test_a_unit_that_jumps_explains_nothing_for_a_while_and_is_trusted_again() -> None:
    script = Script(ground(ENTERING))
    script.at(0, units=(unit("patrol-1", 0, (INSIDE[0] + 5_000.0, INSIDE[1])),))
    for second in range(1, 100):
        script.at(second, track(1, OUTSIDE if second < 70 else INSIDE), units=(unit("patrol-1", second, INSIDE),))
    script.want()
    assert [w.reason for _, w in script.withheld] == ["own_unit:patrol-1"]
    script = Script(ground(ENTERING))
    script.at(0, units=(unit("patrol-1", 0, (INSIDE[0] + 5_000.0, INSIDE[1])),))
    for second in range(1, 50):
        script.at(second, track(1, OUTSIDE if second < 40 else INSIDE), units=(unit("patrol-1", second, INSIDE),))
    script.want(("raised", between(40, 40)))


def test_a_patrol_with_a_stranger_in_its_midst_is_a_group_only_of_enough_strangers() -> None:
    script = Script(ground(GROUP))
    for second in range(30):
        script.at(
            second,
            *(track(n, (4.0 * n, 0.0)) for n in (1, 2, 3)),
            *(track(n, (500.0 + 4.0 * n, 0.0)) for n in (11, 12, 13)),
            units=(unit("patrol-1", second, (8.0, 0.0)),),
        )
    script.want(("raised", between(5, 6)))
    assert script.incident().subjects[0] == "T000000000000B"
    assert {w.reason for _, w in script.withheld} == {"own_unit:patrol-1"}


# ── what is learned ──────────────────────────────────────────────────────────────────────────────


def test_past_nuisances_of_a_sensor_weigh_on_existence_where_the_rule_says_so() -> None:
    for learns, count in ((False, 1), (True, 0)):
        script = Script(ground(replace(ENTERING, learns=learns)))
        script.state = replace(script.state, tallies=(Tally("cam-1", "entering", 1, 40),))
        script.stay(0, 5, track(1, OUTSIDE))
        script.stay(5, 10, track(1, INSIDE))
        assert len(script.told) == count
    # Another sensor that sees it too, and has not been wrong, settles it.
    script = Script(ground(replace(ENTERING, learns=True)))
    script.state = replace(script.state, tallies=(Tally("cam-1", "entering", 1, 40),))
    script.stay(0, 5, track(1, OUTSIDE, seen_by=(0, 1)))
    script.stay(5, 10, track(1, INSIDE, seen_by=(0, 1)))
    script.want(("raised", between(5, 5)))


def test_a_track_that_is_found_again_under_another_name_keeps_its_incident() -> None:
    script = Script(ground(ENTERING, CROSSING))
    script.walk(0, 40, (1, 0.0, -30.0))
    script.stay(40, 60)
    script.stay(60, 62, track(2, (0.0, 70.0)))
    script.at(62, track(1, (0.0, 70.0)), reasons=found_again(1, 2))
    script.walk(63, 100, (1, 0.0, 72.0))
    assert [a.why for _, a in script.told] == ["raised", "another_rule"]
