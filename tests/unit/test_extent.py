"""Exercises and their scores on borders that are long, lie far north, or cross the antimeridian: as right as on a short one."""

import json
import shutil
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from pyproj import Geod

from geo.frames import sectors_along, wgs84_from_plane
from model.time import ns_from_iso
from runtime import recording
from runtime.advance import World
from runtime.configuration import load
from runtime.mistakes import Mistakes
from runtime.replay import replay
from runtime.score.alerts import read_alerts, score_alerts
from runtime.score.score import read_rows, score
from runtime.simulator.exercise import Exercise
from runtime.simulator.seeing import simulated
from runtime.simulator.targets import moving
from runtime.world import world_of
from tests.builders import CONFIGS, KEY

EARTH = Geod(ellps="WGS84")
ENDS = {  # (lat, lon) from west to east
    "300 km on a parallel": ((31.33, -110.0), (31.33, -106.85)),
    "300 km at 65° north, across the antimeridian": ((65.0, 177.0), (65.0, -176.65)),
    "440 km along a meridian": ((60.0, 28.0), (64.0, 28.0)),
}
SECONDS = 70
RADARS = 3


def between(ends: tuple[tuple[float, float], tuple[float, float]], count: int) -> list[tuple[float, float]]:
    """Points at equal distances along the geodesic, both ends with them."""
    (lat, lon), (last_lat, last_lon) = ends
    inner = EARTH.npts(lon, lat, last_lon, last_lat, count - 2)
    return [(lat, lon), *((y, x) for x, y in inner), (last_lat, last_lon)]


def moved(place: tuple[float, float], bearing_deg: float, away_m: float) -> tuple[float, float]:
    lon, lat, _ = EARTH.fwd(place[1], place[0], bearing_deg, away_m)
    return lat, lon


def lonlat(*places: tuple[float, float]) -> list[list[float]]:
    return [[lon, lat] for lat, lon in places]


def world_along(folder: Path, places: list[tuple[float, float]]) -> tuple[World, float]:
    """A border line past these places, a radar at each; and the line's bearing, degrees."""
    site = folder / "site"
    shutil.copytree(CONFIGS, site, ignore=shutil.ignore_patterns("state", "sensors", "exercises", "schema"))
    bearing = EARTH.inv(*reversed(places[0]), *reversed(places[1]))[0]
    first, last = moved(places[0], bearing + 180, 10_000), moved(places[-1], bearing, 10_000)
    edge = [moved(p, bearing + turn, 20_000) for turn in (-90, 90) for p in (first, last)]
    lines = _cut([first, *places, last])
    sides = zip(_cut([edge[0], edge[1]]), _cut([edge[2], edge[3]]), strict=True)
    areas = [[lonlat(*one, *reversed(other), one[0])] for one, other in sides]
    _draw(site / "border.geojson", "border", {"home": "left"}, "LineString", [lonlat(*line) for line in lines])
    _draw(site / "jurisdictions.geojson", "all", {"agency": "border-patrol"}, "Polygon", areas)
    (site / "zones.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": []}))
    (site / "site.toml").write_text('[site]\nname = "long"\ntitle = "A long border"\ntime_zone = "UTC"\n')
    (site / "rules.toml").write_text(
        "\n".join(
            f'[[rule]]\nid = "crossing-{n}"\nkind = "crossing"\nline = "border-{n}"\nclasses = ["person"]\n'
            'severity = "critical"\n'
            for n in range(len(lines))
        )
        + '\n[[rule]]\nid = "group"\nkind = "group"\nclasses = ["person"]\ncount_min = 3\nwithin_m = 40.0\nseverity = "major"\n'
    )
    (site / "agencies.toml").write_text(
        '[[agency]]\nid = "border-patrol"\nname = "Border patrol"\nprecedence = 10\n'
        '[[agency.channel]]\nid = "mqtt"\nkind = "mqtt"\ntopic = "marchwarden/long/agencies/border-patrol"\n'
    )
    (site / "sensors").mkdir()
    (site / "sensors" / "radars.toml").write_text(
        "\n".join(
            f'[[sensor]]\nid = "radar-{n}"\nkind = "radar"\nlat = {lat}\nlon = {lon}\nrange_m = 1500.0\naccuracy_m = 5.0\n'
            "detection_probability = 0.95\nfalse_alarms_per_hour = 0.0\nlooks_per_s = 1.0\nlatency_s = 0.3\n"
            for n, (lat, lon) in enumerate(places)
        )
    )
    return world_of(load(site), KEY), bearing


def _cut(line: list[tuple[float, float]]) -> list[list[tuple[float, float]]]:
    """A line in the parts that GeoJSON wants: cut at the antimeridian (RFC 7946, 3.1.9)."""
    for n, ((lat, lon), (next_lat, next_lon)) in enumerate(pairwise(line), 1):
        if lon - next_lon > 180:
            at = lat + (next_lat - lat) * (180 - lon) / (next_lon + 360 - lon)
            return [[*line[:n], (at, 180.0)], [(at, -180.0), *line[n:]]]
    return [line]


def _draw(file: Path, name: str, properties: dict[str, str], kind: str, parts: list[Any]) -> None:
    features = [
        {
            "type": "Feature",
            "properties": {"id": f"{name}-{n}", "name": name, **properties},
            "geometry": {"type": kind, "coordinates": part},
        }
        for n, part in enumerate(parts)
    ]
    file.write_text(json.dumps({"type": "FeatureCollection", "features": features}))


def test_a_line_across_the_antimeridian_in_one_piece_is_refused_with_what_to_do(tmp_path: Path) -> None:
    world_along(tmp_path, between(ENDS["300 km at 65° north, across the antimeridian"], RADARS))
    site = tmp_path / "site"
    whole = [lonlat(*between(ENDS["300 km at 65° north, across the antimeridian"], RADARS))]
    _draw(site / "border.geojson", "border", {"home": "left"}, "LineString", whole)
    with pytest.raises(Mistakes, match="cut it there: one part ends at 180"):
        load(site)


@pytest.mark.parametrize("ends", ENDS.values(), ids=ENDS.keys())
def test_who_crosses_anywhere_on_a_long_border_is_tracked_and_told_of_and_scored(
    tmp_path: Path, ends: tuple[tuple[float, float], tuple[float, float]]
) -> None:
    places = between(ends, RADARS)
    world, bearing = world_along(tmp_path, places)
    assert len(world.sectors) >= 3
    walks = [
        {
            "id": f"walker-{n}",
            "class": "person",
            "speed_mps": 1.5,
            "path": [list(moved(moved(p, bearing, 60), bearing + side, 45)) for side in (90, -90)],
        }
        for n, p in enumerate(places)
    ]
    exercise = Exercise.model_validate({"title": "a walk", "seed": 3, "duration_s": SECONDS, "targets": walks})
    messages, truth = simulated(world, exercise, ns_from_iso(exercise.start))
    for line in truth:  # each where its own radar is, and no other
        n = int(str(line["target"]).removeprefix("walker-"))
        assert EARTH.inv(line["lon"], line["lat"], *reversed(places[n]))[2] < 200
        assert line["in_view"]
    files = {name: tmp_path / f"{name}.ndjson" for name in ("truth", "messages", "tracks", "alerts")}
    files["truth"].write_bytes(b"".join(msgspec.json.encode(line) + b"\n" for line in truth))
    recording.write(files["messages"], [messages])
    replay(world, recording.read(files["messages"], recording.BATCH), files["tracks"], files["alerts"], None)
    tracks, real = read_rows(files["tracks"]), read_rows(files["truth"])
    figures = score(tracks, real)
    assert figures["siap"]["completeness"] > 0.85
    assert figures["siap"]["spuriousness"] < 0.05
    assert figures["siap"]["positional_accuracy_m"] < 8
    told = score_alerts(world, read_alerts(files["alerts"]), tracks, real)
    assert (told["happenings"], told["missed"], told["false"], told["repeated"]) == (RADARS, 0, 0, 0), told


@pytest.mark.parametrize("ends", ENDS.values(), ids=ENDS.keys())
def test_a_long_drive_is_as_long_as_the_way_and_keeps_to_it(
    ends: tuple[tuple[float, float], tuple[float, float]],
) -> None:
    places = np.array(between(ends, RADARS))
    sectors = sectors_along(places[:, 0], places[:, 1])
    drive = {"id": "d", "class": "vehicle", "speed_mps": 50.0, "spread_m": 0.0, "path": [list(e) for e in ends]}
    exercise = Exercise.model_validate({"title": "a drive", "seed": 3, "duration_s": 12_000, "targets": [drive]})
    drives = moving(exercise, sectors, np.random.default_rng(3))
    rows = np.flatnonzero(drives.active[:, 0])
    lat, lon = wgs84_from_plane(sectors, np.repeat(drives.sector, len(rows)), drives.position[rows, 0])
    _, _, step = EARTH.inv(lon[:-1], lat[:-1], lon[1:], lat[1:])
    length = EARTH.inv(*reversed(ends[0]), *reversed(ends[1]))[2]
    assert step.sum() == pytest.approx(length, rel=2e-3)
    assert EARTH.inv(lon[-1], lat[-1], *reversed(ends[1]))[2] < 100
    # The plane says how far it went each second; on the ground that is the same, wherever on the way.
    assert np.hypot(*np.diff(drives.position[rows, 0], axis=0).T) == pytest.approx(step, rel=5e-3)
