"""System faults: from where they are noticed to an incident for technicians, and to `status`."""

import time
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest

from alerts.outbox import Outbox
from alerts.rules import Clears
from model.alerts import EventKind
from model.faults import DETAIL_LETTERS_MAX, Fault, FaultKind, fault_of
from model.messages import FAULT_TOPIC, Messages
from model.time import NS
from runtime.configuration import load
from runtime.pipeline import Pipeline
from runtime.replay import Tally, replayed
from runtime.world import warnings_of, world_of
from sensors.journal import Writer
from tests.builders import KEY, T0, shipped_world
from tests.script import Script, between, ground, rule
from tests.site import site_at

UNTIL_RESOLVED = {"clears": Clears.HAND, "repeat_ns": 0}
FOR_AN_HOUR = {"clears": Clears.TIME, "clear_after_ns": 3600 * NS, "repeat_ns": 0}


def fault(kind: FaultKind = FaultKind.DECODER_FAILED, about: str = "frigate", at_s: float = 1.0) -> Fault:
    return Fault(kind, about, "A message could not be read.", T0 + round(at_s * NS))


def test_faults_of_one_kind_about_one_thing_are_one_incident() -> None:
    script = Script(ground(rule(EventKind.SYSTEM_FAULT, **FOR_AN_HOUR)))
    for second in range(1, 60):
        script.at(second, faults=(fault(at_s=second),))
    script.want(("raised", between(1, 1)))
    script.at(60, faults=(fault(about="tak"), fault(FaultKind.KEY_LOST)))
    assert len(script.told) == 3


def test_a_fault_ends_when_it_has_not_been_reported_for_the_rules_time() -> None:
    script = Script(ground(rule(EventKind.SYSTEM_FAULT, **FOR_AN_HOUR)))
    script.at(1, faults=(fault(),))
    script.at(100, faults=(fault(at_s=100),))
    script.at(3699)
    script.at(3702)
    script.want(("raised", between(1, 1)), ("time_passed", between(3702, 3702)))


def test_a_fault_is_over_when_it_works_again_unless_a_person_has_to_say_so() -> None:
    for clears, ends in ((FOR_AN_HOUR, True), (UNTIL_RESOLVED, False)):
        script = Script(ground(rule(EventKind.SYSTEM_FAULT, **clears)))
        script.at(1, faults=(fault(), fault(about="tak")))
        script.at(2, faults=(replace(fault(at_s=2), over=True), replace(fault(about="never failed"), over=True)))
        script.want(*[("raised", between(1, 1))] * 2, *[("works_again", between(2, 2))] * ends)
        script.at(3, faults=(fault(at_s=3),))
        assert [why for _, why in script.heard("patrol-mqtt")].count("reopened" if ends else "raised") == (
            1 if ends else 2
        )


def test_a_rule_names_kinds_of_fault() -> None:
    script = Script(ground(rule(EventKind.SYSTEM_FAULT, faults=(FaultKind.KEY_LOST,), **UNTIL_RESOLVED)))
    script.at(1, faults=(fault(), fault(FaultKind.KEY_LOST, "plates.key")))
    assert [alert.incident.subjects for _, alert in script.told] == [("key_lost:plates.key",)]


def test_a_fault_goes_to_the_agencies_of_the_rule_and_the_first_leads() -> None:
    script = Script(ground(rule(EventKind.SYSTEM_FAULT, agencies=("west", "patrol"), **UNTIL_RESOLVED)))
    script.at(1, faults=(fault(),))
    assert [(r.agency, r.lead, r.reason) for r in script.incident().routed] == [
        ("west", True, "named_by_rule"),
        ("patrol", False, "named_by_rule"),
    ]


def test_without_agencies_in_the_rule_a_fault_goes_to_all_of_the_site_by_precedence() -> None:
    script = Script(ground(rule(EventKind.SYSTEM_FAULT, **UNTIL_RESOLVED)))
    script.at(1, faults=(fault(),))
    assert [(r.agency, r.lead) for r in script.incident().routed] == [
        ("patrol", True),
        ("east", False),
        ("west", False),
    ]
    script.act(2, "note", note="seen to")
    assert len(script.incident().routed) == 3  # no area of anybody's has a part in it


def test_the_text_says_what_is_wrong_and_no_place() -> None:
    script = Script(ground(rule(EventKind.SYSTEM_FAULT, agencies=("patrol",), **UNTIL_RESOLVED)))
    script.at(1, faults=(fault(),))
    assert script.told[0][1].text == (
        "System fault, decoder failed, frigate: A message could not be read.\nsent to Patrol (leads: named by the rule)"
    )


@pytest.mark.parametrize("text", ["a\r\nb", "x" * 100_000, "\ud800", "\x00\x1b[2J", "  \t "])
def test_a_faults_text_is_one_bounded_line_that_can_be_encoded(text: str) -> None:
    made = fault_of(FaultKind.LOAD_SHED, text, text, T0)
    for line in (made.about, made.detail):
        assert len(line) <= DETAIL_LETTERS_MAX
        assert line.encode().decode().isprintable()


def test_a_site_without_a_rule_on_system_faults_is_noted(tmp_path: Path) -> None:
    site = site_at(tmp_path)
    rules = (site / "rules.toml").read_text()
    assert not any("system_fault" in note for note in warnings_of(world_of(load(site), KEY)))
    begin = rules.index('[[rule]]\nid = "system-faults"')
    end = rules.index("# While", begin)
    (site / "rules.toml").write_text(rules[:begin] + rules[end:])
    assert any("system_fault" in note for note in warnings_of(world_of(load(site), KEY)))


def test_a_reported_fault_goes_through_the_journal_and_a_replay_gives_the_same(tmp_path: Path) -> None:
    site = site_at(tmp_path)
    pipeline = Pipeline(load(site), lambda _: None)
    places, now_ns = pipeline._places, time.time_ns()
    with Outbox(places.database) as outbox:
        for later_ns in (0, 1, 2):  # the same fault, met again and again
            outbox.report_fault(fault_of(FaultKind.STORE_DAMAGED, "vault", "It was set aside.", now_ns + later_ns))
        waiting = outbox.waiting_actions()
        assert [topic for _, topic, _ in waiting] == [FAULT_TOPIC]
        assert [(f["kind"], f["waiting"]) for f in outbox.status()["faults"]] == [("store_damaged", True)]
        recorded = Messages(np.array([now_ns]), (FAULT_TOPIC,), (waiting[0][2],), np.zeros(1, np.bool_))
        with Writer(places.journal, places.journal_keys()) as journal:
            journal.append(recorded)
            journal.tick(now_ns + 2 * NS)
            journal.sync()
            outbox.actions_taken([id for id, *_ in waiting])
            while pipeline.turn():
                pass
        pipeline.commit()
        (incident,) = outbox.incidents()
        assert (incident["rule"], incident["agencies"]) == ("system-faults", ["border-patrol"])
        assert [(f["kind"], f["count"], f["waiting"]) for f in outbox.status()["faults"]] == [
            ("store_damaged", 1, False)
        ]
    pipeline.close()
    tally, keys = Tally(), set[str]()
    for outcome in replayed(shipped_world(), [recorded]):
        tally.count(outcome)
        keys |= {alert.incident.key for alert in outcome.alerts}
    assert keys == {incident["alert"]}
    assert tally.as_record()["faults"] == [{"kind": "store_damaged", "about": "vault", "detail": "It was set aside."}]


def test_a_fault_that_the_journal_says_in_the_wrong_shape_is_rejected() -> None:
    said = msgspec.json.encode({"kind": "no_such_kind", "about": "x", "detail": "", "observed_ns": 1})
    recorded = Messages(np.array([T0]), (FAULT_TOPIC,), (said,), np.zeros(1, np.bool_))
    outcomes = list(replayed(shipped_world(), [recorded]))
    assert [r.reason.value for o in outcomes for r in o.rejections] == ["wrong_shape"]
