"""What raised an exception is kept for the maintainer, sealed and bounded; a plate key that is gone is told."""

import time
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from model.messages import Messages
from model.time import DAY_NS, MS, NS, iso_from_ns
from runtime import advance as whole
from runtime import recording
from runtime.configuration import load
from runtime.pipeline import Pipeline
from runtime.places import Places
from sensors import aside
from sensors.aside import AsideStore, Kept
from sensors.journal import Writer
from sensors.keys import DayKeys
from tests.builders import T0, messages
from tests.site import marchwarden, site_at

RADAR = "marchwarden/san-rafael/detections/radar-west"


def kept(n: int, stage: str = "fusion.life", size: int = 10) -> Kept:
    return Kept(messages((n, f"topic/{n}", b"p" * size)), stage, "Traceback …")


def store(folder: Path) -> AsideStore:
    return AsideStore(folder / "aside", DayKeys(folder / "keys", "journal"))


def test_what_is_kept_is_read_back_once_and_cannot_be_read_without_the_key(tmp_path: Path) -> None:
    assert store(tmp_path).keep([kept(1), kept(1)]) == 1
    assert store(tmp_path).keep([kept(1)]) == 0
    (found,) = store(tmp_path).read()
    assert isinstance(found, Kept)
    assert (found.message.topics, found.stage, found.error) == (("topic/1",), "fusion.life", "Traceback …")
    assert b"topic/1" not in next((tmp_path / "aside").iterdir()).read_bytes()


def test_it_is_bounded_for_each_stage_altogether_and_in_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert store(tmp_path).keep(kept(n) for n in range(100)) == aside.STAGE_FILES_MAX
    assert store(tmp_path).keep([kept(1000, "alerts.judge")]) == 1
    monkeypatch.setattr(aside, "BYTES_MAX", 100_000)
    assert store(tmp_path).keep([kept(1001, "sensors.decode", 99_000)]) == 0
    monkeypatch.setattr(aside, "FILES_MAX", 21)
    assert store(tmp_path).keep([kept(1002, "alerts.life")]) == 0


def test_it_goes_when_the_journal_of_its_day_goes(tmp_path: Path) -> None:
    store(tmp_path).keep([kept(1)])
    store(tmp_path).forget_before(T0 + 2 * DAY_NS)
    assert store(tmp_path).count() == 0


@pytest.mark.parametrize("damage", ["flip", "cut", "key"])
def test_what_is_damaged_is_one_sentence(damage: str, tmp_path: Path) -> None:
    store(tmp_path).keep([kept(1), kept(2)])
    path = sorted((tmp_path / "aside").iterdir())[0]
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 4
    if damage == "key":
        next((tmp_path / "keys").iterdir()).unlink()
    else:
        path.write_bytes(data if damage == "flip" else data[:30])
    found = list(store(tmp_path).read())
    assert isinstance(found[0], str)
    assert len(found) == 2


def test_a_message_that_raises_in_the_service_can_be_exported_and_replayed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = whole.decode

    def raising(*given: Any) -> Any:
        if any(b"planted" in payload for payload in given[-1].payloads):
            raise RuntimeError("planted")
        return real(*given)

    monkeypatch.setattr(whole, "decode", raising)
    site = site_at(tmp_path)
    pipeline = Pipeline(load(site), lambda _: None)
    places, now_ns = pipeline._places, time.time_ns() // NS * NS - 10 * NS
    payload = msgspec.json.encode({"time": iso_from_ns(now_ns), "id": "planted"})
    with Writer(places.journal, places.journal_keys()) as journal:
        journal.append(Messages(np.array([now_ns + MS]), (RADAR,), (payload,), np.zeros(1, np.bool_)))
        journal.tick(now_ns + 5 * NS)
        journal.sync()
        while pipeline.turn():
            pass
    pipeline.commit()
    assert pipeline.outbox.status()["service"]["kept_aside"] == 1
    assert [i["rule"] for i in pipeline.outbox.incidents()] == ["system-faults"]
    pipeline.close()
    out = tmp_path / "aside.ndjson"
    done = marchwarden("aside", site, "--out", out, "--reason", "test")
    assert done.returncode == 0, done.stderr
    assert [b.payloads for b in recording.read(out)] == [(payload,)]
    assert "planted" in marchwarden("aside", site, "--reason", "test").stdout


@pytest.mark.parametrize("how", ["removed", "short", "another"])
def test_a_plate_key_that_is_gone_is_told_and_the_service_runs(how: str, tmp_path: Path) -> None:
    site = site_at(tmp_path)
    places = Places(load(site).state)
    now_ns = time.time_ns() // NS * NS - 10 * NS
    pipeline = Pipeline(load(site), lambda _: None)
    with Writer(places.journal, places.journal_keys()) as journal:
        journal.tick(now_ns)
        journal.tick(now_ns + 5 * NS)
    while pipeline.turn():
        pass
    pipeline.close()
    file = places.state / "keys" / "plates.key"
    if how == "removed":
        file.unlink()
    else:
        file.write_bytes(b"short" if how == "short" else bytes(32))
    reports: list[str] = []
    pipeline = Pipeline(load(site), reports.append)
    assert [f["kind"] for f in pipeline.outbox.faults()] == ["key_lost"]
    assert sum("plates.key" in text for text in reports) == 1
    pipeline.commit()
    pipeline.close()
    again = Pipeline(load(site), reports.append)
    assert sum("plates.key" in text for text in reports) == 1
    again.close()
