"""The table of rejections: senders choose topics, and it stays bounded whatever they choose."""

from pathlib import Path

from alerts.outbox import DETAIL_LETTERS, MANY, REJECTIONS_KEPT, TOPIC_LETTERS, TOPICS_KEPT, Commit, Outbox
from model.rejections import Reason, Rejection
from model.time import DAY_NS
from tests.builders import T0


def commit(outbox: Outbox, *rejections: Rejection) -> None:
    outbox.commit(Commit(None, 0, T0, rejections=rejections))


def rejected(topic: str, sensor: str = "", count: int = 1, at_ns: int = T0) -> Rejection:
    return Rejection(at_ns, topic, Reason.UNKNOWN_SENSOR, "x" * 10_000, sensor, count)


def test_however_many_topics_come_in_one_commit_few_are_kept_and_all_are_counted(tmp_path: Path) -> None:
    with Outbox(tmp_path / "o.db") as outbox:
        commit(outbox, *(rejected(f"frigate/{i}/" + "t" * 60_000, count=3) for i in range(3_000)))
        commit(outbox, *(rejected(f"more/{i}") for i in range(3_000)))
        rows = outbox.rejections()
    assert len(rows) == TOPICS_KEPT + 1
    assert sum(r["count"] for r in rows) == 3_000 * 3 + 3_000
    assert {r["topic"] for r in rows} >= {MANY}
    assert max(len(r["topic"]) for r in rows) <= TOPIC_LETTERS
    assert max(len(r["detail"]) for r in rows) <= DETAIL_LETTERS


def test_what_nobody_sent_for_a_day_makes_room_for_what_is_sent_now(tmp_path: Path) -> None:
    with Outbox(tmp_path / "o.db") as outbox:
        commit(outbox, *(rejected(f"old/{i}") for i in range(1_000)))
        commit(outbox, rejected("real", at_ns=T0 + 2 * DAY_NS))
        assert [r["topic"] for r in outbox.rejections()] == ["real"]


def test_rejections_of_many_sensors_are_bounded_and_the_newest_are_kept(tmp_path: Path) -> None:
    with Outbox(tmp_path / "o.db") as outbox:
        many = REJECTIONS_KEPT + 500
        commit(outbox, *(rejected(f"t/{i}", f"sensor-{i}", at_ns=T0 + i) for i in range(many)))
        names = {r["sensor"] for r in outbox.rejections()}
    assert len(names) == REJECTIONS_KEPT
    assert f"sensor-{many - 1}" in names
