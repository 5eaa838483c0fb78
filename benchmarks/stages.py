"""What each stage costs per 10,000 rows, on one core, with what is normal for its kind of work beside it.

`python -m benchmarks.stages`. Machines differ two- or threefold, so beside each stage stands the bare library doing the same work
in the same run, where that is one call, and the ratio to it.
"""

import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from scipy.spatial import KDTree

from alerts.judge import AlertsState, judged, untold
from benchmarks.publisher import Targets, places, topic_of
from fusion.association import gated, marginals, null_densities
from fusion.layers import frames_of
from fusion.life import carried, continued
from fusion.order import at_rest, fuse
from geo.frames import plane_from_wgs84, wgs84_from_plane
from history.embedded import EmbeddedStore
from history.tables import detection_rows
from model.messages import Messages
from model.time import NS
from model.tracks import Scan
from model.world import SensorColumns
from runtime.advance import World
from runtime.snapshot import snapshot
from sensors.catalogue import Cameras, Sensor
from sensors.decode import decode
from sensors.formats.native import Message
from sensors.health import unheard
from sensors.intake import Intake
from sensors.journal import Position, Writer, read
from sensors.keys import DayKeys
from sensors.placing import place
from sensors.repeats import Seen
from tests.builders import T0, shipped_world

ROWS = 10_000
RUNS = 7


def world_of_sensors(count: int) -> World:
    """The shipped world with `count` radars along the line instead of its sensors."""
    world = shipped_world()
    lat, lon = places(count)
    position = plane_from_wgs84(world.sectors, np.zeros(count, np.int16), lat, lon)
    columns = SensorColumns.blank(count).but(
        position=position,
        accuracy_m=np.full(count, 5.0),
        range_m=np.full(count, 300.0),
        half_angle_rad=np.full(count, np.pi),
        detection_probability=np.full(count, 0.9),
        false_alarms_per_hour=np.full(count, 5.0),
        looks_per_s=np.ones(count),
        fades_s=np.full(count, 10.0),
        silent_after_s=np.full(count, np.inf),
    )
    sensors = tuple(Sensor(f"load-{i}", "", "radar", "native", f"load-{i}") for i in range(count))
    blank = Cameras.blank(count)
    cameras = Cameras(**{name: np.full_like(column, np.nan) for name, column in blank.arrays().items()})
    rows = {s.id: i for i, s in enumerate(sensors)}
    catalogue = replace(
        world.catalogue,
        sensors=sensors,
        lat=lat,
        lon=lon,
        columns=columns,
        cameras=cameras,
        index_of={("native", id): row for id, row in rows.items()},
        row_of_id=rows,
    )
    ground = replace(
        world.ground,
        sensors=columns,
        sensor_ids=tuple(rows),
        sensor_names=("",) * count,
        sensor_owners=("",) * count,
        rules=tuple(r for r in world.ground.rules if r.kind != "silent_sensor"),
    )
    return replace(world, catalogue=catalogue, ground=ground)


def timed(work: Callable[[], Any]) -> float:
    """Median milliseconds."""
    took = []
    for _ in range(RUNS):
        began = time.perf_counter()
        work()
        took.append(time.perf_counter() - began)
    return 1000 * float(np.median(took))


def main() -> None:
    world = world_of_sensors(ROWS)
    targets = Targets(ROWS, 1)
    payloads = tuple(targets.payload(i, i, 0.0, T0) for i in range(ROWS))
    batch = Messages(
        np.full(ROWS, T0 + NS // 10), tuple(map(topic_of, range(ROWS))), payloads, np.zeros(ROWS, np.bool_)
    )
    decoded = decode(world.catalogue, Seen.none(), Intake.initial(len(world.catalogue)), batch)[2]
    rows, _ = place(world.catalogue, world.sectors, world.zones, decoded.readings)
    sensors, settings = world.catalogue.columns, world.fusion
    state = at_rest()
    for second in range(4):
        later = rows.but(observed_ns=rows.observed_ns + second * NS, received_ns=rows.received_ns + second * NS)
        state, fused = fuse(settings, sensors, world.sectors, state, later, decoded.looks, None)
    tracks = state.tracks
    seen = rows.but(observed_ns=np.full(len(rows), int(tracks.updated_ns.max()) + NS))
    null = null_densities(settings, sensors, world.sectors, seen)
    pairs = gated(sensors, world.sectors, tracks, seen, null)
    frame = frames_of(seen)
    chance = marginals(pairs, frame)
    health, nothing = unheard(len(sensors), T0), rows.take(slice(0))

    def judged_once(before: AlertsState, scan: Scan) -> AlertsState:
        return judged(world.ground, before, nothing, (), (scan,), health, (), scan.time_ns, scan.time_ns)[0]

    alerts = judged_once(untold(), fused.scans[-1])
    next_scan = replace(fused.scans[-1], after_ns=fused.scans[-1].time_ns, time_ns=fused.scans[-1].time_ns + NS)
    bare = msgspec.json.Decoder(Message)
    lat, lon = wgs84_from_plane(world.sectors, rows.sector, rows.position)
    with tempfile.TemporaryDirectory() as folder:
        keys = DayKeys(Path(folder) / "keys", "journal")
        journal = Writer(Path(folder) / "journal", keys)
        store = EmbeddedStore(Path(folder) / "history", write=True)
        position = iter(range(1_000_000))

        def journaled() -> None:
            journal.append(batch)
            journal.sync()

        def kept() -> None:
            store.write("detections", detection_rows(rows, lat, lon, world.ground.sensor_ids), next(position))
            store.flush()

        journaled()
        stages: list[tuple[str, float, str, float | None]] = [
            (
                "decode, one detection a message",
                timed(lambda: decode(world.catalogue, Seen.none(), Intake.initial(len(world.catalogue)), batch)),
                "msgspec alone, typed",
                timed(lambda: [bare.decode(p) for p in payloads]),
            ),
            (
                "place",
                timed(lambda: place(world.catalogue, world.sectors, world.zones, decoded.readings)),
                "pyproj alone",
                timed(lambda: plane_from_wgs84(world.sectors, rows.sector, lat, lon)),
            ),
            (
                "gate",
                timed(lambda: gated(sensors, world.sectors, tracks, seen, null)),
                "KD-tree alone",
                timed(lambda: KDTree(tracks.mean[:, :2]).query(rows.position, k=8, distance_upper_bound=50.0)),
            ),
            ("marginals", timed(lambda: marginals(pairs, frame)), "", None),
            (
                "update",
                timed(lambda: continued(settings, sensors, world.sectors, tracks, seen, frame, pairs, chance)),
                "predict alone",
                timed(lambda: carried(settings, sensors, tracks, T0 + 8 * NS, T0 + 9 * NS)),
            ),
            ("judge zones and line", timed(lambda: judged_once(alerts, next_scan)), "", None),
            ("journal, write and sync", timed(journaled), "", None),
            ("journal, read", timed(lambda: next(read(Path(folder) / "journal", keys, Position(0, 0)))), "", None),
            ("history, write and sync", timed(kept), "", None),
            ("snapshot, whole", timed(lambda: snapshot(state)), "", None),
        ]
        journal.close()
        store.close()
    print(f"{'ms per 10,000 rows':<34}{'ours':>9}   {'beside it':<24}{'ms':>7}{'ratio':>8}")
    for name, ours, beside, theirs in stages:
        compared = "" if theirs is None else f"{theirs:>7.1f}{ours / theirs:>8.1f}"
        print(f"{name:<34}{ours:>9.1f}   {beside:<24}{compared}")


if __name__ == "__main__":
    main()
