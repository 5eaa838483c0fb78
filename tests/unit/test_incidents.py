"""The life of incidents, as scripts in time: one happening is one incident, and what people do with it."""

import json
from dataclasses import replace

import numpy as np
import pytest

from alerts.rules import Agreement, Clears, Habits, Inhibition, Rung
from alerts.schedule import Schedule, Window
from alerts.wire import record_of, status_of
from model.alerts import EventKind, Phase
from model.time import NS
from tests.builders import T0
from tests.script import Script, between, found_again, ground, rule, track, with_ladder

CROSSING = rule(EventKind.CROSSING, places=(0,), direction=0, to_lines=True, repeat_ns=0)
ENTERING = rule(EventKind.ENTERING, places=(0,), repeat_ns=0, severity="critical")
DWELLING = rule(EventKind.DWELLING, places=(0,), confirm_ns=20 * NS, already_inside=True, repeat_ns=0)
POST = rule(EventKind.ENTERING, id="at-the-post", places=(1,), repeat_ns=0)
SILENT = rule(
    EventKind.SILENT_SENSOR, sensors=(0, 2), clears=Clears.LEAVING, clear_after_ns=0, repeat_ns=0, severity="minor"
)
ONE, TWO = "T0000000000001", "T0000000000002"
INSIDE, OUTSIDE = (0.0, 150.0), (0.0, 60.0)


def entered(*rules: object, **site: object) -> Script:
    """A script in which one has just entered the yard, at 5 s."""
    script = Script(ground(*(rules or (ENTERING,)), **site))  # type: ignore[arg-type]
    script.stay(0, 5, track(1, OUTSIDE))
    script.at(5, track(1, INSIDE))
    script.want(("raised", between(5, 5)))
    return script


# ── one happening is one incident ────────────────────────────────────────────────────────────────


def test_several_rules_about_one_walker_are_one_incident_that_grows_graver() -> None:
    script = Script(ground(CROSSING, ENTERING, DWELLING))
    script.walk(0, 100, (1, 0.0, -30.0))
    script.stay(100, 130, track(1, INSIDE))
    assert [a.why for _, a in script.told] == ["raised", "graver", "another_rule"]
    incident = script.incident()
    assert [h.rule for h in incident.happenings] == ["crossing", "entering", "dwelling"]
    assert (incident.severity, incident.rule) == ("critical", "entering")
    assert "also crossing the line, dwelling the yard" in script.told[-1][1].text


def test_a_rule_that_stands_apart_has_incidents_of_its_own() -> None:
    script = Script(ground(CROSSING, replace(ENTERING, apart=True)))
    script.walk(0, 100, (1, 0.0, -30.0))
    assert [a.why for _, a in script.told] == ["raised", "raised"]


def test_a_track_that_breaks_and_goes_on_under_another_name_is_the_same_incident() -> None:
    script = Script(ground(CROSSING, ENTERING))
    script.walk(0, 30, (1, 0.0, -30.0))
    script.stay(30, 50)
    script.walk(50, 120, (2, 5.0, 80.0))
    assert [a.why for _, a in script.told if a.why == "raised"] == ["raised"]
    assert script.incident().subjects == ("T0000000000001", "T0000000000002")


def test_two_incidents_whose_tracks_turn_out_to_be_one_are_merged_and_both_say_so() -> None:
    script = Script(ground(CROSSING, POST))
    script.walk(0, 30, (1, 0.0, -30.0))
    script.stay(30, 40, track(2, (1050.0, 60.0)))
    script.stay(40, 45, track(2, (1050.0, 150.0)))
    assert [a.why for _, a in script.told] == ["raised", "raised"]
    script.at(45, track(1, (1050.0, 150.0)), reasons=found_again(1, 2))
    assert [a.why for _, a in script.told[2:4]] == ["merged", "merged_away"]
    whole, part = script.incident(0), script.incident(1)
    assert (whole.parts, part.merged_into, part.phase) == ((part.key,), whole.key, Phase.CLEARED)
    assert [h.rule for h in whole.happenings] == ["crossing", "at-the-post"]
    assert status_of(part) == "merged"


def test_one_who_goes_far_from_the_others_becomes_an_incident_of_his_own() -> None:
    script = Script(ground(CROSSING, habits=Habits(split_m=200.0, split_ns=30 * NS)))
    for second in range(200):
        north, east = (-20.0 + 1.5 * min(second, 40)), max(second - 40, 0) * 5.0
        script.at(second, track(1, (0.0, north)), track(2, (4.0, north)), track(3, (8.0 + east, north)))
    whys = [a.why for _, a in script.told]
    assert whys[-2:] == ["split", "split"]
    fresh = script.told[-2][1].incident
    assert fresh.subjects == ("T0000000000003",)
    assert fresh.split_from == script.incident(0).key
    assert script.incident(0).subjects == ("T0000000000001", "T0000000000002")
    assert 105 < script.told[-2][0] < 120


def test_one_who_is_far_off_and_then_lost_splits_nothing_until_he_is_seen_again() -> None:
    script = Script(ground(CROSSING, habits=Habits(split_m=200.0, split_ns=30 * NS)))
    for second in range(120):
        east = max(second - 40, 0) * 8.0
        near = [track(1, (0.0, -20.0 + 1.5 * min(second, 40)))]
        far = [] if 68 < second < 110 else [track(2, (8.0 + east, -20.0 + 1.5 * min(second, 40)))]
        script.at(second, *near, *far)
    assert [s for s, a in script.told if a.why == "split"] == [110, 110]


def test_who_crosses_beside_somebody_who_has_sat_there_for_long_is_another_alert() -> None:
    script = Script(ground(CROSSING))
    sitter = track(1, (20.0, 15.0), sigma_m=2.0)
    for second in range(20):
        script.at(second, track(1, (20.0, -15.0 + 1.5 * second), (0.0, 1.5)))
    script.stay(20, 300, sitter)
    for second in range(300, 340):
        script.at(second, sitter, track(2, (0.0, -30.0 + 1.4 * (second - 300)), (0.0, 1.4), sigma_m=4.0))
    assert [(a.why, a.incident.subjects) for _, a in script.told] == [
        ("raised", ("T0000000000001",)),
        ("raised", ("T0000000000002",)),
    ]


def test_a_storm_of_alerts_is_told_as_one_and_nobody_in_it_is_forgotten() -> None:
    script = Script(ground(CROSSING, habits=Habits(storm_incidents=3)))
    for second in range(30):
        script.at(second, *(track(n, (700.0 * n - 3000, -20.0 - 3 * n + 2 * second), (0.0, 2.0)) for n in range(1, 9)))
    raised = [a for _, a in script.told if a.why == "raised"]
    assert len(raised) == 4
    storm = next(i for i in script.state.incidents if i.storm)
    named = {s for i in script.state.incidents for s in i.subjects}
    assert len(named) == 8
    assert len(storm.subjects) == 5
    assert script.told[-1][1].text.startswith("Again (another subject): Storm of alerts")


def test_two_alarms_a_moment_apart_from_one_cause_are_one_alert() -> None:
    script = Script(ground(CROSSING, replace(CROSSING, id="again", severity="minor")))
    script.walk(0, 30, (1, 0.0, -30.0))
    assert [a.why for _, a in script.told if a.why == "raised"] == ["raised"]
    assert {h.rule for h in script.state.incidents[0].happenings} == {"crossing", "again"}


# ── what people do ───────────────────────────────────────────────────────────────────────────────


def test_the_life_of_an_incident_is_in_its_log_with_who_and_when() -> None:
    script = entered()
    script.act(10, "ack", track(1, INSIDE), by="ana")
    script.act(20, "assign", track(1, INSIDE), by="ana", to="unit-7")
    script.act(30, "note", track(1, INSIDE), by="ben", note="two adults")
    script.act(40, "resolve", track(1, INSIDE), by="ben", note="genuine")
    incident = script.incident()
    assert [(e.what, e.by, e.note) for e in incident.log] == [
        ("raised", "", ""),
        ("acknowledged", "ana", ""),
        ("assigned", "ana", "unit-7"),
        ("noted", "ben", "two adults"),
        ("resolved", "ben", "genuine"),
    ]
    assert (incident.acknowledged_by, incident.assigned_to, incident.resolved_by) == ("ana", "unit-7", "ben")
    assert [status_of(a.incident) for _, a in script.told] == [
        "open",
        "acknowledged",
        "assigned",
        "assigned",
        "resolved",
    ]


def test_what_is_over_can_still_be_resolved_and_that_is_told_as_over() -> None:
    script = entered()
    script.stay(6, 70)
    assert script.told[-1][1].why == "unseen"
    script.act(70, "resolve", note="animal")
    assert (script.told[-1][1].why, script.incident().phase) == ("resolved", Phase.CLEARED)
    script.act(71, "resolve", note="genuine")
    assert script.refused == ["It was resolved as animal by desk-1."]


@pytest.mark.parametrize(
    ("action", "said"),
    [
        ({"action": "resolve", "note": "a ghost"}, "no disposition"),
        ({"action": "assign"}, "Name who"),
        ({"action": "ack", "alert": "A123"}, "never was"),
        ({"action": "dance"}, "none of ack"),
        ({"action": "accept", "agency": "navy"}, "none of its agencies"),
        ({"action": "hand-over", "to": "navy"}, "no agency"),
        ({"action": "hand-over", "to": "east"}, "holds it already"),
        ({"action": "merge", "to": "A123"}, "no other alert"),
        ({"action": "split", "subjects": ("T1",)}, "Name some"),
        ({"action": "silence", "note": "why", "matchers": (), "until_ns": T0 + 99 * NS}, "say what it matches"),
        ({"action": "silence", "matchers": (("rule", "x"),), "until_ns": T0 + 99 * NS}, "needs a reason"),
        ({"action": "silence", "note": "why", "matchers": (("colour", "x"),), "until_ns": T0 + 99 * NS}, "'colour'"),
        ({"action": "silence", "note": "why", "matchers": (("rule", "x"),), "until_ns": T0}, "within a month"),
        ({"action": "unsilence", "to": "S1"}, "no silence"),
    ],
)
def test_what_cannot_be_done_is_answered_with_the_reason(action: dict[str, object], said: str) -> None:
    script = entered()
    script.act(6, str(action.pop("action")), track(1, INSIDE), **action)
    assert len(script.refused) == 1
    assert said in script.refused[0]
    assert len(script.told) == 1


def test_what_comes_back_soon_after_it_ended_by_itself_is_the_same_alert_and_later_is_another() -> None:
    script = entered()
    script.stay(6, 10, track(1, INSIDE))
    script.stay(10, 100)
    script.stay(100, 105, track(1, OUTSIDE))
    script.stay(105, 110, track(1, INSIDE))
    script.stay(110, 1000)
    script.stay(1000, 1005, track(1, OUTSIDE))
    script.stay(1005, 1010, track(1, INSIDE))
    assert [a.why for _, a in script.told] == ["raised", "unseen", "reopened", "unseen", "raised"]
    assert len({a.incident.key for _, a in script.told}) == 2
    assert script.heard("east-mqtt")[2] == ("updated", "reopened")


def test_what_somebody_resolved_is_not_opened_again() -> None:
    script = entered()
    script.act(10, "resolve", track(1, INSIDE), note="animal")
    script.stay(11, 20, track(1, OUTSIDE))
    script.stay(20, 25, track(1, INSIDE))
    assert [a.why for _, a in script.told] == ["raised", "resolved", "raised"]


def test_a_silent_sensor_that_somebody_resolved_stays_so_while_it_is_silent_and_is_told_of_when_it_is_anew() -> None:
    script = Script(ground(SILENT))
    script.stay(0, 40)
    script.act(40, "resolve", note="sensor-fault")
    script.stay(41, 100)
    script.stay(100, 4200, every=20)
    script.want(("raised", between(31, 31)), ("resolved", between(40, 40)), ("raised", between(61, 61)))
    assert [a.incident.zone for _, a in script.told] == ["cam-1", "cam-1", "pir-1"]
    script.health = script.health.but(
        heard_ns=script.health.heard_ns + 4200 * NS, observed_ns=np.full(4, T0 + 4200 * NS)
    )
    script.stay(4200, 4240)
    assert script.told[-1][1].incident.zone == "cam-1"
    assert script.told[-1][1].why == "raised"


def test_dispositions_are_counted_per_sensor_and_rule() -> None:
    script = entered()
    script.act(10, "resolve", note="animal")
    script.stay(11, 80)
    script.stay(80, 90, track(2, OUTSIDE))
    script.at(90, track(2, INSIDE))
    script.act(91, "resolve", alert=script.incident(1).key, note="genuine")
    (tally,) = script.state.tallies
    assert (tally.sensor, tally.rule, tally.genuine, tally.nuisance) == ("cam-1", "entering", 1, 1)


def test_what_happens_where_a_merged_incident_was_belongs_to_the_whole() -> None:
    script = Script(ground(CROSSING))
    script.walk(0, 30, (1, 2000.0, -30.0), (2, 0.0, -30.0))
    far, near = (next(i.key for i in script.state.incidents if name in i.subjects) for name in (ONE, TWO))
    script.act(31, "merge", alert=far, to=near)
    script.walk(32, 70, (2, 0.0, 10.0), (3, 2010.0, -30.0))
    assert [a.why for _, a in script.told].count("raised") == 2
    whole = next(i for i in script.state.incidents if i.key == near)
    assert "T0000000000003" in whole.subjects


def test_people_merge_and_split_and_the_history_stays() -> None:
    script = Script(ground(CROSSING))
    script.walk(0, 30, (1, 0.0, -30.0), (2, 2000.0, -30.0))
    first, second = (i.key for i in script.state.incidents)
    script.act(31, "merge", alert=second, to=first)
    assert script.incident(0).subjects == ("T0000000000001", "T0000000000002")
    assert script.incident(1).merged_into == first
    script.act(32, "split", alert=first, subjects=("T0000000000002",))
    fresh = script.told[-2][1].incident
    assert (fresh.split_from, fresh.subjects, fresh.phase) == (first, ("T0000000000002",), Phase.RAISED)


# ── silences and inhibition ──────────────────────────────────────────────────────────────────────


def silence(script: Script, second: int, until: int, *, by: str = "ana", **matchers: str) -> None:
    script.act(
        second,
        "silence",
        alert="",
        by=by,
        note="works at the gate",
        matchers=tuple(sorted(matchers.items())),
        until_ns=T0 + until * NS,
    )


def test_a_silenced_incident_is_kept_and_told_to_nobody_until_the_silence_is_over() -> None:
    script = Script(ground(ENTERING))
    silence(script, 0, 60, rule="entering", sensor="cam-*")
    script.stay(1, 5, track(1, OUTSIDE))
    script.stay(5, 70, track(1, INSIDE))
    assert [a.why for _, a in script.told] == ["raised", "silence_over"]
    assert script.told[0][1].incident.muted == f"silence:{script.state.silences[0].id}"
    assert script.heard("east-mqtt") == [("raised", "silence_over")]
    assert 59 < script.sent[0][0] < 62


def test_a_silence_that_begins_after_the_raise_keeps_changes_back_but_not_the_end() -> None:
    script = entered()
    silence(script, 6, 3000, zone="yard")
    script.act(10, "note", track(1, INSIDE), note="x")
    script.stay(11, 20, track(1, INSIDE))
    script.stay(20, 100)
    assert script.heard("east-mqtt") == [("raised", "raised"), ("cleared", "unseen")]


def test_a_ladder_begins_when_the_silence_is_over_and_not_while_it_lasts() -> None:
    script = Script(ground(ENTERING, agencies=LADDER))
    silence(script, 0, 300, zone="yard")
    script.stay(1, 5, track(1, OUTSIDE))
    script.stay(5, 340, track(1, INSIDE))
    assert script.heard("east-duty") == []
    script.stay(340, 362, track(1, INSIDE))
    assert script.heard("east-duty") == [("raised", "escalated")]


def test_a_silence_of_another_zone_or_class_matches_nothing() -> None:
    script = Script(ground(ENTERING))
    silence(script, 0, 60, zone="post")
    silence(script, 1, 60, rule="entering", **{"class": "animal,vehicle"})
    script.stay(2, 5, track(1, OUTSIDE))
    script.at(5, track(1, INSIDE))
    assert len(script.sent) > 0


def test_a_silence_can_be_ended_early() -> None:
    script = Script(ground(ENTERING))
    silence(script, 0, 3000, zone="yard")
    script.stay(1, 5, track(1, OUTSIDE))
    script.at(5, track(1, INSIDE))
    assert script.sent == []
    script.act(6, "unsilence", track(1, INSIDE), alert="", to=script.state.silences[0].id)
    assert script.heard("east-mqtt") == [("raised", "silence_over")]


def test_a_greater_incident_mutes_its_lesser_parts_while_it_lasts() -> None:
    greater = Inhibition("cover", (("kind", "entering"),), (("kind", "silent_sensor"),), float("inf"))
    script = Script(ground(ENTERING, SILENT, inhibitions=(greater,)))
    script.stay(0, 20, track(1, OUTSIDE))
    script.stay(20, 40, track(1, INSIDE))
    muted = [(a.why, bool(a.incident.muted)) for _, a in script.told if a.incident.kind is EventKind.SILENT_SENSOR]
    assert muted == [("raised", True)]
    script.stay(40, 110)
    assert [a.why for _, a in script.told if a.incident.zone == "cam-1"] == ["raised", "inhibition_over"]


def test_two_that_would_mute_each_other_are_both_told() -> None:
    pair = (
        Inhibition("a", (("rule", "crossing"),), (("rule", "at-the-post"),), float("inf")),
        Inhibition("b", (("rule", "at-the-post"),), (("rule", "crossing"),), float("inf")),
    )
    script = Script(ground(CROSSING, POST, inhibitions=pair))
    for second in range(40):
        script.at(
            second,
            track(1, (0.0, -30.0 + 1.5 * second)),
            track(2, (1050.0, 80.0 + 1.5 * second)),
        )
    told = {a.incident.rule for _, a in script.told if not a.incident.muted}
    assert "at-the-post" in told


def test_an_inhibition_within_a_distance_mutes_only_there() -> None:
    near = Inhibition("near", (("rule", "entering"),), (("rule", "at-the-post"),), 300.0)
    script = Script(ground(ENTERING, POST, inhibitions=(near,)))
    script.stay(0, 5, track(1, OUTSIDE), track(2, (1050.0, 60.0)))
    script.stay(5, 10, track(1, INSIDE), track(2, (1050.0, 150.0)))
    assert not any(a.incident.muted for _, a in script.told)


# ── escalation ───────────────────────────────────────────────────────────────────────────────────

LADDER = with_ladder(
    "east",
    Rung(("critical",), 60 * NS, ("east-duty",), ()),
    Rung(("critical",), 120 * NS, ("east-chief",), ("patrol",)),
    Rung(("minor",), 10 * NS, ("east-duty",), ()),
    channels=("east-duty", "east-chief"),
)


def test_nobody_acknowledges_and_it_climbs_rung_by_rung() -> None:
    script = entered(ENTERING, agencies=LADDER)
    script.stay(6, 200, track(1, INSIDE))
    assert [(a.why, s) for s, a in script.told if a.why == "escalated"] == [("escalated", 65), ("escalated", 125)]
    assert script.heard("east-duty") == [("raised", "escalated"), ("updated", "escalated")]
    assert script.heard("east-chief") == [("raised", "escalated")]
    assert script.heard("patrol-mqtt") == [("raised", "escalated")]
    assert [(r.agency, r.reason) for r in script.incident().routed][-1] == ("patrol", "escalated:east")


def test_an_acknowledgement_stops_the_climb_and_later_words_go_where_it_had_come() -> None:
    script = entered(ENTERING, agencies=LADDER)
    script.stay(6, 70, track(1, INSIDE))
    script.act(70, "ack", track(1, INSIDE))
    script.stay(71, 200, track(1, INSIDE))
    assert [a.why for _, a in script.told] == ["raised", "escalated", "acknowledged"]
    assert script.heard("east-duty")[-1] == ("updated", "acknowledged")


def test_a_lesser_severity_has_its_own_ladder_and_a_silenced_incident_climbs_none() -> None:
    script = entered(replace(ENTERING, severity="minor"), agencies=LADDER)
    silence(script, 6, 60, zone="yard")
    script.stay(7, 59, track(1, INSIDE))
    assert script.heard("east-duty") == []
    script.stay(59, 80, track(1, INSIDE))
    assert script.heard("east-duty")[0][0] == "raised"
    assert script.heard("east-chief") == []


# ── whose it is ──────────────────────────────────────────────────────────────────────────────────


def stances(script: Script, number: int = 0) -> dict[str, tuple[bool, str]]:
    return {r.agency: (r.lead, r.stance.value) for r in script.incident(number).routed}


def test_a_holder_that_declines_keeps_it_as_disputed_until_another_accepts() -> None:
    script = entered()
    assert stances(script) == {"east": (True, ""), "west": (False, "")}
    script.act(10, "decline", track(1, INSIDE), agency="east", note="not ours")
    assert (script.incident().disputed, stances(script)["east"]) == (True, (True, "declined"))
    assert script.told[-1][1].text.startswith("Disputed: ")
    script.act(20, "accept", track(1, INSIDE), agency="west")
    assert (script.incident().disputed, stances(script)) == (
        False,
        {"east": (False, "declined"), "west": (True, "accepted")},
    )


def test_a_hand_over_takes_effect_when_the_other_accepts() -> None:
    script = entered()
    script.act(10, "hand-over", track(1, INSIDE), agency="east", to="patrol")
    assert (script.incident().offered_to, stances(script)["east"][0]) == ("patrol", True)
    assert script.heard("patrol-mqtt") == [("raised", "offered")]
    script.act(20, "accept", track(1, INSIDE), agency="patrol")
    assert (script.incident().offered_to, stances(script)["patrol"], stances(script)["east"]) == (
        "",
        (True, "accepted"),
        (False, ""),
    )


def test_a_hand_over_that_is_declined_is_disputed_and_stays() -> None:
    script = entered()
    script.act(10, "hand-over", track(1, INSIDE), agency="east", to="patrol")
    script.act(20, "decline", track(1, INSIDE), agency="patrol")
    assert (script.incident().disputed, stances(script)["east"][0]) == (True, True)
    script.act(30, "accept", track(1, INSIDE), agency="east")
    assert script.incident().disputed is False


def test_a_joint_incident_has_one_log_that_all_its_agencies_read() -> None:
    script = entered()
    script.act(10, "share", track(1, INSIDE), by="ana", agency="east", to="patrol")
    script.act(20, "note", track(1, INSIDE), by="pat", agency="patrol", note="on our way")
    logs = {d.channel: [e["what"] for e in json.loads(d.body)["log"]] for _, d in script.sent}
    assert logs == {c: ["raised", "shared", "noted"] for c in ("east-mqtt", "west-mqtt", "patrol-mqtt")}


def test_an_agreement_may_hold_at_some_hours_and_for_some_classes_and_keep_fields_back() -> None:
    paper = Agreement(
        "mou-7",
        "west-county",
        "patrol",
        ("west",),
        (),
        classes=("person",),
        withheld=("evidence", "log", "subjects"),
    )
    script = entered(ENTERING, agreements=(paper,))
    assert [(r.agency, r.lead) for r in script.incident().routed] == [
        ("patrol", True),
        ("west", False),
        ("east", False),
    ]
    bodies = {d.agency: json.loads(d.body) for _, d in script.sent}
    assert (bodies["west"]["evidence"], bodies["west"]["log"], bodies["west"]["subjects"]) == ([], [], [])
    assert bodies["west"]["withheld"] == ["evidence", "log", "plate", "subjects"]
    assert bodies["east"]["evidence"] != []
    assert "cam-1" in json.dumps(bodies["east"])
    assert "cam-1" not in json.dumps(bodies["west"]), "not even in the text"
    blind = entered(ENTERING, agreements=(replace(paper, withheld=("class",)),))
    (west,) = (json.loads(d.body) for _, d in blind.sent if d.agency == "west")
    assert "erson" not in json.dumps(west)
    minute = (T0 // NS) // 60 % 1440
    never_now = Schedule(
        "other hours", "UTC", (Window((0, 1, 2, 3, 4, 5, 6), (minute + 60) % 1440, (minute + 120) % 1440),)
    )
    for other in (replace(paper, classes=("animal",)), replace(paper, schedule=never_now)):
        script = entered(ENTERING, agreements=(other,))
        assert next((r.agency, r.reason) for r in script.incident().routed) == ("east", "precedence")


def test_an_agency_into_whose_area_it_moves_is_told_as_of_something_new_and_never_of_an_end_alone() -> None:
    script = Script(ground(rule(EventKind.CROSSING, places=(0,), direction=0, to_lines=True, repeat_ns=30 * NS)))
    for second in range(120):
        script.at(second, track(1, (-1500.0 + 15 * second, -20.0 + 1.5 * min(second, 60)), (15.0, 1.5)))
    assert script.heard("west-mqtt")[0] == ("raised", "raised")
    assert script.heard("east-mqtt")[0][0] == "raised"
    script.stay(120, 260)
    assert script.heard("east-mqtt")[-1] == ("cleared", "unseen")
    assert all(phase != "cleared" for phase, _ in script.heard("patrol-mqtt"))


@pytest.mark.parametrize("acknowledged", [False, True])
def test_something_graver_goes_to_whom_its_agreement_names_while_nobody_has_it_in_hand(acknowledged: bool) -> None:
    paper = Agreement("mou-9", "east-county", "patrol", ("west",), (EventKind.ENTERING,))
    script = Script(ground(CROSSING, ENTERING, agreements=(paper,)))
    script.walk(0, 60, (1, 0.0, -30.0))
    assert stances(script) == {"east": (True, ""), "west": (False, "")}
    if acknowledged:
        script.act(60, "ack", track(1, (0.0, 60.0)))
    script.walk(61, 110, (1, 0.0, 61.5))
    leads = {r.agency: (r.lead, r.reason) for r in script.incident().routed}
    assert leads["patrol"] == ((not acknowledged), "agreement:mou-9")
    assert leads["east"][0] is acknowledged
    assert sum(lead for lead, _ in leads.values()) == 1
    assert script.heard("patrol-mqtt")[0] == ("raised", "graver")


def test_a_record_says_all_of_it_in_plain_values() -> None:
    script = entered()
    record = record_of(script.told[0][1])
    assert record["status"] == "open"
    assert record["reason"]["happenings"][0]["rule"] == "entering"
    assert json.loads(json.dumps(record)) == record


def test_the_same_events_in_two_orders_of_tracks_make_the_same_incidents() -> None:
    found = []
    for order in ((1, 2, 3), (3, 1, 2)):
        script = Script(ground(CROSSING))
        for second in range(40):
            script.at(second, *(track(n, (30.0 * n, -20.0 - n + 1.5 * second)) for n in order))
        found.append([(a.incident.key, a.why, a.incident.subjects) for _, a in script.told])
    assert found[0] == found[1]
    assert np.all([len(key) == 14 for key, _, _ in found[0]])
