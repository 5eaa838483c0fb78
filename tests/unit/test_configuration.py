"""A site folder with mistakes: each is found, named and mended by what the message says."""

import json
import shutil
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import pytest
from pydantic import TypeAdapter

from runtime.configuration import load
from runtime.editor_schema import schemas
from runtime.mistakes import Mistakes, render
from runtime.schema import AnyChannel, AnyRule, Kind
from runtime.world import warnings_of, world_of
from tests.builders import CONFIGS, KEY
from tests.site import site_at


@pytest.fixture
def site(tmp_path: Path) -> Path:
    shutil.copytree(CONFIGS, tmp_path / "site", ignore=shutil.ignore_patterns("state"))
    return tmp_path / "site"


def change(site: Path, file: str, old: str, new: str) -> None:
    text = (site / file).read_text()
    assert old in text
    (site / file).write_text(text.replace(old, new, 1))


def mistakes(site: Path) -> list[str]:
    with pytest.raises(Mistakes) as found:
        load(site)
    return [str(mistake) for mistake in found.value.found]


def test_the_shipped_site_has_no_mistake_and_says_where_areas_overlap() -> None:
    c = load(CONFIGS)
    assert {kind: sum(w.value.kind == kind for w in c.sensors) for kind in ("camera", "ground", "plate_reader")} == {
        "camera": 13,
        "ground": 40,
        "plate_reader": 8,
    }
    assert any("grassland-reserve" in said for said in warnings_of(world_of(c, KEY)))


@pytest.mark.parametrize(
    ("file", "old", "new", "said"),
    [
        (
            "sensors/cameras.toml",
            "azimuth_deg = 292.5",
            "azimuth_deg = 412.0",
            [
                "sensors/cameras.toml",
                "'cam-01'",
                "line 11",
                "camera.azimuth_deg",
                "412.0 is out of range",
                "less than 360",
            ],
        ),
        ("sensors/cameras.toml", "latency_s", "latencey_s", ["'cam-01'", "latencey_s", "Did you mean 'latency_s'?"]),
        (
            "sensors/cameras.toml",
            'feed = "frigate"',
            'feed = "frigat"',
            ["feed", "'frigat' is no feed", "Did you mean 'frigate'?"],
        ),
        ("sensors/cameras.toml", 'id = "cam-02"', 'id = "cam-01"', ["'cam-01' is there already", "line 11"]),
        ("sensors/cameras.toml", "height_m = 18.0\n", "", ["camera.height_m", "is missing", "Add height_m"]),
        ("sensors/cameras.toml", 'kind = "camera"', 'kind = "kamera"', ["'kamera' is none", "Did you mean 'camera'?"]),
        (
            "sensors/cameras.toml",
            "lon = -",
            "lon = ",
            ["km from the border"],
        ),
        (
            "sensors/ground.csv",
            "24e124535b300001",
            "24e124535b3",
            ["ground.csv", "line 2", "is no device EUI", "16 hexadecimal"],
        ),
        ("sensors/ground.csv", ",pir,", ",pri,", ["'pri' is no profile", "Did you mean 'pir'?"]),
        ("sensors/ground.csv", "range_m", "rangem", ["header", "rangem", "Did you mean 'range_m'?"]),
        ("sensors/ground.csv", "ground,lora", "ground,lora,extra", ["line 2", "more cells than the header"]),
        ("rules.toml", 'line = "border"', 'line = "boarder"', ["'boarder' is no line", "Did you mean 'border'?"]),
        ("rules.toml", '"stock-tank"', '"stocktank"', ["'stocktank' is no zone", "Did you mean 'stock-tank'?"]),
        ("rules.toml", '"stock-tank"', '"ranch-yard"', ["is a privacy zone"]),
        ("rules.toml", '"TST 0001"', '"---"', ["has no letter or digit"]),
        (
            "rules.toml",
            'direction = "inbound"',
            'direction = "inwards"',
            ["'inwards' is none", "There is 'inbound'"],
        ),
        ("rules.toml", "count_min = 3", "count_min = 1", ["count_min", "1 is out of range", "at least 2"]),
        ("rules.toml", "edits_max = 0", "edits_max = 3", ["edits_max", "3 is out of range"]),
        (
            "rules.toml",
            "share_min = 0.25",
            "share_min = 0.25\nzones = ['stock-tank']",
            ["needs either 'line' or 'zones'"],
        ),
        (
            "rules.toml",
            "dwell_s = 15.0",
            'dwell_s = 15.0\nschedule = "night"',
            ["'night' is no sched", "Did you mean 'nights'?"],
        ),
        ("rules.toml", 'from = "20:00"', 'from = "25:00"', ["'25:00' is no time of day"]),
        ("rules.toml", "windows = [", 'never = ["2026-13-01"]\nwindows = [', ["'2026-13-01' is no date"]),
        ("rules.toml", 'by = { kind = "coverage_gap" }', "by = {}", ["inhibition 'parts-of-a-gap'", "by"]),
        (
            "agencies.toml",
            'channels = ["border-patrol-supervisor"]',
            'channels = ["x"]',
            ["'x' is no channel of this agency"],
        ),
        (
            "agencies.toml",
            'channels = ["border-patrol-supervisor"]',
            'channels = ["border-patrol-supervisor", "border-patrol-mqtt"]',
            ["names all its channels"],
        ),
        ("agencies.toml", 'channels = ["border-patrol-supervisor"]', "", ["needs 'channels' or 'agencies'"]),
        ("agencies.toml", 'kind = "mqtt"', 'kind = "cot"\nserver = "tak"', ["server", "'tak' is not host:port"]),
        (
            "site.toml",
            'format = "openalpr"',
            'format = "openalpr"\nserver = "tak:8089"',
            ["comes over MQTT", "only cot has"],
        ),
        ("rules.toml", "[[rule]]", "[[rulez]]\nid = 'x'\n[[rule]]", ["rulez", "Did you mean [[rule]]?"]),
        ("agencies.toml", 'lead = "border-patrol"', 'lead = "border-patrl"', ["'border-patrl' is no agency"]),
        ("site.toml", '"America/Phoenix"', '"Arizona"', ["site.time_zone", "'Arizona' is no IANA time zone"]),
        ("site.toml", "port = 1883", "port = 99999", ["mqtt.port", "out of range"]),
        ("site.toml", "[mqtt]", "[mqtt", ["site.toml", "is not TOML", "line"]),
        ("site.toml", 'topic = "openalpr"', 'topic = "frigate/plates"', ["lies under feed 'frigate'"]),
        ("site.toml", 'values = ["trigger", 1] ', "", ["needs 'values' or 'above'"]),
        (
            "sensors/native.toml",
            'kind = "radar"',
            'kind = "radar"\nfov_deg = 90',
            ["needs both 'azimuth_deg' and 'fov_deg'"],
        ),
        (
            "sensors/native.toml",
            'kind = "radar"',
            'kind = "radar"\nto_lat = 31.3',
            ["needs both 'to_lat' and 'to_lon'"],
        ),
        (
            "sensors/native.toml",
            'kind = "radar"',
            'kind = "radar"\nconfusion.animal = {person = 0.8, other = 0.4}',
            ["confusion.animal", "add up to more than 1"],
        ),
        (
            "jurisdictions.geojson",
            '"agency": "sheriff-cochise"',
            '"agency": "sherif-cochise"',
            ["Did you mean 'sheriff-cochise'?"],
        ),
        ("zones.geojson", '"type": "Polygon"', '"type": "LineString"', ["zones.geojson", "'trail-west'", "geometry"]),
    ],
)
def test_each_mistake_is_named_and_mended(site: Path, file: str, old: str, new: str, said: list[str]) -> None:
    change(site, file, old, new)
    found = mistakes(site)
    assert any(all(part in each for part in said) for each in found), found


def test_all_mistakes_are_found_at_once(site: Path) -> None:
    change(site, "rules.toml", 'line = "border"', 'line = "boarder"')
    change(site, "sensors/cameras.toml", "latency_s", "latencey_s")
    change(site, "sensors/ground.csv", "24e124535b300001", "xyz")
    change(site, "agencies.toml", 'lead = "border-patrol"', 'lead = "nobody"')
    files = {each.split(":")[0] for each in mistakes(site)}
    assert files == {"rules.toml", "sensors/cameras.toml", "sensors/ground.csv", "agencies.toml"}


def edit(site: Path, file: str, how: Callable[[list[list[float]]], list[list[float]]]) -> None:
    drawn = json.loads((site / file).read_text())
    ring = drawn["features"][0]["geometry"]["coordinates"]
    ring[0] = how(ring[0])
    (site / file).write_text(json.dumps(drawn))


def test_latitude_and_longitude_exchanged_in_geojson_are_recognised(site: Path) -> None:
    edit(site, "zones.geojson", lambda ring: [[lat, lon] for lon, lat in ring])
    assert any("zones.geojson" in m and ("exchanged" in m or "earth" in m) for m in mistakes(site))


def test_a_boundary_that_crosses_itself_is_told_with_its_place(site: Path) -> None:
    edit(site, "zones.geojson", lambda ring: [ring[0], ring[7], *ring[2:7], ring[1], *ring[8:]])
    assert any("not a valid area" in m and "it crosses itself at -110." in m for m in mistakes(site))


def test_a_sensor_with_latitude_and_longitude_exchanged_is_recognised(site: Path) -> None:
    change(site, "sensors/plate-readers.toml", "lat = 31.5395\nlon = -110.7562", "lat = -31.5395\nlon = 110.7562")
    assert any("'alpr-03'" in m and "km from the border" in m for m in mistakes(site))


def test_a_folder_without_a_site_is_told_apart(tmp_path: Path) -> None:
    assert mistakes(tmp_path)[0].endswith("has no site.toml. Name a folder that holds one, such as 'configs'.")


def test_thirty_thousand_sensors_come_from_one_csv(site: Path) -> None:
    rows = [f"s{i},ground,{31.34 + i * 1e-6:.6f},-110.6" for i in range(30_000)]
    (site / "sensors" / "many.csv").write_text("id,kind,lat,lon\n" + "\n".join(rows) + "\n")
    world = world_of(load(site), KEY)
    assert len(world.catalogue) == 30_066


def test_the_schemas_for_editors_are_those_of_the_definitions() -> None:
    """`marchwarden schema configs/schema` writes them again."""
    for name, text in schemas().items():
        assert (CONFIGS / "schema" / name).read_text() == text, name


def test_mistakes_are_rendered_a_paragraph_each(site: Path) -> None:
    change(site, "rules.toml", 'line = "border"', 'line = "boarder"')
    with pytest.raises(Mistakes) as found:
        load(site)
    assert (
        render(found.value.found)
        == "rules.toml: rule 'inbound-crossing' (line 4): line: 'boarder' is no line in the border file. Did you mean 'border'?"
    )


def test_roads_are_read_where_a_file_of_them_is_named(site: Path) -> None:
    def network(geometry: dict[str, object]) -> None:
        feature = {"type": "Feature", "properties": {"highway": "track", "width_m": 6}, "geometry": geometry}
        (site / "roads.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": [feature]}))

    assert len(world_of(load(site), KEY).fusion.roads.start) == 0
    text = (site / "site.toml").read_text()
    (site / "site.toml").write_text(text.replace("[fusion]", '[files]\nroads = "roads.geojson"\n\n[fusion]', 1))
    network({"type": "LineString", "coordinates": [[-110.62, 31.34], [-110.60, 31.34], [-110.60, 31.36]]})
    roads = world_of(load(site), KEY).fusion.roads
    assert roads.length_m == pytest.approx([1902.0, 2218.0], rel=0.01)
    assert roads.half_width_m.tolist() == [3.0, 3.0]
    network({"type": "Point", "coordinates": [-110.62, 31.34]})
    assert any("roads.geojson" in said and "Draw a LineString" in said for said in mistakes(site))


def test_more_near_plates_than_can_be_looked_for_are_refused_at_once(tmp_path: Path) -> None:
    site = site_at(tmp_path)
    many = ", ".join(f'"AB{n:05d}"' for n in range(50))
    text = (site / "rules.toml").read_text().replace('"TST 0001"', many).replace("edits_max = 0", "edits_max = 2")
    (site / "rules.toml").write_text(text)
    with pytest.raises(Mistakes, match="texts to look for"):
        load(site)


EXAMPLES = [
    line.strip().partition("#")[0].strip()
    for line in (CONFIGS.parent / "docs" / "technician.md").read_text().splitlines()
    if line.startswith("    { kind")
]


@pytest.mark.parametrize("example", EXAMPLES)
def test_the_examples_for_technicians_are_valid(example: str) -> None:
    said = tomllib.loads(f"x = {example.replace('…', 'a@b')}")["x"] | {"id": "x"}
    if "url" in said:
        said["url"] = "https://agency.example/hook"
    kinds = AnyRule if said["kind"] in get_args(Kind) else AnyChannel
    TypeAdapter(kinds).validate_python(said)


def test_there_is_an_example_of_every_kind_of_rule_and_channel() -> None:
    kinds = {tomllib.loads(f"x = {e.replace('…', '')}")["x"]["kind"] for e in EXAMPLES}
    assert kinds == {*get_args(Kind), "mqtt", "webhook", "cap", "cot", "email"}
