"""The outbox, delivery in order and with retries, and the audit log."""

import json
import threading
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alerts import audit
from alerts.channels.results import Delivered, Refused, Result, TryAgain
from alerts.delivery import ATTEMPTS_MAX, LONGEST_WAIT_S, MINUTE_NS, Allowance, deliver, next_try_ns
from alerts.outbox import Commit, Due, Outbox, StoredState, UnknownAlert
from alerts.wire import delivery_key
from model.alerts import Alert, Delivery, Phase, View
from model.rejections import Reason, Rejection
from model.time import NS
from tests.builders import T0
from tests.script import Script, ground
from tests.unit.test_alerts import CROSSING


def crossing() -> Alert:
    script = Script(ground(CROSSING))
    script.walk(0, 30, (1, 0.0, -30.0))
    return script.told[0][1]


ALERT = crossing()


def delivery(revision: int = 1, agency: str = "west", incident: str = "A1", channel: str = "c") -> Delivery:
    key = delivery_key(agency, channel, incident, revision)
    return Delivery(
        key, agency, channel, incident, revision, json.dumps({"alert": incident, "revision": revision}).encode()
    )


STORED = StoredState(1, b"mark", b"state", {})


def commit(*deliveries: Delivery, **more: object) -> Commit:
    return Commit(STORED, 7, T0, deliveries=deliveries, **more)  # type: ignore[arg-type]


def test_what_is_committed_twice_is_there_once(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "o.db")
    for _ in range(2):
        outbox.commit(commit(delivery(), alerts=(ALERT,)))
    assert len(outbox.due("c", T0)) == 1
    assert [i["alert"] for i in outbox.incidents()] == [ALERT.incident.key]
    assert (outbox.state(), outbox.position()) == (STORED, (7, T0))


def test_an_agency_reads_its_own_view_of_what_it_has_and_nothing_of_what_it_has_not(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "o.db")
    agency = ALERT.incident.routed[0].agency
    less = json.dumps({"alert": ALERT.incident.key, "agencies": [agency], "text": "less"}).encode()
    outbox.tell((ALERT,), (), (View(ALERT.incident.key, ALERT.incident.revision, agency, less),))
    for read in (
        lambda who: outbox.incidents(agency=who),
        lambda who: outbox.history_of(ALERT.incident.key, who),
        lambda who: [record for _, record in outbox.revisions_after(0, who)],
    ):
        assert [record["text"] for record in read(agency)] == ["less"]
        assert [record["text"] for record in read("")] == [ALERT.text]
        assert read("another") == []


def test_what_has_long_been_over_is_left_out_and_what_is_open_never_is(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "o.db")
    over = replace(ALERT, incident=replace(ALERT.incident, key="A0", phase=Phase.CLEARED))
    outbox.tell((ALERT, over), ())
    assert {i["alert"] for i in outbox.incidents(since_ns=ALERT.told_ns)} == {ALERT.incident.key, "A0"}
    assert [i["alert"] for i in outbox.incidents(since_ns=ALERT.told_ns + 1)] == [ALERT.incident.key]
    assert [i["alert"] for i in outbox.incidents(open_only=True)] == [ALERT.incident.key]


def test_a_commit_that_fails_half_way_leaves_nothing_behind(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "o.db")
    outbox.commit(commit(delivery(1)))
    broken = replace(ALERT, incident=replace(ALERT.incident, assigned_to=object()))
    with pytest.raises(TypeError):
        outbox.commit(replace(commit(delivery(2), alerts=(broken,)), position=9))
    assert (outbox.state(), outbox.position()) == (STORED, (7, T0))
    assert [d.delivery.revision for d in outbox.due("c", T0)] == [1]


def test_parts_of_the_snapshot_that_are_used_no_more_are_removed(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "o.db")
    for fresh, used in (({1: b"one", 2: b"two"}, {1, 2}), ({3: b"three"}, {2, 3})):
        outbox.commit(replace(commit(), state=replace(STORED, parts=fresh, parts_used=frozenset(used))))
    assert outbox.state() == replace(STORED, parts={2: b"two", 3: b"three"})


def test_rejections_are_counted_by_reason_topic_and_sensor(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "o.db")
    one = Rejection(T0, "frigate", Reason.BEYOND_HORIZON, "why", "cam-1")
    outbox.commit(commit(rejections=(one, one, replace(one, sensor="cam-2"))))
    assert [(r["sensor"], r["count"]) for r in outbox.rejections()] == [("cam-1", 2), ("cam-2", 1)]


def test_a_key_may_be_shortened_as_long_as_it_is_one(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "o.db")
    outbox.commit(commit(alerts=(ALERT,)))
    assert outbox.full_key(ALERT.incident.key[:5].lower()) == ALERT.incident.key
    with pytest.raises(UnknownAlert, match="alerts list"):
        outbox.full_key("ZZZ")


# ── delivery ─────────────────────────────────────────────────────────────────────────────────────


@dataclass
class Receiver:
    """A channel that does what the test says, and remembers what came."""

    answers: list[Result]
    id: str = "c"
    per_minute: int | None = None
    got: list[tuple[str, int]] = field(default_factory=list)

    def send(self, deliveries: list[Delivery]) -> list[Result]:
        results = []
        for d in deliveries:
            result = self.answers.pop(0) if self.answers else Delivered()
            if isinstance(result, Delivered):
                self.got.append((d.incident, d.revision))
            results.append(result)
        return results

    def close(self) -> None: ...


@dataclass
class Clock:
    ns: int = T0

    def now_ns(self) -> int:
        return self.ns

    def wait(self, seconds: float, stop: threading.Event) -> None: ...


def test_a_later_revision_waits_for_the_earlier_one_and_other_alerts_do_not(tmp_path: Path) -> None:
    outbox, clock = Outbox(tmp_path / "o.db"), Clock()
    outbox.commit(commit(delivery(1), delivery(2), delivery(1, incident="B")))
    receiver = Receiver([TryAgain("busy")])
    deliver(outbox, receiver, clock, chance=lambda: 1.0)
    assert receiver.got == [("B", 1)]
    deliver(outbox, receiver, clock)
    assert receiver.got == [("B", 1)]
    for _ in range(2):
        clock.ns += 10 * NS
        deliver(outbox, receiver, clock)
    assert receiver.got == [("B", 1), ("A1", 1), ("A1", 2)]


def test_a_refusal_is_asked_again_and_then_a_dead_letter_and_what_comes_after_it_waits_behind_it(
    tmp_path: Path,
) -> None:
    outbox, clock = Outbox(tmp_path / "o.db"), Clock()
    outbox.commit(commit(delivery(1), delivery(2)))
    receiver = Receiver([Refused("no")] * 3)
    for _ in range(5):
        deliver(outbox, receiver, clock)
        clock.ns += 600 * NS
    outbox.commit(commit(delivery(3), delivery(1, incident="B")))
    deliver(outbox, receiver, clock)
    assert receiver.got == [("B", 1)]
    assert outbox.status()["deliveries"] == {"waiting": 0, "dead": 3, "delivered": 1}
    assert [(d["revision"], d["error"][:10]) for d in outbox.dead_letters()] == [
        (1, "no"),
        (2, "An earlier"),
        (3, "An earlier"),
    ]
    assert outbox.revive(alert="A1") == 3
    for _ in range(3):
        deliver(outbox, receiver, clock)
    assert receiver.got == [("B", 1), ("A1", 1), ("A1", 2), ("A1", 3)]


def test_a_channel_gets_no_more_in_a_minute_than_it_may_and_the_rest_waits(tmp_path: Path) -> None:
    outbox, clock = Outbox(tmp_path / "o.db"), Clock()
    outbox.commit(commit(*(delivery(1, incident=f"A{n}") for n in range(25))))
    receiver = Receiver([], per_minute=10)
    allowance = Allowance(10)
    counts = []
    for _ in range(4):
        deliver(outbox, receiver, clock, allowance)
        deliver(outbox, receiver, clock, allowance)
        counts.append(len(receiver.got))
        clock.ns += MINUTE_NS
    assert counts == [10, 20, 25, 25]


@given(st.integers(0, ATTEMPTS_MAX - 2), st.floats(0, 1))
def test_waits_grow_and_stay_within_their_bound(attempts: int, chance: float) -> None:
    again = next_try_ns(Due(1, delivery(), attempts), TryAgain("x"), T0, chance)
    assert again is not None
    assert 0 < again - T0 <= LONGEST_WAIT_S * NS
    assert next_try_ns(Due(1, delivery(), attempts), TryAgain("x", 17.0), T0, chance) == T0 + 17 * NS
    assert next_try_ns(Due(1, delivery(), ATTEMPTS_MAX - 1), TryAgain("x"), T0, chance) is None


# ── audit ────────────────────────────────────────────────────────────────────────────────────────

KEY = b"k" * 32


def log(path: Path, lines: int = 5) -> Path:
    for n in range(lines):
        audit.append(path, KEY, "2026-11-20T04:20:30.000000Z", "desk-1", "looked", f"A{n}", "shift")
    return path


def test_a_log_left_alone_stands(tmp_path: Path) -> None:
    verdict = audit.verify(log(tmp_path / "audit.log"), KEY)
    assert (verdict.lines, verdict.findings) == (5, ())


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 10_000), st.integers(1, 255))
def test_any_changed_byte_is_found(tmp_path_factory: pytest.TempPathFactory, at: int, flip: int) -> None:
    path = log(tmp_path_factory.mktemp("audit") / "audit.log")
    data = bytearray(path.read_bytes())
    data[at % len(data)] ^= flip
    path.write_bytes(data)
    assert audit.verify(path, KEY).broken


@pytest.mark.parametrize("keep", [[0, 1, 3, 4], [1, 2, 3, 4], [0, 1, 2, 3], [0, 2, 1, 3, 4], [0, 1, 2, 3, 4, 4], []])
def test_a_dropped_exchanged_repeated_or_cut_off_line_is_found(tmp_path: Path, keep: list[int]) -> None:
    path = log(tmp_path / "audit.log")
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[i] for i in keep))
    assert audit.verify(path, KEY).broken


def test_a_power_cut_between_line_and_head_leaves_a_log_that_stands_and_goes_on(tmp_path: Path) -> None:
    path = log(tmp_path / "audit.log")
    head = path.with_suffix(".head").read_bytes()
    log(path, 1)
    path.with_suffix(".head").write_bytes(head)
    assert audit.verify(path, KEY).broken == ""
    log(path, 1)
    verdict = audit.verify(path, KEY)
    assert (verdict.lines, verdict.findings) == (7, ())
