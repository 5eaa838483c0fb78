"""One suite for both stores: the embedded one, and InfluxDB's against a real server."""

import itertools
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from history.embedded import EmbeddedStore
from history.influx import InfluxStore
from history.query import as_csv, as_json_lines
from history.store import Query, Store, StoreFailed
from history.tables import SCHEMAS
from tests.influx import influxdb

T0 = 1_795_000_000_000_000_000
S = 1_000_000_000
Opener = Callable[[bool], Store]


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with influxdb() as url:
        yield url


databases = itertools.count()


@pytest.fixture(params=["embedded", "influxdb"])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Opener:
    """Opens the same history, to write or to read, as often as a test wants."""
    if request.param == "embedded":
        return lambda write: EmbeddedStore(tmp_path, write, rows_max=500)
    url = request.getfixturevalue("server")
    name = f"test{next(databases)}"
    InfluxStore(url, name)._influxql(f"CREATE DATABASE {name}", "POST")
    return lambda write: InfluxStore(url, name)


def detections(
    seconds: list[float], sensor: str = "cam-01", lat: float | list[float] = 31.34, **more: list[object]
) -> pa.Table:
    n = len(seconds)
    columns: dict[str, list[object]] = {
        "time_ns": [T0 + round(s * S) for s in seconds],
        "received_ns": [T0] * n,
        "sensor": [sensor] * n,
        "lat": lat if isinstance(lat, list) else [lat] * n,
        "lon": [-110.6] * n,
        "sigma_m": [3.5] * n,
        "class": ["person"] * n,
        "class_share": [0.9] * n,
        "confidence": [0.8] * n,
        "plate": [""] * n,
    }
    return pa.table(columns | more, schema=SCHEMAS["detections"])


def found(store: Store, **asked: object) -> list[dict[str, object]]:
    query = Query("detections", T0 - 10**15, T0 + 10**15, **asked)  # type: ignore[arg-type]
    return store.query(query).to_pylist()


def test_what_was_written_is_found_by_another_reader_in_order_of_time(opened: Opener) -> None:
    store = opened(True)
    rows = detections([3, 1, 2])
    store.write("detections", rows, 1)
    store.flush()
    assert found(opened(False)) == rows.sort_by("time_ns").to_pylist()
    store.close()


def test_a_range_of_times_holds_its_beginning_and_not_its_end(opened: Opener) -> None:
    store = opened(True)
    store.write("detections", detections([0, 1, 2]), 1)
    store.flush()
    times = store.query(Query("detections", T0, T0 + 2 * S))["time_ns"].to_pylist()
    assert times == [T0, T0 + S]
    store.close()


def test_rows_are_chosen_by_area_and_by_sensor(opened: Opener) -> None:
    store = opened(True)
    store.write("detections", detections([1], "cam-01", 31.34), 1)
    store.write("detections", detections([1], "cam-02", 31.50), 2)
    store.flush()
    assert [r["sensor"] for r in found(store, box=(31.4, -111.0, 31.6, -110.0))] == ["cam-02"]
    assert [r["sensor"] for r in found(store, sensor="cam-01")] == ["cam-01"]
    assert found(store, sensor="cam-0") == []
    assert found(store, track="T0") == []
    assert len(found(store, limit=1)) == 1
    store.close()


def test_writing_again_after_a_crash_doubles_nothing(opened: Opener) -> None:
    store = opened(True)
    store.write("detections", detections([1, 1, 2]), 5)
    store.flush()
    store.close()
    store = opened(True)
    store.write("detections", detections([1, 1, 2]), 5)
    store.write("detections", detections([3]), 6)
    store.flush()
    assert len(found(store)) == 4
    store.close()


def test_two_rows_of_one_sensor_and_time_are_two(opened: Opener) -> None:
    store = opened(True)
    store.write("detections", detections([1, 1, 1], lat=31.1), 1)
    store.flush()
    assert len(found(store)) == 3
    store.close()


def test_odd_names_come_back_as_they_went_in(opened: Opener) -> None:
    store = opened(True)
    names = ['a"b', "a\\b", "a,b=c", "ünï ☂"]
    store.write("detections", detections([1, 2, 3, 4], **{"class": names}), 1)
    store.flush()
    assert [r["class"] for r in found(store)] == names
    store.close()


def test_what_is_older_than_allowed_is_gone_and_the_rest_stays(opened: Opener) -> None:
    store = opened(True)
    for n in range(4):
        store.write("detections", detections([100.0 * n + k / 10 for k in range(400)]), n)
        store.flush()
    store.forget_before(T0 + 150 * S)
    assert min(r["time_ns"] for r in found(store)) >= T0 + 150 * S
    assert len(found(store)) == 800
    store.close()


def test_random_rows_are_found_as_a_plain_filter_finds_them(opened: Opener) -> None:
    random = np.random.default_rng(4)
    store, kept = opened(True), []
    for n in range(6):
        places = random.uniform(31, 32, 300).tolist()
        rows = detections(random.uniform(0, 1000, 300).tolist(), f"cam-{n % 3}", lat=places)
        store.write("detections", rows, n)
        store.flush()
        kept += rows.to_pylist()
    low, high = T0 + 200 * S, T0 + 700 * S
    wanted = [r for r in kept if low <= r["time_ns"] < high and 31.2 <= r["lat"] <= 31.7 and r["sensor"] == "cam-1"]
    got = store.query(Query("detections", low, high, (31.2, -111.0, 31.7, -110.0), "cam-1")).to_pylist()
    assert sorted(got, key=lambda r: r["time_ns"]) == sorted(wanted, key=lambda r: r["time_ns"])
    store.close()


def test_an_empty_history_answers_with_no_rows(opened: Opener) -> None:
    store = opened(True)
    assert store.query(Query("tracks", 0, T0)).num_rows == 0
    assert store.query(Query("alerts", 0, T0)).schema == SCHEMAS["alerts"]
    store.close()


def test_influxdb_says_why_it_did_not_take_a_row(server: str) -> None:
    store = InfluxStore(server, "marchwarden")
    store._lines = ["detections,row=0,sensor=x lat=1.0 1", 'detections,row=0,sensor=x lat="north" 2']
    with pytest.raises(StoreFailed, match="field type conflict"):
        store.flush()
    with pytest.raises(StoreFailed, match="did not answer"):
        InfluxStore("http://127.0.0.1:9", "marchwarden").query(Query("tracks", 0, 1))


def test_the_embedded_store_has_one_writer(tmp_path: Path) -> None:
    store = EmbeddedStore(tmp_path, True)
    with pytest.raises(StoreFailed, match="Another process"):
        EmbeddedStore(tmp_path, True)
    store.close()


WRITER = """
import sys
from pathlib import Path
from history.embedded import EmbeddedStore
from tests.shell.test_history import detections
store = EmbeddedStore(Path(sys.argv[1]), True, rows_max=50)
for position in range(int(sys.argv[2]), 100_000):
    store.write("detections", detections([position, position + 0.5]), position)
    store.flush()
    print(position, flush=True)
"""


def test_after_kill_9_everything_flushed_is_there_once(tmp_path: Path) -> None:
    flushed = -1
    for round_ in range(4):
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path), str(max(0, flushed - 3))], stdout=subprocess.PIPE
        )
        assert writer.stdout is not None
        for _ in range(40 + 17 * round_):
            flushed = max(flushed, int(writer.stdout.readline()))
        writer.kill()
        writer.wait()
    times = [r["time_ns"] for r in found(EmbeddedStore(tmp_path))]
    expected = [T0 + round(p * S) for n in range(flushed + 1) for p in (n, n + 0.5)]
    assert times[: len(expected)] == expected
    assert len(set(times)) == len(times)


def test_rows_are_written_out_for_people_and_programs() -> None:
    rows = detections([1.5])
    assert list(as_csv(rows))[1].startswith("2026-11-18T11:06:41.500000Z,")
    assert '"sensor": "cam-01"' in next(iter(as_json_lines(rows)))
