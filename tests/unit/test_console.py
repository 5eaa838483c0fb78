"""The parts of the console that need no server: accounts, sessions, what an agency sees, colours, the shift's figures."""

import ast
import json
import re
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import shapely

from alerts.feedback import DISPOSITIONS
from alerts.quiet import FIELDS
from alerts.revisions import Why
from alerts.standing import Standing
from alerts.wording import OF_ANOTHER, REASONS
from console.api import Doing
from console.people import LOCAL, ROLES, Account, Accounts, May, Person, hashed, matches, token_hash
from console.records import Lasting, Records
from console.report import shift_report
from console.scope import CLASS, SHARE, Subjects, areas_of, subjects_of, tracks_for, without_class
from model.alerts import SEVERITIES, EventKind, Stance
from model.classes import CLASSES
from model.faults import FaultKind
from model.liveness import SensorCondition, ServiceCondition
from model.rejections import Reason
from runtime.configuration import load
from runtime.mistakes import Mistakes
from runtime.picture import COLUMNS
from runtime.scene import areas, scene_of
from runtime.schema import Agreement
from tests.builders import shipped_world
from tests.site import CONFIGS, in_process, site_at

STATIC = Path(__file__).parents[2] / "console" / "static"


# ── who may ──────────────────────────────────────────────────────────────────────────────────────


def test_a_password_is_known_by_its_hash_alone() -> None:
    kept = hashed("correct horse")
    assert matches("correct horse", kept)
    assert not matches("correct horsf", kept)
    assert hashed("correct horse") != kept
    assert "correct" not in kept
    assert not any(matches("x", broken) for broken in ("", "scrypt$", "scrypt$zz$zz", "plain$x"))


def test_people_and_programs_are_told_apart() -> None:
    garcia, dispatch = Person("garcia", "", "a", "officer"), Person("dispatch", "", "a", "observer")
    accounts = Accounts([Account(garcia, password=hashed("pw")), Account(dispatch, token=token_hash("secret"))])
    assert accounts.with_password("garcia", "pw") == garcia
    assert accounts.with_password("garcia", "") is None
    assert accounts.with_password("dispatch", "") is None
    assert accounts.with_password("nobody", "pw") is None
    assert accounts.with_token("secret") == dispatch
    assert accounts.with_token("") is None
    assert accounts.of_id(LOCAL.id) is None


def test_without_accounts_there_is_only_this_machine() -> None:
    assert Accounts([]).of_id(LOCAL.id) == LOCAL
    assert Accounts([]).of_id("garcia") is None


def test_only_officers_and_supervisors_act_and_technicians_see_no_incident() -> None:
    assert {role for role, may in ROLES.items() if May.ACT in may} == {"officer", "supervisor"}
    assert May.SEE not in ROLES["technician"]


def test_a_session_ends_by_itself_by_being_idle_and_by_hand(tmp_path: Path) -> None:
    records = Records(tmp_path / "console.db", Lasting(whole_s=1000, idle_s=100))
    token = records.begin("garcia", "c", 0)
    assert records.session(token, 90) == ("garcia", "c")
    assert records.session(token, 180) == ("garcia", "c")  # it was used meanwhile
    assert records.session(token, 281) is None
    assert records.session(token, 181) is None  # and stays ended
    lasting = records.begin("garcia", "c", 0)
    assert [bool(records.session(lasting, s)) for s in range(50, 1100, 50)] == [True] * 20 + [False]
    first, second = records.begin("garcia", "c", 0), records.begin("begay", "d", 0)
    records.end(first)
    assert (records.session(first, 1), records.session(second, 1)) == (None, ("begay", "d"))
    assert token.encode() not in (tmp_path / "console.db").read_bytes()


def test_notes_are_an_agencys_own(tmp_path: Path) -> None:
    records = Records(tmp_path / "console.db", Lasting(1000, 100))
    records.write_note(10, "garcia", "border-patrol", "gate 4")
    records.write_note(20, "begay", "park-rangers", "fire ban")
    assert [n["text"] for n in records.notes("border-patrol", 0, 100)] == ["gate 4"]
    assert [n["text"] for n in records.notes("", 0, 20)] == ["gate 4"]


# ── what they see ────────────────────────────────────────────────────────────────────────────────


def test_an_agency_sees_what_moves_in_its_areas_and_what_its_incidents_are_about() -> None:
    here = areas_of([("a", shapely.box(-111, 31, -110, 32)), ("a", shapely.box(-109, 31, -108, 32))])
    tracks = [["T1", 31.5, -110.5], ["T2", 31.5, -108.5], ["T3", 31.5, -109.5], ["T4", 40.0, -100.0]]
    beyond = Subjects(frozenset({"T4"}), frozenset())
    assert [(t[0], classed) for t, classed in tracks_for(here, "a", tracks, beyond)] == [
        ("T1", True),
        ("T2", True),
        ("T4", False),
    ]
    assert tracks_for(here, "b", tracks, Subjects()) == []
    assert tracks_for(here, "", tracks, Subjects()) == [(t, True) for t in tracks]


def test_an_agency_that_is_not_given_the_class_of_an_incident_does_not_read_it_off_the_map() -> None:
    records = [{"subjects": ["T1", "T2"], "withheld": ["class"]}, {"subjects": ["T2", "T3"]}]
    assert subjects_of(records) == Subjects(frozenset({"T1", "T2", "T3"}), frozenset({"T2", "T3"}))
    row = ["T1", 31.3, -110.6, 5.0, 5.0, 0.0, 1.0, 1.0, "person", 0.9, 0.8, ""]
    assert COLUMNS[CLASS : SHARE + 1] == ("class", "share")
    assert without_class(row) == [*row[:8], "other", 0.0, 0.8, ""]


def test_an_agreement_widens_what_both_its_sides_see() -> None:
    known = areas(load(CONFIGS))
    lat, lon = np.array([31.34]), np.array([-110.6])
    assert known.within("border-patrol", lat, lon).tolist() == [True]
    assert known.within("sheriff-cochise", lat, lon).tolist() == [False]


def test_the_scene_shows_every_sensor_with_what_it_has_in_view() -> None:
    c, world = load(CONFIGS), shipped_world()
    scene = scene_of(c, world)
    assert len(scene["sensors"]["features"]) == len(scene["cover"]["features"]) == len(c.sensors)
    for place, view in zip(scene["sensors"]["features"], scene["cover"]["features"], strict=True):
        area = shapely.geometry.shape(view["geometry"])
        assert shapely.distance(area, shapely.geometry.shape(place["geometry"])) < 0.02
        assert area.is_valid


def test_a_report_counts_what_was_raised_and_what_is_left() -> None:
    def alert(
        raised: str, status: str, acknowledged: str | None = None, resolution: str | None = None
    ) -> dict[str, object]:
        reason = {"kind": "crossing"}
        return {"raised": raised, "severity": "major", "reason": reason, "status": status} | {
            "acknowledged": acknowledged,
            "resolution": resolution,
        }

    found = [
        alert("2026-01-01T07:59:59.000000Z", "open"),
        alert("2026-01-01T08:00:00.000000Z", "acknowledged", "2026-01-01T08:00:30.000000Z"),
        alert("2026-01-01T09:00:00.000000Z", "resolved", "2026-01-01T09:00:10.000000Z", "animal"),
        alert("2026-01-01T16:00:00.000000Z", "open"),
    ]
    report = shift_report(found, [], "2026-01-01T08:00:00.000000Z", "2026-01-01T16:00:00.000000Z")
    assert (report["raised"], report["acknowledged"], report["acknowledged_after_s_median"]) == (2, 2, 20.0)
    assert (report["dispositions"], len(report["open"])) == ({"animal": 1}, 2)


# ── configuration and commands ───────────────────────────────────────────────────────────────────


def test_beyond_this_machine_it_needs_tls_and_accounts(tmp_path: Path) -> None:
    site = site_at(tmp_path)
    text = (site / "site.toml").read_text()
    (site / "site.toml").write_text(text + 'host = "0.0.0.0"\n')
    with pytest.raises(Mistakes) as wrong:
        load(site)
    said = [(m.field, m.wrong) for m in wrong.value.found]
    assert [field for field, _ in said] == ["host", "host"]
    assert any("without TLS" in words for _, words in said)
    assert any("without accounts" in words for _, words in said)


def test_accounts_are_added_by_command_and_a_wrong_one_leaves_nothing_behind(tmp_path: Path) -> None:
    site = site_at(tmp_path)
    made = in_process("accounts", "token", site, "dispatch", "--agency", "sheriff-cochise")
    assert made.returncode == 0, made.stderr
    accounts = Accounts(
        Account(Person(w.value.id, w.value.name, w.value.agency, w.value.role), w.value.password, w.value.token)
        for w in load(site).accounts
    )
    assert accounts.with_token(made.stdout.strip()) == Person("dispatch", "", "sheriff-cochise", "observer")
    kept = (site / "accounts.toml").read_text()
    assert (site / "accounts.toml").stat().st_mode & 0o077 == 0
    wrong = in_process("accounts", "token", site, "other", "--agency", "sherif-cochise")
    assert (wrong.returncode, "Did you mean 'sheriff-cochise'?" in wrong.stderr) == (2, True)
    assert (site / "accounts.toml").read_text() == kept


# ── the page ─────────────────────────────────────────────────────────────────────────────────────


def _light(colour: str) -> float:
    """Relative luminance (WCAG 2.2)."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize(("theme", "start"), [("dark", ":root {"), ("light", ':root[data-theme="light"] {')])
def test_words_stand_out_from_what_is_behind_them(theme: str, start: str) -> None:
    """Contrast of text as WCAG 2.2 (1.4.3) asks: 4.5 to 1."""
    css = (STATIC / "style.css").read_text()
    colours = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", css[css.index(start) : css.index("}", css.index(start))]))

    def ratio(a: str, b: str) -> float:
        low, high = sorted((_light(colours[a]), _light(colours[b])))
        return (high + 0.05) / (low + 0.05)

    words = ("text", "dim", "critical", "major", "minor", "information", "good")
    pairs = [*((w, behind) for w in words for behind in ("panel", "raised")), ("on-bright", "accent"), ("dim", "back")]
    poor = {pair: round(ratio(*pair), 2) for pair in pairs if ratio(*pair) < 4.5}
    assert poor == {}, theme


def test_what_is_bundled_stands_with_its_version_and_licence_and_asks_no_other_host() -> None:
    said = (STATIC / "vendor" / "README.md").read_text()
    for file in (STATIC / "vendor").iterdir():
        assert file.name == "README.md" or file.name in said
    ours = [p for p in STATIC.iterdir() if p.suffix in (".js", ".html", ".css")]
    assert len(ours) > 10
    for file in ours:
        assert re.findall(r"https?://(?!www\.w3\.org/2000/svg)", file.read_text()) == [], file.name
        assert not re.search(r"innerHTML|insertAdjacentHTML|document\.write|\beval\(", file.read_text()), file.name


def test_every_word_of_the_page_is_in_the_table() -> None:
    table = set(re.findall(r'^  "?([a-z_-]+)"?: \[', (STATIC / "text.js").read_text(), re.MULTILINE))
    used = set()
    for file in STATIC.iterdir():
        if file.suffix in (".js", ".html") and file.name != "text.js":
            text = file.read_text()
            used |= set(re.findall(r'\bt\("([a-z_-]+)"', text))
            used |= set(re.findall(r'data-(?:text|label|placeholder)="([a-z_-]+)"', text))
    assert used - table == set()


def page_texts() -> dict[str, list[str]]:
    """The page's texts: by key, one in each language."""
    source = (STATIC / "text.js").read_text()
    table = source[source.index("const TABLE = {") : source.index("\n};", source.index("const TABLE = {"))]
    rows = re.findall(r'^  (?:"([\w-]+)"|(\w+)): (\[.*\]),$', table, re.MULTILINE)
    texts = {quoted or plain: json.loads(row) for quoted, plain, row in rows}
    assert len(texts) == len(rows), "a key stands twice in the table"
    return texts


def test_the_page_has_a_text_in_each_language_for_whatever_the_service_may_name() -> None:
    statuses = ("open", "acknowledged", "assigned", "cleared", "resolved", "merged")
    names = {
        "": (*ROLES, *EventKind, *SEVERITIES, *CLASSES, *DISPOSITIONS, *statuses, *get_args(Doing)),
        "why_": tuple(Why),
        "by_": (*REASONS, *OF_ANOTHER),
        "by_field_": FIELDS,
        "stance_": tuple(s for s in Stance if s),
        "rejected_": tuple(Reason),
        "sensor_": tuple(SensorCondition),
        "service_": tuple(ServiceCondition),
        "fault_": tuple(FaultKind),
        "withheld_": get_args(get_args(Agreement.model_fields["withheld"].annotation)[0]),
    }
    texts = page_texts()
    wanted = {prefix + str(name) for prefix, group in names.items() for name in group}
    assert wanted - texts.keys() == set()
    assert {key: row for key, row in texts.items() if len(row) != 2 or not all(row)} == {}


def sentence(node: ast.expr) -> str | None:
    """A text of the source as the page's table has it: what is put in stands as {0}, {1}."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if not isinstance(node, ast.JoinedStr):
        return None
    holes = iter(range(10))
    return "".join(str(p.value) if isinstance(p, ast.Constant) else f"{{{next(holes)}}}" for p in node.values)


def refusals(path: Path) -> set[str]:
    """The sentences with which this file says that something cannot be done."""
    found: set[str | None] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            if node.func.id in ("HTTPException", "Refusal"):
                found |= {sentence(argument) for argument in node.args}
            elif node.func.id == "Done":
                found |= {sentence(k.value) for k in node.keywords if k.arg == "answer"}
        elif isinstance(node, ast.FunctionDef) and node.name == "refusal":
            found |= {sentence(n.value) for n in ast.walk(node) if isinstance(n, ast.Return) and n.value is not None}
    return {text for text in found if text}


def test_the_page_has_each_sentence_of_refusal_in_every_language() -> None:
    source = (STATIC / "text.js").read_text()
    table = source[source.index("const ANSWERS = [") : source.index("\n];")]
    rows = dict(map(json.loads, re.findall(r"^  (\[.*\]),$", table, re.MULTILINE)))
    root = STATIC.parent.parent
    said = set().union(*(refusals(root / path) for path in ("console/api.py", "console/guard.py", "alerts/people.py")))
    said |= refusals(root / "alerts/standing.py") | {str(s) for s in Standing}
    assert len(said) > 30
    assert said - rows.keys() == set()
    holes = {
        english: (set(re.findall(r"{\d}", english)), set(re.findall(r"{\d}", spanish)))
        for english, spanish in rows.items()
    }
    assert {english: both for english, both in holes.items() if both[0] != both[1]} == {}
