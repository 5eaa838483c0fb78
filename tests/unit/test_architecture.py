"""The rooms and who may know whom, as design and docs/architecture.md lay down. One table, one walk."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
OURS = {"model", "geo", "sensors", "fusion", "alerts", "history", "console", "runtime"}

# What each room may import of ours.
MAY_IMPORT = {
    "model": {"model"},
    "geo": {"geo", "model"},
    "sensors": {"sensors", "geo", "model"},
    "fusion": {"fusion", "geo", "model"},
    "alerts": {"alerts", "geo", "model"},
    "history": {"history", "model"},
    "console": {"console", "alerts", "history", "model"},
    "runtime": OURS,
}

# The shell: files that touch sockets, files, clocks or chance. Every other file of these rooms is pure.
SHELL = {
    "sensors/ingest.py",
    "sensors/journal.py",
    "sensors/keys.py",
    "sensors/reducer.py",
    "sensors/reducer_process.py",
    "sensors/vault.py",
    "sensors/aside.py",
    "sensors/tak.py",
    "alerts/outbox.py",
    "alerts/outbox_tables.py",
    "alerts/outbox_salvage.py",
    "alerts/delivery.py",
    "alerts/channels/broker.py",
    "alerts/channels/email.py",
    "alerts/channels/http.py",
    "alerts/channels/tak.py",
    "alerts/audit.py",
}
PURE_ROOMS = {"model", "geo", "sensors", "fusion", "alerts"}
ALSO_PURE = {
    "console/metrics.py",
    "console/report.py",
    "console/scope.py",
    "runtime/advance.py",
    "runtime/inbox.py",
    "runtime/picture.py",
    "runtime/recovery.py",
    "runtime/scene.py",
    "runtime/snapshot.py",
    "runtime/steps.py",
}
IMPURE = {
    "asyncio",
    "paho",
    "sqlite3",
    "logging",
    "time",
    "random",
    "socket",
    "threading",
    "subprocess",
    "secrets",
    "os",
    "http",
    "urllib",
    "requests",
    "uuid",
}


def files() -> list[str]:
    return sorted(str(path.relative_to(ROOT)) for room in MAY_IMPORT for path in (ROOT / room).rglob("*.py"))


def imports(file: str) -> set[str]:
    """Top-level names of all modules that a file imports, wherever in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse((ROOT / file).read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file} has a relative import: write the room's name."
            found.add((node.module or "").split(".")[0])
    return found


@pytest.mark.parametrize("file", files())
def test_a_room_knows_only_the_rooms_below_it(file: str) -> None:
    room = file.split("/", maxsplit=1)[0]
    assert imports(file) & OURS <= MAY_IMPORT[room]


@pytest.mark.parametrize(
    "file", [f for f in files() if f.split("/")[0] in PURE_ROOMS and f not in SHELL] + sorted(ALSO_PURE)
)
def test_a_pure_file_touches_no_socket_file_clock_or_chance(file: str) -> None:
    assert not imports(file) & IMPURE


def test_model_needs_numpy_and_nothing_else_from_outside() -> None:
    allowed = {
        "numpy",
        "dataclasses",
        "enum",
        "typing",
        "datetime",
        "re",
        "functools",
        "hashlib",
        "collections",
        "__future__",
        "model",
    }
    for file in files():
        if file.startswith("model/"):
            assert imports(file) <= allowed, file


def test_every_file_of_the_shell_that_is_named_exists() -> None:
    assert not [file for file in SHELL | ALSO_PURE if not (ROOT / file).exists()]


def test_every_file_says_what_belongs_there() -> None:
    assert not [file for file in files() if not ast.get_docstring(ast.parse((ROOT / file).read_text()))]
