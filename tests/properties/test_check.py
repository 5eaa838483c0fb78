"""Any value in any file of a site, changed to anything: mistakes or none, and never an exception that is not a sentence."""

import json
import random
import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runtime.checking import findings
from tests.site import CONFIGS

FILES = [
    "site.toml",
    "rules.toml",
    "agencies.toml",
    "sensors/native.toml",
    "sensors/plate-readers.toml",
    "sensors/ground.csv",
    "zones.geojson",
    "border.geojson",
    "jurisdictions.geojson",
    "exercises/demo.toml",
]
SCALARS = [
    "true", "false", "0", "1", "-1", "0.0", "-0.5", "1e300", "-1e300", "nan", "inf", "9" * 40, "2.5", "1e9", "360.0", "90",
    '""', '" "', '"400 m"', '"31,5"', '"é\\u2028"', '"a\\u0000b"', '"+/#"', '"../../etc/passwd"', '"' + "x" * 300 + '"', '"*"',
    '"border"', '"trail-west"', '"border-patrol"', '"cam-01"', '"frigate"', '"native"', '"²²:²²"', "[]", "[1]", '["x"]', "{}",
    "{ a = 1 }", "[[]]", "2026-11-20", "20:00:00", "2026-11-20T04:00:00Z",
]  # fmt: skip
VALUES = [None, True, -1, 1e300, 10**400, "x", "", [], {}, [[1, 2]], {"type": "Point"}, 179.9, 89.9]
# Words of libraries that no technician should read.
RAW = (
    "Traceback",
    "Exception",
    "Input should",
    "Expected",
    "at line",
    "GEOS",
    "ValueError",
    "Errno",
    "pydantic",
    "^[a-z",
    "NoneType",
)


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    site = tmp_path_factory.mktemp("pristine") / "site"
    shutil.copytree(CONFIGS, site, ignore=shutil.ignore_patterns("state"))
    return site


def toml_edited(text: str, chance: random.Random) -> str:
    """A value of a TOML text replaced by another, or a line moved, doubled or cut."""
    lines = text.split("\n")
    fields = [n for n, line in enumerate(lines) if "=" in line and not line.startswith("#")]
    n = chance.choice(fields)
    name = lines[n].partition("=")[0].strip()
    match chance.randrange(8):
        case 0:
            del lines[n]
        case 1:
            lines.insert(n, lines[chance.choice(fields)])
        case 2:
            lines[n] = lines[n][: chance.randrange(len(lines[n]) + 1)]
        case _:
            lines[n] = f"{name} = {chance.choice(SCALARS)}"
    return "\n".join(lines)


def csv_edited(text: str, chance: random.Random) -> str:
    rows = [line.split(",") for line in text.strip().split("\n")]
    row = chance.choice(rows)
    row[chance.randrange(len(row))] = chance.choice(SCALARS)
    return "\n".join(",".join(r) for r in rows)


def json_edited(text: str, chance: random.Random) -> str:
    """One value somewhere in a GeoJSON text replaced."""
    root = json.loads(text)
    at: Any = root
    while True:
        keys = list(at) if isinstance(at, dict) else list(range(len(at)))
        key = chance.choice(keys)
        inner = at[key]
        if not isinstance(inner, dict | list) or not inner or chance.random() < 0.2:
            break
        at = inner
    if chance.random() < 0.2:
        del at[key]
    else:
        at[key] = chance.choice(
            [None, True, -1, 1e300, 10**400, "x", "", [], {}, [[1, 2]], {"type": "Point"}, inner, 179.9, 89.9]
        )
    return json.dumps(root)


EDITORS = {".toml": toml_edited, ".csv": csv_edited, ".geojson": json_edited}


@given(seed=st.integers(0, 2**32), edits=st.integers(1, 3))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_edit_of_a_site_folder_is_a_traceback(pristine: Path, seed: int, edits: int) -> None:
    chance = random.Random(seed)
    before: dict[Path, str] = {}
    try:
        for _ in range(edits):
            path = pristine / chance.choice(FILES)
            before.setdefault(path, path.read_text())
            try:
                path.write_text(EDITORS[path.suffix](path.read_text(), chance))
            except (json.JSONDecodeError, IndexError, TypeError):
                continue  # an edit of what an edit before it has broken
        found = findings(pristine)
    finally:
        for path, text in before.items():
            path.write_text(text)
    for mistake in found.mistakes:
        assert mistake.file, mistake
        assert mistake.wrong.endswith("."), mistake
        assert not any(raw in mistake.wrong + mistake.mend for raw in RAW), mistake
    if not found.mistakes:
        assert found.configuration is not None
