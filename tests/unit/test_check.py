"""`marchwarden check` over folders that people break: always a sentence for each mistake, never a traceback, none hidden."""

import json
import math
import os
import re
import shutil
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from runtime import cli
from runtime.checking import findings
from runtime.configuration import load
from runtime.editor_schema import schemas
from runtime.schema import FORMS
from tests.site import CONFIGS

FILES = [
    "site.toml",
    "rules.toml",
    "agencies.toml",
    "accounts.toml",
    "sensors/cameras.toml",
    "sensors/ground.csv",
    "zones.geojson",
    "border.geojson",
    "jurisdictions.geojson",
    "exercises/demo.toml",
]
NEED_NOT_SAY_ANYTHING = {"accounts.toml", "rules.toml", "sensors/cameras.toml"}
ACCOUNTS = f"""
[[account]]
id = "dispatch"
role = "observer"
token = "{"ab" * 32}"
"""


@pytest.fixture(autouse=True, scope="module")
def parsed_once() -> Iterator[None]:
    """A shipped file is parsed once for all cases: each case changes one file of twenty. Nothing may change what is shared."""
    shipped = {path.read_text(): tomllib.loads(path.read_text()) for path in CONFIGS.rglob("*.toml")}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("runtime.toml._parsed", lambda text: shipped[text] if text in shipped else tomllib.loads(text))
        yield
    assert all(parsed == tomllib.loads(text) for text, parsed in shipped.items())


@pytest.fixture
def site(tmp_path: Path) -> Path:
    shutil.copytree(CONFIGS, tmp_path / "site", ignore=shutil.ignore_patterns("state"))
    (tmp_path / "site" / "accounts.toml").write_text(ACCOUNTS)
    (tmp_path / "site" / "accounts.toml").chmod(0o600)
    return tmp_path / "site"


@pytest.fixture
def check(site: Path) -> Callable[[], list[str]]:
    """The mistakes of the folder, as `marchwarden check` prints them. Each names a file, and what is wrong."""

    def run() -> list[str]:
        found = findings(site).mistakes
        assert all(m.file and m.wrong for m in found)
        return [str(m) for m in found]

    return run


@pytest.mark.parametrize(("old", "new", "code"), [("port = 1883", "port = 1883", 0), ("port = 1883", "port = 0", 2)])
def test_the_command_prints_the_mistakes_and_exits_with_2(
    site: Path,
    old: str,
    new: str,
    code: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    changed(site, "site.toml", old, new)
    for more in ([], ["--json"]):
        monkeypatch.setattr("sys.argv", ["marchwarden", "check", str(site), *more])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        assert ended.value.code == code
    out, err = capsys.readouterr()
    mistakes = json.loads(out)["mistakes"]
    assert bool(mistakes) == bool(code)
    for m in mistakes:
        assert f"{m['file']}: {m['field']}: {m['wrong']} {m['mend']}" in err


def rewritten(path: Path, encoding: str) -> None:
    path.write_bytes(with_accent(path).encode(encoding, errors="replace"))


def with_accent(path: Path) -> str:
    """The file's text with a Spanish word in it."""
    text = path.read_text()
    if path.suffix == ".toml":
        return f"# Señal del cañón\n{text}"
    return text.replace("West trail 15 m", "Señal 15 m").replace('"name": "', '"name": "Cañón ', 1)


def replaced(path: Path, make: Callable[[Path], object]) -> None:
    path.unlink()
    make(path)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
def test_a_mark_of_the_encoding_is_accepted_in_every_file(
    site: Path, check: Callable[[], list[str]], encoding: str
) -> None:
    for file in FILES:
        rewritten(site / file, encoding)
    assert check() == []


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        (lambda p: rewritten(p, "latin-1"), "is not UTF-8: line"),
        (lambda p: rewritten(p, "cp1252"), "Windows-1252"),
        (lambda p: rewritten(p, "utf-16-le"), "is UTF-16 without the mark"),
        (lambda p: rewritten(p, "utf-16-be"), "is UTF-16 without the mark"),
        (
            lambda p: p.write_bytes(b"\xff\xfe" + p.read_bytes()[: p.stat().st_size // 2 * 2] + b"x"),
            "begins as UTF-16 and does not go on as it",
        ),
        (lambda p: p.write_bytes(b"PK\x03\x04" + bytes(200)), "is a zip archive, as .xlsx"),
        (lambda p: p.write_bytes(bytes(range(256)) * 9), "is not text"),
        (lambda p: replaced(p, Path.mkdir), "is a folder, not a file"),
        (lambda p: replaced(p, lambda q: q.symlink_to("gone")), "is a link to 'gone', which does not exist"),
        (lambda p: replaced(p, lambda q: q.symlink_to(q.name)), "is a link that leads back to itself"),
        (lambda p: replaced(p, os.mkfifo), "is a device or a pipe"),
    ],
)
def test_a_damaged_file_is_named_and_nothing_else_is(
    site: Path, check: Callable[[], list[str]], file: str, damage: Callable[[Path], object], expected: str
) -> None:
    damage(site / file)
    found = check()
    assert [m for m in found if not m.startswith(f"{file}: ")] == []
    assert expected in found[0]
    assert len(found) == 1


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize(
    "content", [b"", b"\n\n", b"x", b"[", b"{", b'"', b"\xef\xbb\xbf", b"null", b"a,b\n1,2\n", b"<kml/>"]
)
def test_a_file_of_something_else_is_told_and_blamed_on_nothing_else(
    site: Path, check: Callable[[], list[str]], file: str, content: bytes
) -> None:
    (site / file).write_bytes(content)
    found = check()
    says_nothing = not content.strip(b"\n\xef\xbb\xbf")
    assert bool(found) != (says_nothing and file in NEED_NOT_SAY_ANYTHING)
    assert [m for m in found if not m.startswith(f"{file}: ")] == []


@pytest.mark.parametrize("file", FILES)
def test_a_file_that_may_not_be_read_says_so(
    site: Path, check: Callable[[], list[str]], file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    read_bytes = Path.read_bytes

    def refused(path: Path) -> bytes:
        if path == site / file:
            raise PermissionError(13, "Permission denied", str(path))
        return read_bytes(path)

    monkeypatch.setattr(Path, "read_bytes", refused)
    found = check()
    assert len(found) == 1
    assert found[0].startswith(f"{file}: may not be read by this user.")


def changed(site: Path, file: str, old: str, new: str) -> None:
    text = (site / file).read_text()
    assert old in text
    (site / file).write_text(text.replace(old, new, 1))


CAMERA, RULE = "sensors/cameras.toml: sensor 'cam-01' (line 11): ", "rules.toml: rule 'pumping-station' (line 29): "
PATROL = "agencies.toml: agency 'border-patrol' (line 4): "
CLASSES = "There is 'person', 'vehicle', 'animal', 'vessel', 'aircraft', 'other'."

# One edit, and all that is told of it.
EDITS = [
    # numbers as people type them
    ("sensors/cameras.toml", "range_m = 400.0", 'range_m = "400 m"', CAMERA + "range_m: '400 m' has a unit. Write 400, in metres, without quotes."),
    ("sensors/cameras.toml", "range_m = 400.0", 'range_m = "0.4 km"', CAMERA + "range_m: '0.4 km' has a unit. Write 400, in metres, without quotes."),
    ("sensors/cameras.toml", "range_m = 400.0", 'range_m = "400"', CAMERA + "range_m: '400' is text, since it stands in quotes. Write 400, in metres, without quotes."),
    ("sensors/cameras.toml", "range_m = 400.0", 'range_m = "far"', CAMERA + "range_m: 'far' is no number. Write a number, in metres."),
    ("sensors/cameras.toml", "range_m = 400.0", "range_m = true", CAMERA + "range_m: is true, not a number. Write a number, in metres."),
    ("sensors/cameras.toml", "range_m = 400.0", "range_m = [400]", CAMERA + "range_m: is a list, not a number. Write a number, in metres."),
    ("sensors/cameras.toml", "range_m = 400.0", "range_m = nan", CAMERA + "range_m: nan is no number to work with. Write a number, in metres."),
    ("sensors/cameras.toml", "range_m = 400.0", "range_m = -5", CAMERA + "range_m: -5 is out of range. Write a number greater than 0, in metres."),
    ("sensors/cameras.toml", "range_m = 400.0", "range_m = 4e6", CAMERA + "range_m: 4000000.0 is out of range. Write a number at most 100000, in metres."),
    ("sensors/cameras.toml", "lat = 31.333219", "lat = \"31°20'N\"", CAMERA + "lat: \"31°20'N\" is not in decimal degrees. Write 31.333333, in degrees, without quotes."),
    ("sensors/cameras.toml", "lat = 31.333219\nlon = -110.613594", "lat = -110.613594\nlon = 31.333219", CAMERA + "lat: -110.613594 is out of range. Write a number at least -90, in degrees. Latitude and longitude look exchanged."),
    ("sensors/cameras.toml", "lat = 31.333219", "latitude = 31.333219", CAMERA + "latitude: is no field here. Did you mean 'lat'?"),
    ("sensors/cameras.toml", "detection_probability = 0.85", "detection_probability = 85", CAMERA + "detection_probability: 85 is out of range. Write a number at most 1. For 85 % write 0.85."),
    ("sensors/cameras.toml", "detection_probability = 0.85", 'detection_probability = "85%"', CAMERA + "detection_probability: '85%' has a unit. Write 0.85, without quotes."),
    ("sensors/cameras.toml", "width_px = 1280", "width_px = 1280.5", CAMERA + "camera.width_px: 1280.5 is no whole number. Write a whole number."),
    ("sensors/cameras.toml", "width_px = 1280", "width_px = 1280.0", CAMERA + "camera.width_px: 1280.0 is no whole number. Write 1280."),
    ("sensors/cameras.toml", "width_px = 1280", "width_px = 1280\ncentre_px = [1]", CAMERA + "camera.centre_px: has 1 of the numbers that belong there. Write them all."),
    ("sensors/cameras.toml", "width_px = 1280", "width_px = 1280\ncentre_px = 5", CAMERA + "camera.centre_px: is the number 5, not a list of numbers. Write them in square brackets, as [0.1, 0.2]."),
    ("sensors/cameras.toml", "width_px = 1280", "width_px = 1280\ndistortion = [1, 2]", None),
    ("rules.toml", "dwell_s = 15.0", 'dwell_s = "15 min"', "rules.toml: rule 'lingering' (line 36): dwell_s: '15 min' has a unit. Write 900, in seconds, without quotes."),
    ("rules.toml", "dwell_s = 15.0", "dwell_s = -15.0", "rules.toml: rule 'lingering' (line 36): dwell_s: -15.0 is out of range. Write a number greater than 0, in seconds."),
    ("rules.toml", "count_min = 3", 'count_min = "three"', "rules.toml: rule 'group' (line 45): count_min: 'three' is no number. Write a whole number."),
    ("site.toml", "port = 1883", 'port = "1883"', "site.toml: mqtt.port: '1883' is text, since it stands in quotes. Write 1883, without quotes."),
    ("site.toml", "journal_hours = 24.0", 'journal_hours = "1 day"', "site.toml: privacy.journal_hours: '1 day' has a unit. Write 24, in hours, without quotes."),
    ("site.toml", "[fusion]", "[fusion]\nscan_s = 1e300", "site.toml: fusion.scan_s: 1e+300 is out of range. Write a number at most 1000000000, in seconds."),
    # texts, lists, sections
    ("sensors/cameras.toml", 'id = "cam-01"', 'id = "Cam 01"', "sensors/cameras.toml: sensor 'Cam 01' (line 11): id: 'Cam 01' is no id. Write 'cam-01': lower-case letters, digits, '-', '_' and '.'."),
    ("sensors/cameras.toml", 'id = "cam-01"\n', "", "sensors/cameras.toml: sensor (line 11): id: is missing. Add id = …"),
    ("sensors/cameras.toml", 'name = "West trail, tower 1"', "name = 5", CAMERA + 'name: is the number 5, not text. Write "5", in quotes.'),
    ("sensors/cameras.toml", "[sensor.camera]", "[sensor.kamera]", CAMERA + "kamera: is no field here. Did you mean 'camera'?"),
    ("sensors/cameras.toml", 'owner = "border-patrol"', 'owner = "border-patrol"\ntwice = "yes"', CAMERA + "twice: 'yes' is neither true nor false. Write true, without quotes."),
    ("sensors/cameras.toml", 'owner = "border-patrol"', 'owner = "border-patrol"\nlabels = { cow = "cattle" }', CAMERA + f"labels.cow: 'cattle' is none of the possible values. {CLASSES}"),
    ("sensors/cameras.toml", 'owner = "border-patrol"', 'owner = "border-patrol"\nlabels = ["cow"]', CAMERA + "labels: is a list, not a section with fields of its own. Write [labels], or labels = { … }, and its fields."),
    ("sensors/cameras.toml", 'owner = "border-patrol"', 'owner = "border-patrol"\nconfusion = { beast = { person = 1 } }', CAMERA + f"confusion.beast: 'beast' is none of the possible values. {CLASSES}"),
    ("rules.toml", 'kind = "crossing"', 'kind = "crosing"', "rules.toml: rule 'inbound-crossing' (line 4): kind: 'crosing' is none of the possible values. Did you mean 'crossing'?"),
    ("rules.toml", 'kind = "tampered_sensor"', 'kind = "system_fault"\nfaults = ["key_lots"]\n#', "rules.toml: rule 'tampering' (line 60): faults number 1: 'key_lots' is none of the possible values. Did you mean 'key_lost'?"),
    ("rules.toml", 'kind = "crossing"\n', "", "rules.toml: rule 'inbound-crossing' (line 4): kind: is missing. There is 'crossing', 'entering', 'leaving', 'dwelling', 'approach', 'speed', 'wrong_way', 'group' …."),
    ("rules.toml", 'zones = ["pumping-station"]', "zones = []", RULE + "zones: is empty. Write at least 1."),
    ("rules.toml", 'zones = ["pumping-station"]', 'zones = "pumping-station"', RULE + "zones: is the text 'pumping-station', not a list. Write ['pumping-station'], in square brackets."),
    ("rules.toml", 'zones = ["pumping-station"]', 'zone = "pumping-station"', RULE + "zone: is no field here. Did you mean 'zones'?"),
    ("rules.toml", 'from = "20:00"', "from = 20:00:00", "rules.toml: schedule 'nights' (line 87): windows number 1: from: is the time 20:00:00, not text. Write \"20:00\", in quotes."),
    ("rules.toml", 'from = "20:00"', 'from = "20:75"', "rules.toml: schedule 'nights' (line 87): windows number 1: from: '20:75' is no time of day. Write for example '22:00'."),
    ("rules.toml", "windows = [", "never = [2026-12-25]\nwindows = [", "rules.toml: schedule 'nights' (line 87): never number 1: is the date 2026-12-25, not text. Write \"2026-12-25\", in quotes."),
    ("rules.toml", "windows = [", 'never = ["2026-12-26/2026-12-24"]\nwindows = [', "rules.toml: schedule 'nights' (line 87): never number 1: '2026-12-26/2026-12-24' ends before it begins."),
    ("agencies.toml", "plates = true", 'plates = "true"', PATROL + "plates: 'true' is neither true nor false. Write true, without quotes."),
    ("agencies.toml", 'kind = "mqtt"\ntopic', 'kind = "cap"\nurl = "dispatch.example.org"\n#', PATROL + "channel 'border-patrol-mqtt': url: 'dispatch.example.org' is no web address. Write it with https:// in front and without a password, as 'https://dispatch.example.org/alerts'."),
    ("agencies.toml", 'kind = "mqtt"\ntopic', 'kind = "email"\nserver = "mail:25"\nsender = "x"\nto = ["a@b"]\n#', PATROL + "channel 'border-patrol-mqtt': sender: 'x' is no e-mail address. Write an e-mail address, as 'desk@example.org'."),
    ("agencies.toml", 'copies = ["sheriff-santa-cruz"]', 'copies = "sheriff-santa-cruz"', "agencies.toml: agreement 'mou-1' (line 59): copies: is the text 'sheriff-santa-cruz', not a list. Write ['sheriff-santa-cruz'], in square brackets."),
    ("site.toml", '"San Rafael valley"', '["x"]', "site.toml: site.title: is a list, not text. Write one text, in quotes."),
    ("site.toml", 'name = "san-rafael"', 'name = ""', "site.toml: site.name: '' is no id. Write 'west-1': lower-case letters, digits, '-', '_' and '.'."),
    ("site.toml", 'name = "san-rafael"', f'name = "{"x" * 65}"', "site.toml: site.name: has 65 characters. Write at most 64."),
    ("site.toml", 'values = ["trigger", 1]', 'values = [["trigger"], 1]', "site.toml: profile 'pir': detect number 1: values number 1: is a list. Write a number, true, false or text."),
    ("site.toml", "[fusion]", '[files]\nsensors = ["/etc/*.toml"]\n[fusion]', "site.toml: files.sensors: '/etc/*.toml' is no pattern of file names. Write a path relative to the site folder, as 'sensors/*.toml'."),
    ("site.toml", "[fusion]", '[files]\nrules = "rulez.toml"\n[fusion]', "site.toml: files.rules: 'rulez.toml' does not exist. Did you mean 'rules.toml'?"),
    ("site.toml", "[fusion]", '[files]\nrules = "a\\u0000b"\n[fusion]', "site.toml: files.rules: 'a\\x00b' has a name that no file can have. Write the name of a file."),
    # one broken thing that others name
    ("site.toml", 'format = "frigate"', 'format = "frigat"', "site.toml: feed 'frigate': format: 'frigat' is none of the possible values. Did you mean 'frigate'?"),
    ("site.toml", 'id = "frigate"\n', "", "site.toml: feed number 1: id: is missing. Add id = …"),
    ("site.toml", 'path = "pir"\n', "", "site.toml: profile 'pir': detect number 1: path: is missing. Add path = …"),
    ("site.toml", "[site]", "[sites]", "site.toml: sites: is no field here. Did you mean 'site'?"),
    ("site.toml", "[[feed]]", "[feed]", "site.toml: line 18: '[feed]' is not TOML: it has one pair of brackets, and others of its kind have two. Write [[feed]]."),
    ("rules.toml", "[[rule]]", "[rule]", "rules.toml: line 4: '[rule]' is not TOML: it has one pair of brackets, and others of its kind have two. Write [[rule]]."),
    ("rules.toml", 'id = "nights"', 'id = "Nights"', "rules.toml: schedule 'Nights' (line 87): id: 'Nights' is no id. Write 'nights': lower-case letters, digits, '-', '_' and '.'."),
    ("agencies.toml", 'name = "Border patrol station"\n', "", PATROL + "name: is missing. Add name = …"),
    ("agencies.toml", 'id = "border-patrol-supervisor"', "id = 5", PATROL + "channel number 2: id: is the number 5, not text. Write \"5\", in quotes."),
    ("sensors/native.toml", 'id = "radar-west"', 'id = "radar-west', "sensors/native.toml: line 6: 'id = \"radar-west' is not TOML: it has a text that is not closed. End it with the quotation mark that it begins with."),
    ("exercises/demo.toml", "seed = 7", "seed = -1", "exercises/demo.toml: seed: -1 is out of range. Write a number at least 0."),
    ("exercises/demo.toml", 'start = "2026-11-20T04:00:00Z"', 'start = "tomorrow"', "exercises/demo.toml: start: 'tomorrow' is no time. Write for example '2026-11-20T04:00:00Z'."),
]  # fmt: skip


def without_lines(text: str) -> str:
    """The shipped site changes; which line it is, is tested with files of the tests' own."""
    return re.sub(r"\bline \d+", "line N", text)


@pytest.mark.parametrize(("file", "old", "new", "expected"), EDITS)
def test_one_edit_is_one_sentence(
    site: Path, check: Callable[[], list[str]], file: str, old: str, new: str, expected: str | None
) -> None:
    changed(site, file, old, new)
    if expected is not None:
        assert list(map(without_lines, check())) == [without_lines(expected)]
    else:
        assert set(check()) == {CAMERA + "camera.distortion: has 2 of the numbers that belong there. Write them all."}


# What cannot be TOML, and what is told of the line.
SYNTAX = [
    ("port = 1883", "port 1883", "has no '=' after the name. Write name = value."),
    ("port = 1883", "port = ", 'has no value that can be read. Write a number, true, false, or text in quotes: name = "text".'),
    ("port = 1883", "port = 1,883", "may be 1883 or 1.883: thousands have no mark. Write one number."),
    ("port = 1883", "port = 1883 # \x01", "holds a character that cannot be seen (U+0001). Type the line again."),
    ("port = 1883", "port = 1883\nport = 1884", "has a name that is there already. Leave one out."),
    ("port = 1883", "*port = 1883", "is neither a field nor a heading. Begin a remark with '#', and a field with its name."),
    ("port = 1883", "port = " + "9" * 5000, "has a number that is too long. Write fewer digits."),
    ("port = 1883", "port = " + "[" * 5000, "is cut off or wrongly nested. Compare it with the shipped example in configs/."),
    ('host = "127.0.0.1"', "host = “127.0.0.1”", 'has typographic quotation marks. Write straight ones: "text".'),
    ('host = "127.0.0.1"', 'host = "127.0.0.1', "has a text that is not closed. End it with the quotation mark that it begins with."),
    ('host = "127.0.0.1"', 'host = "C:\\map"', "has a backslash in a text. Put the text in single quotes: 'C:\\map'."),
    ("[mqtt]", "[mqtt", "has a heading that is not closed. Write [section]."),
    ("[fusion]", "[fusion]\n[mqtt]", "has a heading that is there already, at line 10. Put both sections [mqtt] into one."),
    ('values = ["trigger", 1]', 'values = ["trigger" 1]', 'has a list that is not closed, or a comma is missing in it. Write ["a", "b"].'),
    ("{ person = 0.6, animal = 0.35 }", "{ person = 0.6 animal = 0.35 }", "has a table that is not closed, or a comma is missing in it. Write { a = 1, b = 2 } on one line."),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "expected"), SYNTAX)
def test_what_is_not_toml_is_told_with_its_line_and_the_other_files_are_checked_all_the_same(
    site: Path, check: Callable[[], list[str]], old: str, new: str, expected: str
) -> None:
    changed(site, "site.toml", old, new)
    changed(site, "rules.toml", "dwell_s = 15.0", "dwell_s = 0")
    toml, rule = check()
    assert toml.startswith("site.toml: line ")
    assert without_lines(toml).endswith(f" is not TOML: it {without_lines(expected)}")
    assert rule.startswith("rules.toml: rule 'lingering'")


def test_mistakes_of_all_files_are_found_at_once(site: Path, check: Callable[[], list[str]]) -> None:
    changed(site, "site.toml", '"America/Phoenix"', '"Arizona"')
    changed(site, "rules.toml", 'line = "border"', 'line = "boarder"')
    changed(site, "rules.toml", "dwell_s = 15.0", "dwell_s 15.0")
    changed(site, "sensors/cameras.toml", "latency_s", "latencey_s")
    changed(site, "sensors/cameras.toml", 'id = "cam-02"', 'id = "cam-02')
    changed(site, "sensors/ground.csv", ",pir,", ",pri,")
    changed(site, "agencies.toml", 'lead = "border-patrol"', 'lead = "nobody"')
    changed(site, "jurisdictions.geojson", '"agency": "sheriff-cochise"', '"agency": "sherif-cochise"')
    changed(site, "exercises/demo.toml", "seed = 7", "seed = -7")
    assert sorted(m.split(":")[0] for m in check()) == [
        "agencies.toml",
        "exercises/demo.toml",
        "jurisdictions.geojson",
        "rules.toml",
        "rules.toml",
        "sensors/cameras.toml",
        "sensors/cameras.toml",
        "sensors/ground.csv",
        "site.toml",
    ]


def drawn(site: Path, file: str, how: Callable[[list[list[float]]], object]) -> None:
    """Change the coordinates of a file's first feature: an area's outer ring, or a line."""
    collection = json.loads((site / file).read_text())
    geometry = collection["features"][0]["geometry"]
    if geometry["type"] == "Polygon":
        geometry["coordinates"][0] = how(geometry["coordinates"][0])
    else:
        geometry["coordinates"] = how(geometry["coordinates"])
    (site / file).write_text(json.dumps(collection))


ZONE = "zones.geojson: feature 'trail-west' (number 1): geometry: "
SHAPES = [
    (lambda r: r[:3], "is not closed: it begins at -110.617, 31.3326 and ends at -110.615, 31.3432. Repeat the first point as the last."),
    (lambda r: r[:-1], "is not closed: it begins at -110.617, 31.3326 and ends at -110.613, 31.3326. Repeat the first point as the last."),
    (lambda r: [r[0], r[1], r[0]], "has 2 corners. Draw at least three; the last point repeats the first."),
    (lambda r: [r[0], r[7], *r[2:7], r[1], *r[8:]], "is not a valid area: it crosses itself at "),
    (lambda r: [[y, x] for x, y in r], "which is not on earth. GeoJSON writes longitude first: latitude and longitude look exchanged."),
    (lambda r: [[x * 111_000, y * 111_000] for x, y in r], "which is not on earth. Export it in WGS84 (EPSG:4326)."),
    (lambda r: [["a", 1], *r], "has a coordinate that is no number: 'a'. Export it again from the GIS as GeoJSON."),
    (lambda r: [r], "has coordinates that are nested wrongly. Export it again from the GIS as GeoJSON."),
    (lambda r: 5, "has coordinates that are nested wrongly. Export it again from the GIS as GeoJSON."),
]  # fmt: skip


@pytest.mark.parametrize(("how", "expected"), SHAPES)
def test_a_broken_zone_is_told_once_and_not_by_the_rules_that_name_it(
    site: Path, check: Callable[[], list[str]], how: Callable[[list[list[float]]], object], expected: str
) -> None:
    drawn(site, "zones.geojson", how)
    (mistake,) = check()
    assert mistake.startswith(ZONE)
    assert expected in mistake


CAMERAS, SAYS = "sensors/cameras.toml", "is not TOML: it "
IN_DEGREES = "is not in decimal degrees. Write 31.333222, in degrees"
# What a text editor, a word processor, a phone and a label printer make of a line.
TYPED = [
    ("range_m = 400.0", "range_m = 400 m", SAYS + "has a unit. Write 400, in metres."),
    ("range_m = 400.0", "range_m = 1300ft", SAYS + "has a unit. Write 396.24, in metres."),
    ("range_m = 400.0", """range_m = "1300'" """, "has a unit. Write 396.24, in metres, without quotes."),
    ("range_m = 400.0", "range_ft = 1300", "range_ft: is no field here. Write range_m = 396.24, in metres."),
    ("range_m = 400.0", "range_km = 0.4", "range_km: is no field here. Write range_m = 400, in metres."),
    ("range_m = 400.0", "range_m = 1,400", SAYS + "may be 1400 or 1.400: thousands have no mark. Write one number."),
    ("range_m = 400.0", 'range_m = "1,400"', "may be 1400 or 1.400: thousands have no mark. Write a number, in metres."),
    ("range_m = 400.0", "range_m = 1'400", SAYS + "has marks between the thousands. Write 1400, in metres."),
    ("range_m = 400.0", 'range_m = "1.400,5"', "has marks between the thousands. Write 1400.5, in metres, without quotes."),
    ("range_m = 400.0", "range_m: 400.0", SAYS + "has a colon after the name. Write range_m = 400.0"),
    ("range_m = 400.0", "range_m = 400.0;", SAYS + "ends in ';'. Leave it out."),
    ("range_m = 400.0", "range_m = 400.0,", SAYS + "ends in ','. Leave it out."),
    ("range_m = 400.0", "range_m = 400.0\u00a0", SAYS + "holds a character that cannot be seen (U+00A0). Type the line again."),
    ("range_m = 400.0", "\u00a0range_m = 400.0", SAYS + "holds a character that cannot be seen (U+00A0). Type the line again."),
    ("range_m = 400.0", "\trange_m\t=\t400.0\t", ""),
    ("range_m = 400.0", "// far\nrange_m = 400.0", SAYS + "is neither a field nor a heading. Begin a remark with '#', and a field with its name."),
    ("range_m = 400.0", "range_m = 400.0\nrange_m = 500.0", SAYS + "has a name that is there already. Leave one out."),
    ("range_m = 400.0", "<<<<<<< HEAD\nrange_m = 400.0", SAYS + "is a mark between two versions of the file. Keep one of them, and remove the marks."),
    ("lon = -110.613594", "lon = −110.613594", SAYS + "has a dash where a minus belongs. Write -110.613594, in degrees."),
    ("lon = -110.613594", "lon = –110.613594", SAYS + "has a dash where a minus belongs. Write -110.613594, in degrees."),
    ("lon = -110.613594", """lon = "110° 36' 48,9'' O\"""", "ends in O, which is west in Spanish and east in German: west is negative. Write a number, in degrees."),
    ("lon = -110.613594", 'lon = "110 36 48.9 W"', "is not in decimal degrees. Write -110.613583, in degrees, without quotes."),
    ("lat = 31.333219", "lat = 31,333219", SAYS + "has a comma. Write 31.333219, in degrees."),
    ("lat = 31.333219", """lat = 31°19'59.6"N""", SAYS + IN_DEGREES + "."),
    ("lat = 31.333219", 'lat = "31º 19’ 59.6” N"', IN_DEGREES + ", without quotes."),
    ("lat = 31.333219", 'lat = "31° 19′ 59,6″ N"', IN_DEGREES + ", without quotes."),
    ("lat = 31.333219", 'lat = "31.333219, -110.613594"', "holds two numbers: lat has one and lon the other. Write 31.333219, in degrees, without quotes."),
    ("lat = 31.333219", 'lat = "12R WV 36751 66729"', "is a place on a map's grid (MGRS or UTM): a converter makes decimal degrees of it. Write a number, in degrees."),
    ("lat = 31.333219", "lat = 3466729", "It looks like metres on a map's grid, such as UTM: a converter makes decimal degrees of them."),
    ('id = "cam-01"', "id = cam-01", SAYS + 'has a text without quotation marks. Write id = "cam-01"'),
    ('id = "cam-01"', 'id = "cam–01"', "is no id. Write 'cam-01': lower-case letters, digits, '-', '_' and '.'."),
    ('id = "cam-01"', "id = «cam-01»", SAYS + 'has typographic quotation marks. Write straight ones: "text".'),
    ('owner = "border-patrol"', 'owner = "border-patrol"\ntwice = True', SAYS + "has 'True' where true or false belongs. Write true."),
    ('owner = "border-patrol"', 'owner = "border-patrol"\nposition = 3', "position: is no field here. Did you mean 'lat'?"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "expected"), TYPED)
def test_what_is_typed_is_answered_with_what_was_meant(
    site: Path, check: Callable[[], list[str]], old: str, new: str, expected: str
) -> None:
    changed(site, CAMERAS, old, new)
    found = check()
    assert len(found) == bool(expected)
    assert "".join(found).endswith(expected)


def test_a_password_without_quotes_is_not_shown(site: Path, check: Callable[[], list[str]]) -> None:
    with (site / "accounts.toml").open("a") as accounts:
        accounts.write("password = hunter2\n")
    (mistake,) = check()
    assert "hunter2" not in mistake


Collection = dict[str, Any]


def every_position(collection: Collection, how: Callable[[list[float]], list[Any]]) -> Collection:
    def changed_in(part: Any) -> Any:
        return how(part) if isinstance(part[0], float) else [changed_in(inner) for inner in part]

    for feature in collection["features"]:
        feature["geometry"]["coordinates"] = changed_in(feature["geometry"]["coordinates"])
    return collection


def mercator(point: list[float]) -> list[float]:
    return [point[0] * 111_319.49, math.log(math.tan(math.pi / 4 + math.radians(point[1]) / 2)) * 6_378_137]


def with_crs(collection: Collection, crs: object) -> Collection:
    return collection | {"crs": crs}


def crs(name: str) -> object:
    return {"type": "name", "properties": {"name": name}}


IN_WGS84 = "Export it in WGS84 (EPSG:4326): longitude and latitude in degrees."
EXPORTS: list[tuple[Callable[[Collection], object], str]] = [
    (lambda c: every_position(with_crs(c, crs("urn:ogc:def:crs:EPSG::3857")), mercator), f"crs: is 'urn:ogc:def:crs:EPSG::3857'. {IN_WGS84}"),
    (lambda c: with_crs(c, {"type": "EPSG", "properties": {"code": 3857}}), f"crs: is 'EPSG:3857'. {IN_WGS84}"),
    (lambda c: with_crs(c, {"type": "link", "properties": {"href": "http://example.org/26912"}}), f"crs: is 'http://example.org/26912'. {IN_WGS84}"),
    (lambda c: with_crs(c, crs("urn:ogc:def:crs:OGC:1.3:CRS84")), ""),
    (lambda c: every_position(c, mercator), "all 7 features: geometry: is in metres of a map's plane, not in degrees. Export it in WGS84 (EPSG:4326)."),
    (lambda c: every_position(c, lambda p: p[::-1]), "all 7 features: geometry: has latitude before longitude. GeoJSON writes longitude first: latitude and longitude look exchanged."),
    (lambda c: every_position(c, lambda p: [str(x) for x in p]), "all 7 features: geometry: has coordinates that are text, in quotes. Export it again from the GIS as GeoJSON."),
    (lambda c: every_position(c, lambda p: [*p, 1402.5]), ""),
    (lambda c: every_position(c, lambda p: [*p, None]), ""),
    (lambda c: [f["geometry"].update(type="MultiPolygon", coordinates=[f["geometry"]["coordinates"]]) for f in c["features"]] and c, ""),
    (lambda c: c["features"][0], "is no GeoJSON FeatureCollection but a Feature. Export it again from the GIS as GeoJSON."),
    (lambda c: {"geometryType": "esriGeometryPolygon", "features": []}, "is Esri's own JSON, not GeoJSON. Export it again from the GIS as GeoJSON."),
    (lambda c: "\n".join(json.dumps(f) for f in c["features"]), "has a feature on each line (GeoJSON lines), and no FeatureCollection about them. Export it again from the GIS as GeoJSON."),
    (lambda c: json.dumps(c).replace("]]]}}]}", "]]]}},]}"), "is no GeoJSON: line 1 has a comma too many before character "),
    (lambda c: json.dumps(c).replace('"id": "trail-west"', '"id": "trail-west", "id": "trail-est"'), "has the name 'id' twice in one pair of braces. Leave one out."),
    (lambda c: json.dumps(c).replace('"id": "trail-west"', '"id": "Trail West"'), "feature 'Trail West' (number 1): id: 'Trail West' is no id. Write 'trail-west': lower-case letters, digits, '-', '_' and '.'."),
    (lambda c: "<?xml version='1.0'?><kml><Placemark/></kml>", "is no GeoJSON but XML, as KML and GPX are. Export it again from the GIS as GeoJSON."),
    (lambda c: "<!DOCTYPE html><title>Sign in</title>", "is a web page, not text. Export the layer from the GIS as GeoJSON."),
]  # fmt: skip


@pytest.mark.parametrize(("how", "expected"), EXPORTS)
def test_what_a_gis_exports_is_told_once(
    site: Path, check: Callable[[], list[str]], how: Callable[[Collection], object], expected: str
) -> None:
    exported = how(json.loads((site / "zones.geojson").read_text()))
    (site / "zones.geojson").write_text(exported if isinstance(exported, str) else json.dumps(exported))
    found = check()
    assert len(found) == bool(expected)
    assert "".join(found).startswith(f"zones.geojson: {expected}" if expected else "")


@pytest.mark.parametrize(
    ("file", "now", "expected"),
    [
        ("zones.geojson", "zones.json", "files.zones: 'zones.geojson' does not exist. There is 'zones.json': rename it to 'zones.geojson'."),
        ("zones.geojson", "Zones.GeoJSON", "There is 'Zones.GeoJSON': rename it to 'zones.geojson'."),
        ("rules.toml", "rules.toml.txt", "There is 'rules.toml.txt': rename it to 'rules.toml'."),
        ("rules.toml", "rule.toml", "Did you mean 'rule.toml'?"),
        ("border.geojson", "frontera.geojson", "Put it there, or name another under [files] border."),
        ("site.toml", "site.toml.txt", "has no site.toml. There is 'site.toml.txt': rename it to 'site.toml'."),
        ("site.toml", "Site.toml", "has no site.toml. There is 'Site.toml': rename it to 'site.toml'."),
    ],
)  # fmt: skip
def test_a_file_that_was_renamed_is_found(
    site: Path, check: Callable[[], list[str]], file: str, now: str, expected: str
) -> None:
    (site / file).rename(site / now)
    (mistake,) = check()
    assert mistake.endswith(expected)


def test_a_copy_of_a_file_is_one_mistake(site: Path, check: Callable[[], list[str]]) -> None:
    shutil.copy(site / CAMERAS, site / "sensors" / "cameras - Copy.toml")
    assert check() == [
        f"{CAMERAS}: has 12 entries that are in sensors/cameras - Copy.toml already, such as 'cam-01'. Is one a copy of the other? Remove it."
    ]


def test_files_that_are_exchanged_are_told_so(site: Path, check: Callable[[], list[str]]) -> None:
    rules, agencies = (site / "rules.toml").read_text(), (site / "agencies.toml").read_text()
    (site / "rules.toml").write_text(agencies)
    (site / "agencies.toml").write_text(rules)
    hint = "is no section here. It belongs into the file that [files] names under"
    assert f"rules.toml: agency: {hint} agencies: are two files exchanged?" in check()


def test_a_height_in_a_drawing_is_left_out(site: Path, check: Callable[[], list[str]]) -> None:
    drawn(site, "zones.geojson", lambda ring: [[x, y, 1402.5] for x, y in ring])
    drawn(site, "border.geojson", lambda line: [[x, y, 1402.5] for x, y in line])
    assert check() == []


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ('"privacy": true', '"Privacy": true', "zones.geojson: feature 'ranch-yard' (number 6): Privacy: is no property here. Did you mean 'privacy'?"),
        ('"privacy": true', '"private": true', "zones.geojson: feature 'ranch-yard' (number 6): private: is no property here. Did you mean 'privacy'?"),
        ('"privacy": true', '"privacy": "perhaps"', "zones.geojson: feature 'ranch-yard' (number 6): privacy: 'perhaps' is neither true nor false. Write false."),
        ('"id": "trail-west"', '"id": 7', "zones.geojson: feature '7' (number 1): id: is the number 7, not text. Write \"7\", in quotes."),
        ('"id": "trail-west"', '"ID": "trail-west"', "zones.geojson: feature number 1: ID: is no property here. Did you mean 'id'?"),
        ('"id": "trail-west", ', "", "zones.geojson: feature number 1: id: is missing. Add id = …"),
        ('"type": "FeatureCollection"', '"type": "Topology"', "zones.geojson: is no GeoJSON FeatureCollection but a Topology. Export it again from the GIS as GeoJSON."),
        ('"type": "FeatureCollection"', '"type": "FeatureCollection", "crs": {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::3857"}}', "zones.geojson: crs: is 'urn:ogc:def:crs:EPSG::3857'. Export it in WGS84 (EPSG:4326): longitude and latitude in degrees."),
        ('"features": [', '"features": [\n,', "zones.geojson: is no GeoJSON: line 2 has something wrong at character 1. Export it again from the GIS as GeoJSON."),
    ],
)  # fmt: skip
def test_properties_of_a_drawing(site: Path, check: Callable[[], list[str]], old: str, new: str, expected: str) -> None:
    changed(site, "zones.geojson", old, new)
    assert check() == [expected]


GROUND = "sensors/ground.csv"


@pytest.mark.parametrize(
    "saved",
    [
        lambda text: text.replace(",", ";"),
        lambda text: "sep=;\r\n" + text.replace(",", ";").replace("\n", "\r\n"),
        lambda text: re.sub(r"(\d)\.(\d)", r"\1,\2", text.replace(",", ";")),
        lambda text: text.replace(",", "\t"),
        lambda text: text.replace("\n", "\r"),
        lambda text: text.replace("\n", ",,,\n") + ",,,,,\n\n",
        lambda text: "\ufeff" + text.replace("West trail 15 m", '"Señal ""15"", m"'),
        lambda text: text.replace("id,name", '"id","name"'),
    ],
)
def test_a_csv_is_read_as_spreadsheets_save_it(
    site: Path, check: Callable[[], list[str]], saved: Callable[[str], str]
) -> None:
    (site / GROUND).write_bytes(saved((site / GROUND).read_text()).encode())
    assert check() == []
    ground = [w.value for w in load(site).sensors if w.file == GROUND]
    assert len(ground) == 40
    assert (ground[0].lat, ground[0].lon, ground[0].profile) == (31.332545, -110.615232, "pir")


FIRST = f"{GROUND}: sensor 'ugs-01' (line 2): "


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("id,name", "ID,name", [f"{GROUND}: header: ID: is no column here. Did you mean 'id'?"]),
        ("lat,lon", "latitude,lon", [f"{GROUND}: header: latitude: is no column here. Did you mean 'lat'?"]),
        ("lat,lon", "lat,lat", [f"{GROUND}: line 1: lat: is a column twice. Leave one out."]),
        ("lat,lon", "lat,", [f"{GROUND}: line 1: has no name for column 8, which holds something in line 2. Name the column, or empty it.", f"{GROUND}: header: lon: is missing. Add a column lon."]),
        ("West trail 15 m", '"West trail 15 m', [f"{GROUND}: line 2: has a quotation mark that is not closed: all lines up to the next one would be one cell. Leave it out, or close it."]),
        ("West trail 15 m", '"West" trail 15 m', [f'{GROUND}: line 2: has a quotation mark inside a cell. Leave it out, or write it twice in a cell that is quoted: "a ""b"" c".']),
        ("West trail 15 m", "West trail, 15 m", [f"{GROUND}: line 2: has 17 cells, more cells than the header has columns (16). Look for a stray comma; put a cell with one in it in quotes."]),
        ("24e124535b300001", "2.4E+15", [FIRST + "source: '2.4E+15' is no device EUI. A spreadsheet made a number of it: set the column's format to text, and enter it again."]),
        ("24e124535b300001", "24:E1:24:53:5B:30:00:01", [FIRST + "source: '24:E1:24:53:5B:30:00:01' is no device EUI. Write '24e124535b300001', without separators."]),
        ("24e124535b300001", "4e124535b300001", [FIRST + "source: '4e124535b300001' is no device EUI. It has 15 digits of 16: a spreadsheet drops zeros in front. Write '04e124535b300001'."]),
        (",8,35,", ",8,35 m,", [FIRST + "range_m: '35 m' has a unit. Write 35, in metres."]),
        (",0.9,", ",90,", [FIRST + "detection_probability: '90' is out of range. Write a number at most 1. For 90 % write 0.9."]),
        ("31.332545", '"31,332545"', [FIRST + "lat: '31,332545' has a comma. Write 31.332545, in degrees."]),
        ("31.332545,-110.615232", "-110.615232,31.332545", [FIRST + "lat: '-110.615232' is out of range. Write a number at least -90, in degrees. Latitude and longitude look exchanged."]),
        ("ugs-01,", ",", [f"{GROUND}: sensor (line 2): id: is missing. Add id = …"]),
        ("lat,lon", "lat (deg),lon (deg)", [f"{GROUND}: header: {n} (deg): is no column here. Did you mean '{n}', in degrees?" for n in ("lat", "lon")]),
        (",range_m,", ",range [ft],", [f"{GROUND}: header: range [ft]: is no column here. Did you mean 'range_m', in metres? Multiply its values by 0.3048."]),
        ("31.332545", """31°19'57.2""N""", [FIRST + """lat: '31°19\\'57.2""N' is not in decimal degrees. Write 31.332556, in degrees."""]),
        ("-110.615232", "−110.615232", [FIRST + "lon: '−110.615232' has a dash where a minus belongs. Write -110.615232, in degrees."]),
        ("\n", "\n# old ones\n", [f"{GROUND}: line 2: is a remark, which a CSV cannot have. Remove the line."]),
    ],
)  # fmt: skip
def test_a_csv_with_a_mistake(
    site: Path, check: Callable[[], list[str]], old: str, new: str, expected: list[str]
) -> None:
    changed(site, GROUND, old, new)
    assert check() == expected


def test_a_csv_without_a_header_is_one_mistake(site: Path, check: Callable[[], list[str]]) -> None:
    text = (site / GROUND).read_text()
    (site / GROUND).write_text(text.partition("\n")[2])
    assert check() == [
        f"{GROUND}: line 1: names no field in its first line. Begin it with a line of column names, such as id,name,kind."
    ]


def test_every_pattern_of_the_schema_has_words_of_its_own() -> None:
    patterns = {
        p.replace("\\\\", "\\") for text in schemas().values() for p in re.findall(r'"pattern": "([^"]*)"', text)
    }
    assert patterns == set(FORMS)


def test_the_line_that_is_told_is_that_of_the_entry(site: Path, check: Callable[[], list[str]]) -> None:
    (site / "sensors" / "native.toml").write_text(
        '# a remark\n\n[[sensor]]  # the first\nid = "a"\nkind = "radar"\nlat = 31.335\nlon = -110.6\nsize_m = 5\n\n'
        '[[sensor]]\nid = "b"\nkind = radar\n\n[[ sensor ]]\nid = "c"\nkind = "radar"\nlat = 31.335\nlon = -110.6\nowner = "x"\n'
    )
    assert [m.partition(": ")[2].partition(": ")[0] for m in check()] == [
        "line 12",
        "sensor 'a' (line 3)",
        "sensor 'c' (line 14)",
    ]
