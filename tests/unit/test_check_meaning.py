"""What would be accepted in silence and is seldom meant: a mistake, or a note, for each."""

import json
import re
import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from runtime.checking import findings
from tests.site import CONFIGS
from tests.unit.test_check import changed, drawn, parsed_once, without_lines

__all__ = ["parsed_once"]

EMPTY = json.dumps({"type": "FeatureCollection", "features": []})


@pytest.fixture
def site(tmp_path: Path) -> Path:
    shutil.copytree(CONFIGS, tmp_path / "site", ignore=shutil.ignore_patterns("state"))
    return tmp_path / "site"


@cache
def shipped_notes() -> tuple[str, ...]:
    return findings(CONFIGS).notes


def without_distances(text: str) -> str:
    """How far is far does not matter here."""
    return re.sub(r"(lies|over) [\d,]+ km", r"\1 N km", text)


def told(site: Path) -> tuple[list[str], list[str]]:
    """The mistakes, and the notes that the shipped site does not have."""
    found = findings(site)
    return [without_distances(without_lines(str(m))) for m in found.mistakes], [
        n for n in found.notes if n not in shipped_notes()
    ]


# One edit, all mistakes, all notes.
EDITS: list[tuple[str, str, str, list[str], list[str]]] = [
    ('sensors/cameras.toml', 'lon = -110.613594', 'lon = 110.613594', ["sensors/cameras.toml: sensor 'cam-01' (line 11): lat, lon: 31.3332, 110.614 lies N km from the border line. Its longitude has lost its minus sign: west is negative."], []),
    ('sensors/cameras.toml', 'lat = 31.333219\nlon = -110.613594', 'lat = 31\nlon = -110', [], ["Sensor 'cam-01' stands at 31, -110: two decimals are a kilometre."]),
    ('sensors/cameras.toml', 'lat = 31.333219\nlon = -110.613594', 'lat = 31.33\nlon = -110.61', [], ["Sensor 'cam-01' stands at 31.33, -110.61: two decimals are a kilometre."]),
    ('sensors/plate-readers.toml', 'lat = 31.5395\nlon = -110.7562', 'lat = -110.7562\nlon = 31.5395', ["sensors/plate-readers.toml: sensor 'alpr-03' (line 39): lat: -110.7562 is out of range. Write a number at least -90, in degrees. Latitude and longitude look exchanged."], []),
    ('sensors/plate-readers.toml', 'lat = 31.3459\nlon = -110.620007', 'lat = 48.1\nlon = 11.5', ["sensors/plate-readers.toml: sensor 'alpr-01' (line 5): lat, lon: 48.1, 11.5 lies N km from the border line. Check both."], []),
    ('sensors/cameras.toml', 'tilt_deg = -8.0', 'tilt_deg = 8.0', [], ["Camera 'cam-01' looks up (tilt_deg 8): down is negative."]),
    ('sensors/cameras.toml', 'tilt_deg = -8.0', 'tilt_deg = 28.0', ["sensors/cameras.toml: sensor 'cam-01' (line 11): camera.tilt_deg: 28 looks above the horizon: nothing in its picture has a place on the ground. Down is negative: -28."], []),
    ('sensors/cameras.toml', 'latency_s = 0.4', 'latency_s = 400', ["sensors/cameras.toml: sensor 'cam-01' (line 11): latency_s: 400 s is longer than messages are waited for (30 s): all of them come too late. Write how long it usually takes from seeing to receiving, or raise fusion.lateness_s."], []),
    ('sensors/native.toml', 'silent_after_s = 60.0', 'silent_after_s = 1', ["sensors/native.toml: sensor 'radar-west' (line 5): silent_after_s: 1 s is no longer than it takes from one of its looks to the next (2 s). It would be called silent all the time: write several times as much."], []),
    ('sensors/native.toml', 'kind = "radar"', 'kind = "radar"\nto_lat = 31.5\nto_lon=110.6', ["sensors/native.toml: sensor 'radar-west' (line 5): to_lat, to_lon: 31.5, 110.6 lies N km from its other end. Its longitude has lost its minus sign: west is negative."], []),
    ('sensors/cameras.toml', 'accuracy_m = 10.0', 'accuracy_m = 1000.0', [], ["Sensor 'cam-01' is off by more (accuracy_m 1000) than it reaches (400)."]),
    ('sensors/cameras.toml', 'accuracy_m = 10.0', 'accuracy_m = 100.0', [], ["Sensor 'cam-01' is off by 100 m, and vague_m is 80: what it alone sees is never reported."]),
    ('rules.toml', 'mutes = { kind = "silent_sensor" }', 'mutes = { kind = "silent_sensors" }', ["rules.toml: inhibition 'parts-of-a-gap' (line 86): mutes.kind: 'silent_sensors' is no kind that a rule has. Did you mean 'silent_sensor'?"], []),
    ('rules.toml', 'mutes = { kind = "silent_sensor" }', 'mutes = { kind = "convoy" }', ["rules.toml: inhibition 'parts-of-a-gap' (line 86): mutes.kind: 'convoy' is no kind that a rule has. There is 'coverage_gap', 'crossing', 'dwelling', 'entering', 'group', 'silent_sensor', 'system_fault', 'tampered_sensor' …."], []),
    ('rules.toml', 'mutes = { kind = "silent_sensor" }', 'mutes = { zone = "stocktank" }', ["rules.toml: inhibition 'parts-of-a-gap' (line 86): mutes.zone: 'stocktank' is no zone or line. Did you mean 'stock-tank'?"], []),
    ('rules.toml', 'mutes = { kind = "silent_sensor" }', 'mutes = { rule = "line-*", severity = "minor,majr", class = "persn", agency="x", sensor="cam-99" }', ["rules.toml: inhibition 'parts-of-a-gap' (line 86): mutes.severity: 'majr' is no severity. Did you mean 'major'?", "rules.toml: inhibition 'parts-of-a-gap' (line 86): mutes.class: 'persn' is no class. Did you mean 'person'?", "rules.toml: inhibition 'parts-of-a-gap' (line 86): mutes.agency: 'x' is no agency. There is 'border-patrol', 'sheriff-santa-cruz', 'sheriff-cochise', 'park-rangers'.", "rules.toml: inhibition 'parts-of-a-gap' (line 86): mutes.sensor: 'cam-99' is no sensor. Did you mean 'cam-09'?"], []),
    ('rules.toml', 'mutes = { kind = "silent_sensor" }', 'mutes = { kind = "coverage_gap" }', ["rules.toml: inhibition 'parts-of-a-gap' (line 86): mutes: mutes what it is muted by: it would do nothing. Write in `by` what is graver, and in `mutes` what is lesser."], []),
    ('rules.toml', '"TST0002"', '"TST-0001"', ["rules.toml: rule 'watch-list' (line 53): plates: 'TST 0001' and 'TST-0001' are one plate: spaces and case do not count. Leave one out."], []),
    ('rules.toml', 'repeat_s = 1800.0', 'repeat_s = 1.0', [], ["Rule 'lingering': repeat_s 1 tells of each alert again every 1 s."]),
    ('rules.toml', 'dwell_s = 15.0', 'dwell_s = 15.0\nexistence_min = 1.0', ["rules.toml: rule 'lingering' (line 36): existence_min: 1.0 is out of range. Write a number less than 1."], []),
    ('rules.toml', 'to = "06:00"', 'to = "20:00"', ["rules.toml: schedule 'nights' (line 93): windows number 1: begins and ends at the same time. Leave both out for the whole day."], []),
    ('agencies.toml', 'topic = "marchwarden/san-rafael/agencies/border-patrol"', 'topic = "marchwarden/san-rafael/agencies/#"', ["agencies.toml: agency 'border-patrol' (line 4): channel 'border-patrol-mqtt': topic: 'marchwarden/san-rafael/agencies/#' holds a wildcard, '+' or '#'. Write one topic, as 'marchwarden/site/agencies/police'."], []),
    ('agencies.toml', 'topic = "marchwarden/san-rafael/agencies/border-patrol"', 'topic = "/alerts/"', ["agencies.toml: agency 'border-patrol' (line 4): channel 'border-patrol-mqtt': topic: '/alerts/' has a slash at an end. Write 'alerts'."], []),
    ('agencies.toml', 'topic = "marchwarden/san-rafael/agencies/border-patrol"', 'topic = ""', ["agencies.toml: agency 'border-patrol' (line 4): channel 'border-patrol-mqtt': topic: is empty. Write something, or leave the field out where it may be left out."], []),
    ('agencies.toml', 'topic = "marchwarden/san-rafael/agencies/border-patrol"', 'topic = "marchwarden/san-rafael/agencies/sheriff-cochise"', ["agencies.toml: agency 'sheriff-cochise' (line 39): channel 'sheriff-cochise-mqtt': topic: 'marchwarden/san-rafael/agencies/sheriff-cochise' is the topic of channel 'border-patrol-mqtt' already: 'border-patrol' would read its alerts. Give it a topic of its own."], []),
    ('agencies.toml', 'topic = "marchwarden/san-rafael/agencies/border-patrol"', 'topic = "marchwarden/san-rafael/agencies/border-patrol/supervisor"', ["agencies.toml: agency 'border-patrol' (line 4): channel 'border-patrol-supervisor': topic: 'marchwarden/san-rafael/agencies/border-patrol/supervisor' is the topic of channel 'border-patrol-mqtt' already: each alert would come twice. Give it a topic of its own."], []),
    ('agencies.toml', 'topic = "marchwarden/san-rafael/agencies/border-patrol"', 'topic = "marchwarden/san-rafael/detections/cam-01"', ["agencies.toml: agency 'border-patrol' (line 4): channel 'border-patrol-mqtt': topic: 'marchwarden/san-rafael/detections/cam-01' is a topic on which sensors publish: alerts would come back as messages. Write 'marchwarden/san-rafael/agencies/border-patrol'."], []),
    ('agencies.toml', 'topic = "marchwarden/san-rafael/agencies/border-patrol"', 'topic = "marchwarden/elsewhere/agencies/border-patrol"', [], ["Channel 'border-patrol-mqtt': 'marchwarden/elsewhere/agencies/border-patrol' names another site than 'san-rafael'."]),
    ('agencies.toml', 'kind = "mqtt"\ntopic', 'kind = "cap"\nurl = "https://["\n#', ["agencies.toml: agency 'border-patrol' (line 4): channel 'border-patrol-mqtt': url: 'https://[' names no host, or a port that cannot be. Write it as 'https://dispatch.example.org:8443/alerts'."], []),
    ('agencies.toml', 'kind = "mqtt"\ntopic', 'kind = "cap"\nurl = "https://x:99999/"\n#', ["agencies.toml: agency 'border-patrol' (line 4): channel 'border-patrol-mqtt': url: 'https://x:99999/' names no host, or a port that cannot be. Write it as 'https://dispatch.example.org:8443/alerts'."], []),
    ('agencies.toml', 'kind = "mqtt"\ntopic', 'kind = "cot"\nserver = "tak:99999999"\nplain=true\n#', ["agencies.toml: agency 'border-patrol' (line 4): channel 'border-patrol-mqtt': server: 'tak:99999999' has a port that cannot be. Write one from 1 to 65535."], []),
    ('agencies.toml', 'copies = ["sheriff-santa-cruz"]', 'copies = ["border-patrol"]', ["agencies.toml: agreement 'mou-1' (line 59): copies: 'border-patrol' is named twice: it leads, or has its copy, already. Leave it out of copies, or name it once."], []),
    ('agencies.toml', 'channels = ["border-patrol-supervisor"]', 'agencies = ["border-patrol"]', ["agencies.toml: agency 'border-patrol' (line 4): escalation.agencies: names the agency itself. Name others there; its own channels go into channels."], []),
    ('agencies.toml', 'kinds = ["crossing",', 'kinds = ["speed",', [], ["Agreement 'mou-1' is about 'speed', and no rule is of that kind."]),
    ('agencies.toml', 'area = "border-strip"', 'area = "border-stripe"', ["agencies.toml: agreement 'mou-1' (line 59): area: 'border-stripe' is no jurisdiction or zone. Did you mean 'border-strip'?"], []),
    ('site.toml', 'classes = { person = 0.6, animal = 0.35 }', 'classes = { person = 0.9, animal = 0.9 }', ["site.toml: profile 'pir': detect number 1: has class shares that add up to 1.8. They are parts of 1 at most."], []),
    ('site.toml', 'path = "pir"', 'path = "object.pir"', ["site.toml: profile 'pir': detect number 1: path: 'object.pir' begins at the object itself. Write 'pir'."], []),
    ('site.toml', 'path = "pir"', 'path = ""', ["site.toml: profile 'pir': detect number 1: path: '' is no path. Write names with dots between them, as 'status.battery_mv'."], []),
    ('site.toml', 'topic = "frigate" ', 'topic = "frigate/events" ', ["site.toml: feed 'frigate': topic: 'frigate/events' is one of its topics, not what they all begin with. Write 'frigate'."], []),
    ('site.toml', 'topic = "application"', 'topic = "application/1"', ["site.toml: feed 'lora': topic: 'application/1' is one of its topics, not what they all begin with. Write 'application'."], []),
    ('site.toml', 'topic = "openalpr"', 'topic = "openalpr/#"', ["site.toml: feed 'alpr': topic: 'openalpr/#' is no plain prefix. Leave out wildcards and outer slashes."], []),
    ('site.toml', 'host = "127.0.0.1"', 'host = "mqtt://127.0.0.1:1883"', ["site.toml: mqtt.host: 'mqtt://127.0.0.1:1883' is an address. Write the host only, '127.0.0.1'."], []),
    ('site.toml', 'host = "127.0.0.1"', 'host = "127.0.0.1:1883"', ["site.toml: mqtt.host: '127.0.0.1:1883' has a port in it. Write '127.0.0.1', and the port as port = 1883."], []),
    ('site.toml', 'host = "127.0.0.1"', 'host = ""', ["site.toml: mqtt.host: '' is no host name. Write one, as 'broker.example.org'."], []),
    ('site.toml', '[fusion]', '[fusion]\nconfirm_existence = 0.4', ['site.toml: fusion: has drop_existence 0.01, told_existence 0.5 and confirm_existence 0.4. Each must be less than the next.'], []),
    ('site.toml', '[fusion]', '[fusion]\nconfirm_existence = 1.0', ['site.toml: fusion.confirm_existence: 1.0 is out of range. Write a number less than 1.'], []),
    ('site.toml', 'store = "embedded"', 'store = "influxdb"\nurl = "influx:8086"', ["site.toml: history.url: 'influx:8086' is no web address. Write it with https:// in front and without a password, as 'https://dispatch.example.org/alerts'."], []),
    ('site.toml', '"America/Phoenix"', '"Europe/Berlin"', [], ["site.time_zone 'Europe/Berlin' is 8 hours off the sun at longitude -110.6."]),
    ('site.toml', '[fusion]', '[files]\nsensors = ["sensors/*.toml"]\n[fusion]', [], ['sensors/ground.csv is not read: no pattern under [files] sensors matches it.', "Feed 'lora' has no sensor: all its messages are rejected as of an unknown sensor."]),
    ('site.toml', '[fusion]', '[files]\nsensors = ["sensor/*.toml"]\n[fusion]', [], ['No sensor is registered: nothing is ever seen. Sensors are read from sensor/*.toml.']),
    ('jurisdictions.geojson', '"id": "border-strip"', '"id": "trail-west"', ["agencies.toml: agreement 'mou-1' (line 59): area: 'border-strip' is no jurisdiction or zone. There is 'county-santa-cruz', 'county-cochise', 'trail-west', 'grassland-reserve', 'trail-west', 'trail-middle', 'trail-east', 'cottonwood-wash' ….", "jurisdictions.geojson: feature 'trail-west' (number 3): id: 'trail-west' is there already, as id of zones.geojson, feature 'trail-west' (number 1). Give it another."], []),
]  # fmt: skip


@pytest.mark.parametrize(("file", "old", "new", "mistakes", "notes"), EDITS)
def test_what_is_seldom_meant_is_told(
    site: Path, file: str, old: str, new: str, mistakes: list[str], notes: list[str]
) -> None:
    changed(site, file, old, new)
    assert told(site) == ([without_lines(m) for m in mistakes], notes)


Points = list[list[float]]


@pytest.mark.parametrize(
    ("file", "how", "expected"),
    [
        ("zones.geojson", lambda r: [[x + 60, y] for x, y in r], "zones.geojson: feature 'trail-west' (number 1): geometry: lies N km from the border line and from every sensor. Draw it where it is."),
        ("zones.geojson", lambda r: [[-x, y] for x, y in r], "zones.geojson: feature 'trail-west' (number 1): geometry: lies N km from the border line and from every sensor. Its longitude has lost its minus sign: west is negative."),
        ("zones.geojson", lambda r: [[x, -y] for x, y in r], "zones.geojson: feature 'trail-west' (number 1): geometry: lies N km from the border line and from every sensor. Check the sign of the latitude: south is negative."),
        ("zones.geojson", lambda r: [r[0], r[1], [r[2][0] + 8, r[2][1]], r[0]], "zones.geojson: feature 'trail-west' (number 1): geometry: reaches over N km. One of its points is probably mistyped."),
        ("border.geojson", lambda r: [[-x, y] for x, y in r], "border.geojson: feature 'border' (number 1): geometry: lies N km from the sensors. Its longitude has lost its minus sign: west is negative."),
        ("border.geojson", lambda r: [[r[0][0] - 60, r[0][1]], [r[0][0] + 119, r[0][1]], *r], "border.geojson: feature 'border' (number 1): geometry: reaches over N km"),
        ("jurisdictions.geojson", lambda r: [[x + 60, y] for x, y in r], "jurisdictions.geojson: feature 'county-santa-cruz' (number 1): geometry: lies N km from the border line and from every sensor. Draw it where it is."),
    ],
)  # fmt: skip
def test_what_is_drawn_elsewhere_is_told_once(
    site: Path, file: str, how: Callable[[Points], Points], expected: str
) -> None:
    drawn(site, file, how)
    (mistake,), _ = told(site)
    assert mistake.startswith(expected)


def test_a_line_whose_other_side_is_ours_is_asked_about(site: Path) -> None:
    drawn(site, "border.geojson", lambda line: line[::-1])
    mistakes, notes = told(site)
    assert not mistakes
    assert any("sensors stand beyond line 'border', on the side that is not ours" in note for note in notes)


def without(site: Path, *what: str) -> None:
    for name in what:
        match name:
            case "sensors":
                shutil.rmtree(site / "sensors")
            case "rules":
                (site / "rules.toml").write_text("")
            case "agreements":
                path = site / "agencies.toml"
                path.write_text(path.read_text().partition("[[agreement]]")[0])
            case _:
                (site / f"{name}.geojson").write_text(EMPTY)


@pytest.mark.parametrize(
    ("absent", "mistakes", "notes"),
    [
        (["sensors"], [], ["No sensor is registered: nothing is ever seen. Sensors are read from sensors/*.toml, sensors/*.csv."]),
        (["rules"], [], ["No rule of kind 'system_fault': nobody is notified of what is wrong with Marchwarden itself. It is shown by `marchwarden status` only.", "No rule in rules.toml: nothing raises an alert."]),
        (["sensors", "rules", "agreements", "border", "zones", "jurisdictions"], ["site.toml: has nothing on the map: no line, sensor, zone or jurisdiction. Draw the border line in border.geojson, or register a sensor."], []),
    ],
)  # fmt: skip
def test_what_is_not_there_at_all_is_told(site: Path, absent: list[str], mistakes: list[str], notes: list[str]) -> None:
    without(site, *absent)
    found, noted = told(site)
    assert found == mistakes
    assert [n for n in noted if not n.startswith("Agreement ")] == notes


def test_a_file_beside_the_sensors_that_is_not_read_is_told(site: Path) -> None:
    shutil.copy(site / "sensors" / "ground.csv", site / "sensors" / "MORE.CSV")
    assert told(site) == ([], ["sensors/MORE.CSV is not read: no pattern under [files] sensors matches it."])


@pytest.mark.parametrize("secret", ['password = "hunter2"', 'token = "hunter2"'])
def test_a_password_in_clear_is_refused_and_not_repeated(site: Path, secret: str) -> None:
    (site / "accounts.toml").write_text(f'[[account]]\nid = "garcia"\nrole = "officer"\n{secret}\n')
    (site / "accounts.toml").chmod(0o600)
    (mistake,), _ = told(site)
    assert "in clear" in mistake
    assert "hunter2" not in mistake


def test_a_silent_sensors_inhibition_is_not_blamed_for_a_rule_that_cannot_be_read(site: Path) -> None:
    changed(site, "rules.toml", 'id = "silent-sensors"', 'id = "Silent sensors"')
    (mistake,), _ = told(site)
    assert "'Silent sensors' is no id" in mistake
