"""Every action by every standing, and how an agency with a copy tries to get more of an incident than it was given."""

import json
from dataclasses import replace

import pytest

from alerts.people import DOING, Desk, acted
from alerts.redaction import withheld_from
from alerts.rules import Agency, Agreement, Channel, Ground, Rung
from alerts.standing import GRANTED, Standing, standing_of
from alerts.wire import record_of
from model.alerts import Action, EventKind, Incident, Stance
from model.time import NS
from tests.builders import T0
from tests.script import AGENCIES, Script, ground, rule, track
from tests.unit.test_incidents import INSIDE, OUTSIDE

ENTERING = rule(EventKind.ENTERING, places=(0,))
NORTH = Agency("north", "North", 40, True, (Channel("north-mqtt", "mqtt"),))
PAPER = Agreement("mou", "west-county", "patrol", ("west", "north"), (), withheld=("evidence", "log"))
ALL_AGENCIES = (*AGENCIES, NORTH)


def entered(paper: Agreement = PAPER) -> Script:
    """Somebody in the yard: patrol leads by agreement, west and north have copies by it, east one by its county."""
    return enter(ground(ENTERING, agencies=ALL_AGENCIES, agreements=(paper,)))


def enter(where: Ground) -> Script:
    script = Script(where)
    script.stay(0, 5, track(1, OUTSIDE))
    script.at(5, track(1, INSIDE))
    return script


def answer(ground_: Ground, incident: Incident, action: Action, others: tuple[Incident, ...] = ()) -> str:
    """Why the action could not be done; empty: it was."""
    desk = Desk({i.key: i for i in (incident, *others)}, (), ())
    _, _, refused = acted(ground_, desk, [action], incident.last_ns)
    return refused[0][1] if refused else ""


def offered_to(incident: Incident, agency: str) -> Incident:
    return replace(incident, offered_to=agency)


STANDINGS = {
    Standing.SITE: "",
    Standing.LEAD: "patrol",
    Standing.COPY: "west",
    Standing.OFFERED: "north",
    Standing.NONE: "stranger",
}
SENSIBLE = {
    "ack": {},
    "assign": {"to": "unit-7"},
    "note": {"note": "two adults"},
    "resolve": {"note": "genuine"},
    "accept": {},
    "decline": {},
    "hand-over": {"to": "stranger"},
    "share": {"to": "stranger"},
    "merge": {"to": "other"},
    "split": {"subjects": ("T1",)},
}
EVERYTHING = set(SENSIBLE)
MAY = {
    Standing.SITE: EVERYTHING - {"accept", "decline"},  # an agency does these
    Standing.LEAD: EVERYTHING,
    Standing.COPY: {"note", "accept", "decline"},
    Standing.OFFERED: {"note", "accept", "decline"},
    Standing.NONE: set[str](),
}


def two_in_the_yard(may: tuple[str, ...] = ("note",)) -> tuple[Ground, Incident, Incident]:
    """An incident of two subjects offered to north, and another that the same agencies have."""
    stranger = Agency("stranger", "Stranger", 50, True, (Channel("stranger-mqtt", "mqtt"),))
    paper = replace(PAPER, copies_may=may)
    where = ground(ENTERING, agencies=(*ALL_AGENCIES, stranger), agreements=(paper,))
    script = enter(where)
    incident = replace(offered_to(script.incident(), "north"), subjects=("T1", "T2"))
    return where, incident, replace(incident, key="other", subjects=("T3", "T4"))


def test_the_table_is_of_every_action_and_every_standing() -> None:
    assert set(SENSIBLE) == set(DOING)
    assert set(STANDINGS) == set(MAY) == set(Standing)


@pytest.mark.parametrize("action", SENSIBLE)
@pytest.mark.parametrize("standing", STANDINGS)
def test_every_action_by_every_standing(action: str, standing: Standing) -> None:
    where, incident, other = two_in_the_yard()
    agency = STANDINGS[standing]
    assert standing_of(incident, agency) is standing
    done = Action(action, incident.key, "ana", incident.raised_ns + NS, agency=agency, **SENSIBLE[action])  # type: ignore[arg-type]
    reason = answer(where, incident, done, (other,))
    assert (reason == "") == (action in MAY[standing]), reason


@pytest.mark.parametrize("given", GRANTED)
@pytest.mark.parametrize("action", GRANTED)
def test_an_agreement_gives_copies_an_action_and_no_other(given: str, action: str) -> None:
    where, incident, other = two_in_the_yard((given,))
    done = Action(action, incident.key, "ana", incident.raised_ns + NS, agency="west", **SENSIBLE[action])  # type: ignore[arg-type]
    assert (answer(where, incident, done, (other,)) == "") == (action == given)


def test_a_merge_needs_the_right_to_both() -> None:
    """Who leads one alert would otherwise get into another, of which it has a copy, by merging the two."""
    where, incident, other = two_in_the_yard()
    led_by_west = replace(other, routed=tuple(replace(r, lead=r.agency == "west") for r in other.routed))
    for one, into in ((incident, led_by_west), (led_by_west, incident)):
        done = Action("merge", one.key, "ana", incident.raised_ns + NS, agency="west", to=into.key)
        assert "patrol, who leads it" in answer(where, one, done, (into,))


# ── the way that was open ────────────────────────────────────────────────────────────────────────


def test_a_copy_agency_cannot_hand_an_incident_over_to_itself_and_lead_it() -> None:
    script = entered()
    script.act(10, "hand-over", track(1, INSIDE), agency="west", to="west")
    script.act(11, "accept", track(1, INSIDE), agency="west")
    script.act(12, "share", track(1, INSIDE), agency="west", to="north")
    routed = {r.agency: r for r in script.incident().routed}
    assert [a for a, r in routed.items() if r.lead] == ["patrol"]
    assert script.incident().offered_to == ""
    assert routed["west"].stance is Stance.ACCEPTED, "it may say that it takes part"


def test_who_gets_it_from_the_lead_is_bound_by_what_the_agreement_withholds() -> None:
    paper = replace(PAPER, copies=("west",), copies_may=("ack",))
    script = entered(paper)
    script.act(10, "share", track(1, INSIDE), agency="patrol", to="north")
    shared = next(r for r in script.incident().routed if r.agency == "north")
    assert (shared.reason, shared.may) == ("shared_by:patrol", ("ack",))
    assert withheld_from(NORTH, shared) == {"evidence", "log"}
    told = next(json.loads(d.body) for _, d in script.sent if d.channel == "north-mqtt")
    assert (told["evidence"], told["log"], told["withheld"]) == ([], [], ["evidence", "log"])


def test_one_that_was_given_less_gives_on_no_more_once_it_leads() -> None:
    script = entered()
    script.act(10, "hand-over", track(1, INSIDE), agency="patrol", to="west")
    script.act(11, "accept", track(1, INSIDE), agency="west")
    assert next(r for r in script.incident().routed if r.lead).agency == "west"
    script.act(12, "share", track(1, INSIDE), agency="patrol", to="east")
    script.act(13, "hand-over", track(1, INSIDE), agency="west", to="east")
    routed = {r.agency: r for r in script.incident().routed}
    assert {"evidence", "log"} <= set(routed["west"].withheld)


def test_who_comes_in_by_a_merge_gets_nothing_that_the_other_alert_keeps_from_copies() -> None:
    where, incident, other = two_in_the_yard()
    alone = replace(
        other, routed=tuple(replace(r, agency="stranger", withheld=(), lead=True) for r in other.routed if r.lead)
    )
    desk = Desk({incident.key: incident, alone.key: alone}, (), ())
    done = Action("merge", alone.key, "ana", incident.raised_ns + NS, to=incident.key)
    desk, _, refused = acted(where, desk, [done], incident.last_ns)
    assert refused == ()
    routed = {r.agency: r for r in desk.incidents[incident.key].routed}
    assert (routed["stranger"].lead, routed["stranger"].withheld) == (False, ("evidence", "log"))
    assert routed["patrol"].withheld == ()


def test_who_is_called_because_nobody_answers_may_answer_and_is_bound_all_the_same() -> None:
    rung = Rung(("major",), 60 * NS, (), ("north",))
    agencies = tuple(replace(a, ladder=(rung,)) if a.id == "patrol" else a for a in ALL_AGENCIES)
    paper = replace(PAPER, copies=("west",))
    script = enter(ground(ENTERING, agencies=agencies, agreements=(paper,)))
    script.stay(6, 70, track(1, INSIDE))
    called = next(r for r in script.incident().routed if r.agency == "north")
    assert (called.reason, called.withheld) == ("escalated:patrol", ("evidence", "log"))
    script.act(71, "resolve", track(1, INSIDE), agency="north", note="nuisance")
    script.act(72, "ack", track(1, INSIDE), agency="north", by="nora")
    assert (script.incident().resolution, script.incident().acknowledged_by) == ("", "nora")


def test_a_copy_that_accepts_does_not_keep_a_graver_alert_from_its_proper_lead() -> None:
    """`in hand` is for who leads to say; a copy could otherwise fix the lead by accepting early."""
    entering = replace(ENTERING, severity="minor")
    dwelling = rule(EventKind.DWELLING, places=(0,), confirm_ns=20 * NS, already_inside=True, severity="critical")
    paper = Agreement("grave", "west-county", "north", (), (EventKind.DWELLING,))
    script = enter(ground(entering, dwelling, agencies=ALL_AGENCIES, agreements=(paper,)))
    script.act(6, "accept", track(1, INSIDE), agency="west")
    script.stay(7, 40, track(1, INSIDE))
    assert next(r for r in script.incident().routed if r.lead).agency == "north"


def test_what_is_over_cannot_be_split_into_a_new_alert() -> None:
    where, incident, _ = two_in_the_yard()
    resolve = Action("resolve", incident.key, "ana", incident.raised_ns + NS, agency="patrol", note="genuine")
    desk, _, _ = acted(where, Desk({incident.key: incident}, (), ()), [resolve], incident.last_ns)
    split = Action("split", incident.key, "ana", incident.raised_ns + NS, agency="patrol", subjects=("T1",))
    assert "over" in answer(where, desk.incidents[incident.key], split)


# ── silences ─────────────────────────────────────────────────────────────────────────────────────

YARD = (("zone", "yard"),)


def silenced_by(agency: str, matchers: tuple[tuple[str, str], ...] = YARD, before_it: bool = True) -> Script:
    """Somebody enters the yard, which an agency has silenced before, or silences then, until 40 s."""
    script = Script(ground(ENTERING, agencies=ALL_AGENCIES, agreements=(replace(PAPER, copies=("west",)),)))
    script.stay(0, 2 if before_it else 5, track(1, OUTSIDE))
    if not before_it:
        script.at(5, track(1, INSIDE))
    more = {"matchers": matchers, "note": "ranch hands", "until_ns": T0 + 40 * NS}
    script.act(
        3 if before_it else 6, "silence", track(1, OUTSIDE if before_it else INSIDE), alert="", agency=agency, **more
    )
    if before_it:
        script.stay(4, 5, track(1, OUTSIDE))
        script.at(5, track(1, INSIDE))
    script.stay(7, 30, track(1, INSIDE))
    return script


@pytest.mark.parametrize("before_it", [True, False])
def test_a_copy_agency_silences_what_comes_to_itself_alone(before_it: bool) -> None:
    script = silenced_by("west", before_it=before_it)
    script.act(31, "note", track(1, INSIDE), agency="patrol", note="two adults")
    assert [why for _, why in script.heard("patrol-mqtt")] == ["raised", "noted"]
    assert [why for _, why in script.heard("west-mqtt")] == ([] if before_it else ["raised"])
    muted = {r["agency"]: r["muted"] for r in record_of(script.told[-1][1])["reason"]["routing"]}
    assert muted == {"patrol": None, "east": None, "west": f"silence:{script.state.silences[0].id}"}
    script.stay(32, 45, track(1, INSIDE))
    assert [why for _, why in script.heard("patrol-mqtt")] == ["raised", "noted"]
    assert script.heard("west-mqtt")[-1] == ("raised" if before_it else "updated", "silence_over")


def test_it_does_not_matter_that_it_matches_everything_that_others_have_too() -> None:
    script = silenced_by("west", (("agency", "patrol"),))
    assert [why for _, why in script.heard("patrol-mqtt")] == ["raised"]
    assert script.heard("west-mqtt") == []


def test_a_silence_of_no_agency_keeps_it_from_everybody() -> None:
    script = silenced_by("")
    assert script.heard("patrol-mqtt") == script.heard("west-mqtt") == []


def test_the_end_of_what_an_agency_knew_of_reaches_it_though_silenced() -> None:
    script = silenced_by("west", before_it=False)
    script.act(31, "resolve", track(1, INSIDE), agency="patrol", note="genuine")
    assert script.heard("west-mqtt")[-1] == ("cleared", "resolved")


def test_a_lead_that_silences_for_itself_does_not_climb_its_ladder() -> None:
    rung = Rung(("major",), 10 * NS, (), ("north",))
    agencies = tuple(replace(a, ladder=(rung,)) if a.id == "patrol" else a for a in ALL_AGENCIES)
    script = Script(ground(ENTERING, agencies=agencies, agreements=(replace(PAPER, copies=("west",)),)))
    script.stay(0, 5, track(1, OUTSIDE))
    script.at(5, track(1, INSIDE))
    more = {"matchers": YARD, "note": "ranch hands", "until_ns": T0 + 40 * NS}
    script.act(6, "silence", track(1, INSIDE), alert="", agency="patrol", **more)
    script.stay(7, 44, track(1, INSIDE))
    assert "north" not in {r.agency for r in script.incident().routed}
    script.stay(45, 60, track(1, INSIDE))
    assert "north" in {r.agency for r in script.incident().routed}


@pytest.mark.parametrize(
    ("of", "by", "may"),
    [("west", "west", True), ("west", "", True), ("west", "patrol", False), ("", "patrol", False), ("", "", True)],
)
def test_a_silence_is_ended_by_who_made_it_or_who_runs_the_site(of: str, by: str, may: bool) -> None:
    script = silenced_by(of)
    id = script.state.silences[0].id
    script.act(31, "unsilence", track(1, INSIDE), alert="", agency=by, to=id)
    assert (script.state.silences == ()) == may


def test_an_agency_that_is_none_silences_nothing() -> None:
    assert silenced_by("stranger").state.silences == ()
