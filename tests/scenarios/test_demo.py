"""The shipped exercise through the whole pipeline: the same bytes however it is cut, and the alerts that it should raise.

`UPDATE_EXPECT=1 pytest tests/scenarios` writes the expected text again; look at the difference before you commit it.
"""

import os
from pathlib import Path

from tests.site import marchwarden, site_at

EXPECTED = Path(__file__).parent / "demo-alerts.txt"


def outputs(folder: Path, site: Path, name: str, *more: str) -> bytes:
    files = [folder / f"{name}-{kind}.ndjson" for kind in ("tracks", "alerts", "deliveries")]
    options = [
        x for flag, file in zip(("--tracks", "--alerts", "--deliveries"), files, strict=True) for x in (flag, file)
    ]
    done = marchwarden("replay", site, folder / "messages.ndjson", *options, *more)
    assert done.returncode == 0, done.stderr
    assert "rejected" not in done.stderr
    return b"".join(file.read_bytes() for file in files)


def test_a_replay_gives_the_same_bytes_again_and_in_other_chunks_and_the_alerts_expected(tmp_path: Path) -> None:
    site = site_at(tmp_path)
    simulated = marchwarden(
        "simulate", site, "demo", "--out", tmp_path / "messages.ndjson", "--truth", tmp_path / "truth.ndjson"
    )
    assert simulated.returncode == 0, simulated.stderr
    first = outputs(tmp_path, site, "a")
    assert outputs(tmp_path, site, "b") == first
    assert outputs(tmp_path, site, "c", "--chunk", "7") == first
    said = marchwarden("score", tmp_path / "a-tracks.ndjson", tmp_path / "truth.ndjson", "--json")
    assert said.returncode == 0, said.stderr
    text = _readable((tmp_path / "a-alerts.ndjson").read_text())
    if os.environ.get("UPDATE_EXPECT"):
        EXPECTED.write_text(text)
    assert text == EXPECTED.read_text()


def _readable(alerts: str) -> str:
    import json

    lines = []
    for record in map(json.loads, alerts.splitlines()):
        what = record["text"].partition(" at ")[0]
        lines.append(f"{record['told'][11:19]} {record['severity']:<8} {record['alert']} {record['revision']} {what}")
    return "\n".join(lines) + "\n"
