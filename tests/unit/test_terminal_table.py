"""Tables of every command on narrow terminals: nothing is cut, and what has no room is named."""

import ast
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from history.tables import SCHEMAS
from runtime.commands import alerts, rules
from runtime.history_text import show_history
from runtime.status_text import show_status
from runtime.terminal_table import FRAME, Column, columns_kept, print_table, widths_in
from runtime.watch import ALERT_COLUMNS

RUNTIME = Path(__file__).parents[2] / "runtime"
WORDS = "Somebody crossed the border line inbound, and went on towards the pumping station."
KEY, TIME = "A0K3HJ5M2PQ8", "2026-11-25T14:00:00.123456Z"
SENSOR = "plate-reader-north-17"


def with_values(columns: tuple[Column, ...]) -> Callable[[], None]:
    return lambda: print_table(columns, [[WORDS if c.words else KEY for c in columns]] * 2)


def history(kind: str) -> Callable[[], None]:
    schema = SCHEMAS[kind]
    value = {pa.int64(): 1_795_000_000_123_456_000, pa.float64(): 0.123456789, pa.string(): KEY}
    rows = pa.table({name: [value[schema.field(name).type]] for name in schema.names}, schema=schema)
    return lambda: show_history(rows)


def status() -> None:
    show_status(
        {
            "what": "The service runs.",
            "down": [],
            "service": {"behind_s": 0.1},
            "deliveries": {"waiting": 0},
            "processes": [
                {
                    "configuration": None,
                    "parts": [{"name": "channel border-patrol-mqtt", "since": TIME, "starts": 3, "error": WORDS}],
                }
            ],
            "rejections": [
                {
                    "reason": "unknown_sensor", "count": 1, "topic": "frigate/events", "sensor": "cam-01",
                    "last_ns": 1, "detail": WORDS,
                }
            ],
            "sensors": [
                {
                    "sensor": SENSOR, "condition": "never_heard", "heard": TIME,
                    "messages": 1_234_567, "rejected": 0, "battery": 0.5,
                }
            ],
            "faults": [
                {"kind": "outbox_damaged", "about": "deliveries", "count": 2, "last_ns": 1, "waiting": True, "detail": WORDS}
            ],
        }
    )  # fmt: skip


TABLES: dict[str, Callable[[], None]] = {
    "alerts list": with_values(ALERT_COLUMNS),
    "alerts withheld": with_values(alerts.WITHHELD),
    "alerts nuisance": with_values(alerts.NUISANCE),
    "alerts dead": with_values(alerts.DEAD),
    "alerts silences": with_values(alerts.SILENCES),
    "rules list": with_values(rules.COLUMNS),
    "score": with_values((Column("figure", words=True), Column("value"))),
    "status": status,
    **{f"history {kind}": history(kind) for kind in SCHEMAS},
}


def test_every_table_is_made_here() -> None:
    """A command with a table of its own belongs into TABLES."""
    makers = set()
    for path in RUNTIME.rglob("*.py"):
        tree = ast.parse(path.read_text())
        if any(isinstance(n, ast.ImportFrom) and n.module == "rich.table" for n in ast.walk(tree)):
            makers.add(path.name)
    assert makers == {"terminal_table.py"}


@pytest.mark.parametrize("width", [80, 60])
@pytest.mark.parametrize("command", TABLES)
def test_a_table_fits_and_keeps_its_keys_whole(
    command: str, width: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    TABLES[command]()
    out, err = capsys.readouterr()
    assert max(map(len, out.splitlines())) <= width
    assert "…" not in out
    if command != "status":
        assert KEY in out or command == "score"
    else:
        assert SENSOR in out
        assert "channel border-patrol-mqtt" in out
    assert (f"since {width} columns have no room for it" in err) == (err != "")


@pytest.mark.parametrize("width", [80, 60])
def test_a_silence_is_shown_with_its_reason_and_what_it_matches(
    width: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    silence = {"silence": "SCWAYVW922NPMQ", "by": "ana", "reason": "ranch hands", "agency": "", "until": TIME}
    alerts._print([silence | {"matchers": {"zone": "stock-tank", "class": "person"}}], alerts.SILENCES, False, "")
    out = capsys.readouterr().out
    for words in ("SCWAYVW922NPMQ", "ranch", "hands", "zone=stock-tank", "class=person", "2026-11-25", "14:00:00Z"):
        assert words in out


def test_into_a_file_a_table_is_as_wide_as_it_has_to_be(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    for show in TABLES.values():
        show()
    out, err = capsys.readouterr()
    assert WORDS in out
    assert err == ""


def test_what_a_table_shows_is_no_markup(capsys: pytest.CaptureFixture[str]) -> None:
    print_table((Column("why"),), [["[bold]not[/bold] [/]"]])
    assert "[bold]not[/bold] [/]" in capsys.readouterr().out


def test_the_least_wanted_columns_leave_first() -> None:
    columns = (Column("key"), Column("a", 2), Column("b", 1), Column("words", words=True))
    least = [10, 10, 10, 18]
    assert columns_kept(columns, least, 61) == [0, 1, 2, 3]
    assert columns_kept(columns, least, 60) == [0, 1, 3]
    assert columns_kept(columns, least, 47) == [0, 3]
    assert columns_kept(columns, least, 10) == [0, 3]


@given(st.lists(st.tuples(*[st.integers(1, 100)] * 3), min_size=1, max_size=12), st.data())
def test_the_widths_always_fit_where_a_character_a_column_does(
    needs: list[tuple[int, ...]], data: st.DataObject
) -> None:
    tight, least, natural = map(list, zip(*map(sorted, needs), strict=True))
    width = data.draw(st.integers(4 * len(needs) + 1, 300))
    widths = widths_in(natural, least, tight, width)
    frame = FRAME * len(widths) + 1
    assert sum(widths) + frame <= width
    assert all(1 <= w <= n for n, w in zip(natural, widths, strict=True))
    for needed in (least, tight):
        if sum(needed) + frame <= width:
            assert all(w >= m for m, w in zip(needed, widths, strict=True))
            break
