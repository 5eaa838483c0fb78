"""Messages that were slow for their size: what a message costs is bounded by its length, not by how many names are in it."""

import json
import time
from pathlib import Path

import numpy as np
import pytest

import runtime.pipeline as pipeline_module
import sensors.ingest as ingest_module
from model.messages import Messages
from model.time import NS
from runtime.configuration import load
from sensors.formats import common, openalpr
from sensors.ingest import Broker, Ingest, no_actions
from sensors.journal import Writer
from sensors.keys import DayKeys
from tests.builders import T0, decoded, messages, shipped_world
from tests.hostile.test_own_topics import LyingBroker, published
from tests.site import site_at

CATALOGUE = shipped_world().catalogue
RADAR = "marchwarden/san-rafael/detections/radar-west"
MEMBERS = {
    "unknown fields": lambda k: {"class": "car", f"a{k}": 1, f"b{k}": 1},
    "nothing but unknown fields": lambda k: {f"a{k}": 1},
    "unknown classes": lambda k: {"class": f"c{k}"},
    "unknown class shares": lambda k: {"class": {f"c{k}": 0.5, f"d{k}": 0.5}},
}


@pytest.mark.parametrize("what", MEMBERS)
def test_few_of_many_unknown_names_are_told_with_what_they_may_mean(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    real = common.get_close_matches
    monkeypatch.setattr(common, "get_close_matches", lambda name, *rest: asked.append(name) or real(name, *rest))
    frame = {"time": T0 // 1_000_000, "detections": [MEMBERS[what](k) for k in range(400)]}
    heard = decoded(CATALOGUE, messages((0.1, RADAR, json.dumps(frame).encode())))
    assert len(asked) == common.NAMES_MAX
    assert len(heard.rejections) <= common.NAMES_MAX + 1
    assert sum(r.count for r in heard.rejections) >= 400


def test_what_is_told_of_a_message_does_not_depend_on_those_before_it() -> None:
    sent = [
        (k / 10, RADAR, json.dumps({"class": "car", "z": k, **{f"x{k}{j}": 1 for j in range(4)}}).encode())
        for k in range(30)
    ]
    together = decoded(CATALOGUE, messages(*sent)).rejections
    alone = [r for one in sent for r in decoded(CATALOGUE, messages(one)).rejections]
    assert {r.detail for r in together} == {r.detail for r in alone}


def test_a_frame_of_many_plates_without_an_id_is_hashed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    hashed: list[int] = []
    real = openalpr.key_of
    monkeypatch.setattr(openalpr, "key_of", lambda *parts: hashed.append(sum(map(len, parts))) or real(*parts))
    results = {"data_type": "alpr_results", "camera_id": "1001", "results": [{"plate": f"A{k}"} for k in range(400)]}
    payload = json.dumps(results).encode()
    heard = decoded(CATALOGUE, messages((1.0, "openalpr", payload)))
    assert len(heard.readings) == 400
    assert sum(hashed) < 3 * len(payload) + 400 * 100


def test_a_batch_of_the_ingest_ends_at_its_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ingest_module, "BATCH_BYTES", 50_000)
    monkeypatch.setattr(ingest_module, "BATCH_NS", 3600 * NS)
    keys = DayKeys(tmp_path / "keys", "journal")
    packets = [published("frigate/events", b"x" * 9_000)] * 40
    broker = LyingBroker(*packets)
    with Writer(tmp_path / "journal", keys) as journal:
        sizes: list[int] = []
        append = journal.append
        monkeypatch.setattr(journal, "append", lambda m: sizes.append(sum(map(len, m.payloads))) or append(m))
        ingest = Ingest(
            Broker("127.0.0.1", broker.port, "us"), ("frigate/events",), journal, 10_000, lambda _: None, no_actions()
        )
        ingest.run(lambda: sum(sizes) >= 300_000)
    assert len(sizes) > 5
    assert max(sizes) < 50_000 + 10_000


def test_a_round_of_the_pipeline_ends_at_its_bytes_and_the_rest_comes_in_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline_module, "ROUND_BYTES", 50_000)
    pipeline = pipeline_module.Pipeline(load(site_at(tmp_path)), lambda _: None)
    places, now_ns = pipeline._places, time.time_ns()
    with Writer(places.journal, places.journal_keys()) as journal:
        for k in range(40):
            sent = Messages(np.array([now_ns + k]), ("frigate/events",), (b"x" * 9_000,), np.zeros(1, np.bool_))
            journal.append(sent)
            journal.sync()
    read = []
    while pipeline.turn():
        read.append(pipeline.tallies.messages)
    pipeline.close()
    assert read[-1] == 40
    assert np.diff([0, *read]).max() == 6
