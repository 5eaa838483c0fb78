"""Commands as people type them: the example of each one's help, narrow terminals, wrong names, the forms of before."""

import io
import re
import shlex
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import typer

from model.time import NS
from runtime import cli
from runtime.commands import alerts
from runtime.time_span import local_minute
from tests.shell.conftest import Past

ZONE = "America/Phoenix"
LASTING = {"run", "demo", "alerts watch"}  # they go on until they are ended
NEED_A_SERVICE = {"alerts unsilence"}  # a silence comes into being in a running service only


@dataclass(frozen=True)
class Done:
    code: int
    out: str
    err: str


Run = Callable[..., Done]


def copied(past: Past, folder: Path) -> Path:
    """A folder to type commands in: a site, as `configs`, that has a past."""
    shutil.copytree(past.site, folder / "configs")
    exercise = folder / "configs" / "exercises" / "demo.toml"
    exercise.write_text(re.sub(r"duration_s = [\d_.]+", "duration_s = 10", exercise.read_text()))
    return folder


@pytest.fixture(scope="module")
def shared(past: Past, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copied(past, tmp_path_factory.mktemp("shared"))


@pytest.fixture
def desk(past: Past, shared: Path, monkeypatch: pytest.MonkeyPatch) -> Past:
    """For commands that change nothing but the log of actions."""
    monkeypatch.chdir(shared)
    return past


@pytest.fixture
def own(past: Past, tmp_path: Path, run: "Run", monkeypatch: pytest.MonkeyPatch) -> Past:
    """A folder of the test's own, to change files in."""
    monkeypatch.chdir(copied(past, tmp_path))
    return past


@pytest.fixture
def run(desk: Past, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """`marchwarden …`, without a process of its own, and without waiting for a service that does not run."""
    monkeypatch.setattr(alerts, "DONE_WAIT_S", 0.0)
    monkeypatch.setattr(cli, "app", COMMAND)

    def running(line: str, typed: str = "") -> Done:
        monkeypatch.setattr("sys.stdin", io.StringIO(typed))
        monkeypatch.setattr("sys.argv", ["marchwarden", *shlex.split(line)])
        code = 0
        try:
            cli.main()
        except SystemExit as ended:
            code = int(ended.code or 0)
        return Done(code, *capsys.readouterr())

    return running


def commands(command: object, words: str = "") -> Iterator[tuple[str, str]]:
    """(name, example) of every command."""
    if hasattr(command, "commands"):
        for name, inner in command.commands.items():
            yield from commands(inner, f"{words} {name}".strip())
    else:
        yield words, str(getattr(command, "epilog", "") or "")


COMMAND = typer.main.get_command(cli.app)
EXAMPLES = dict(commands(COMMAND))


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_help_of_every_command_ends_with_an_example_of_one_line(name: str) -> None:
    assert EXAMPLES[name].startswith(f"Example: marchwarden {name}")
    assert "\n" not in EXAMPLES[name]


def test_the_examples_of_help_work(run: Run, own: Past) -> None:
    stands_for = {
        "A0K3": own.alerts[0],
        "A7PQ": own.alerts[-1],
        "T0123456789ABC": own.subjects[0],
        "/mnt/elsewhere/audit.anchors": "anchors",
    }
    Path("anchors").write_text("")
    site, password = Path("configs/site.toml"), Path("configs/password")
    site.write_text(
        site.read_text().replace("[mqtt]", '[mqtt]\nusername = "us"\npassword_file = "password"')
    )  # for acl
    password.write_text("secret")
    password.chmod(0o600)
    names = [n for n in EXAMPLES if n not in LASTING | NEED_A_SERVICE]
    for name in sorted(names, key=lambda n: (n != "simulate", n != "replay")):
        line = EXAMPLES[name].removeprefix("Example: marchwarden ").partition(" >")[0]
        for written, real in stands_for.items():
            line = line.replace(written, real)
        done = run(line, "a long enough password\n")
        assert done.code == (1 if name == "status" else 0), (line, done)
        assert "Traceback" not in done.err
        assert "comes first now" not in done.err


# ── times and names ──────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("history configs detections --sensor cam-1", "'cam-1' is no sensor, nor has the history anything of one. Did you mean 'cam-01'?"),
        ("history configs tracks --sensor radar-wst", "Did you mean 'radar-west'?"),
        ("history configs track", "'track' is no table of the history. Did you mean 'tracks'?"),
        ("history configs tracks --track 17", "'17' is no track's name"),
        ("history configs tracks --track T!!!!!!!!!!!!!", "is no track's name"),
        ("history configs detections --track T0123456789ABC", "detections belong to no track; ask for its tracks or reasons."),
        ("history configs reasons --box 31.3,-110.7,31.4,-110.5", "reasons have no place of their own"),
        ("history configs tracks --box 31.4,-110.7,31.3,-110.5", "the south, 31.4, is not below the north, 31.3."),
        ("history configs tracks --box 31.3,-110.5,31.4,-110.7", "the west, -110.5, is not below the east, -110.7."),
        ("history configs tracks --box=-110.7,31.3,-110.5,31.4", "latitude -110.7 is beyond 90: latitude and longitude look exchanged."),
        ("history configs tracks --box 31.3,-110.7", "--box takes four numbers, south,west,north,east in degrees"),
        ("history configs tracks --box nan,1,2,3", "--box takes four numbers"),
        ("history configs tracks --from 2026-11-21 --to 2026-11-20", "is not after the beginning, 2026-11-21 00:00 (America/Phoenix)"),
        ("history configs tracks --from 21.11.2026", "'21.11.2026' is no time. Write a date such as 2026-11-25"),
        ("rules try configs lingering --from 2026-11-21 --to 2026-11-20", "is not after the beginning"),
        ("rules try configs lingerin", "Did you mean 'lingering'?"),
        ("alerts dead configs --channel border-patrol-mqt", "'border-patrol-mqt' is no channel. Did you mean 'border-patrol-mqtt'?"),
        ("alerts accept configs A --for border-patrl", "'border-patrl' is no agency. Did you mean 'border-patrol'?"),
        ("alerts share configs A --to park-ranger", "'park-ranger' is no agency. Did you mean 'park-rangers'?"),
        ("alerts hand-over configs A --to park-ranger", "'park-ranger' is no agency."),
        ("alerts resolve configs A --as animals", "'animals' is no disposition. Did you mean 'animal'?"),
        ("alerts show configs NOSUCH", "No alert begins with 'NOSUCH'."),
        ("alerts silence configs zone=stocktank --reason x", "'stocktank' is no zone or line. Did you mean 'stock-tank'?"),
        ("alerts silence configs rule=lines-* --reason x", "'lines-*' is no rule."),
        ("alerts silence configs kind=crosing --reason x", "Did you mean 'crossing'?"),
        ("alerts silence configs severity=high --reason x", "'high' is no severity. There is 'information', 'minor', 'major', 'critical'."),
        ("alerts silence configs sensor=cam-1,cam-02 --reason x", "'cam-1' is no sensor. Did you mean 'cam-01'?"),
        ("alerts silence configs class=persn --reason x", "Did you mean 'person'?"),
        ("alerts silence configs agency=sherif --reason x", "'sherif' is no agency."),
        ("alerts silence configs zones=stock-tank --reason x", "'zones' is no field of an alert. Did you mean 'zone'?"),
        ("alerts silence configs zone=stock-tank zone=border --reason x", "zone stands twice; write zone=stock-tank,border for either."),
        ("alerts silence configs stock-tank --reason x", "'stock-tank' is no field=value"),
        ("simulate configs dmo --out x.ndjson", "'dmo' is no exercise in configs/exercises. Did you mean 'demo'?"),
    ],
)  # fmt: skip
def test_what_is_not_there_is_said_with_the_nearest_that_is(run: Run, line: str, expected: str) -> None:
    done = run(line)
    assert (done.code, done.out) == (2, "")
    assert expected in done.err


def test_an_empty_answer_says_for_which_time(run: Run) -> None:
    done = run("history configs tracks --from 2020-02-01 --to 2020-02-01")
    assert (done.code, done.out) == (0, "")
    assert "No tracks from 2020-02-01 00:00 to 2020-02-02 00:00 (America/Phoenix) that fit." in done.err


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("alerts dead configs", "No dead letters.\n"),
        ("alerts silences configs", "No silence is in force.\n"),
        ("alerts nuisance configs", "No alert has been resolved yet.\n"),
    ],
)
def test_a_table_without_rows_is_a_sentence(run: Run, line: str, expected: str) -> None:
    assert run(line) == Done(0, "", expected)


@pytest.mark.usefixtures("own")
def test_what_a_sensor_of_before_has_seen_is_found_though_it_is_no_longer_registered(run: Run) -> None:
    native = Path("configs/sensors/native.toml")
    native.write_text(native.read_text().replace('id = "radar-west"', 'id = "radar-new"'))
    shutil.rmtree("configs/state/configuration")
    done = run("history configs detections --sensor radar-west --csv")
    assert done.code == 0
    assert "radar-west" in done.out


def test_times_are_of_the_sites_zone(run: Run, desk: Past) -> None:
    beginning = local_minute(desk.start_ns, ZONE)
    for asked in (f"--from '{beginning}'", f"--from {beginning[:10]}", "--from 1h", "--from '90 min' --to 1s"):
        assert len(run(f"history configs tracks {asked} --csv").out.splitlines()) > 100
    before = local_minute(desk.start_ns - 60 * NS, ZONE)
    assert run(f"history configs tracks --to '{before}' --csv").out.count("\n") == 1


@pytest.mark.parametrize("width", [80, 60])
@pytest.mark.parametrize(
    "line",
    ["history configs alerts", "history configs tracks", "history configs reasons", "history configs detections", "alerts list configs", "rules list configs", "status configs"],
)  # fmt: skip
def test_no_line_is_longer_than_the_terminal_and_none_is_cut(
    run: Run, desk: Past, line: str, width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    done = run(line)
    assert max(map(len, done.out.splitlines())) <= width
    assert "…" not in done.out
    if "alerts" in line:
        assert all(key in done.out for key in desk.alerts)


# ── the site comes first ─────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("alerts show KEY --site configs --reason x", "alerts show configs KEY --reason x"),
        ("alerts show --site=configs KEY", "alerts show configs KEY"),
        ("alerts show KEY", "alerts show configs KEY"),
        ("alerts ack KEY --by ana", "alerts ack configs KEY --by ana"),
        ("alerts note KEY 'two adults' --site configs", "alerts note configs KEY 'two adults'"),
        ("alerts note KEY 'two adults'", "alerts note configs KEY 'two adults'"),
        ("alerts silence zone=stock-tank class=person --reason x", "alerts silence configs zone=stock-tank class=person --reason x"),
        ("rules try lingering --from 1h", "rules try configs lingering --from 1h"),
    ],
)  # fmt: skip
def test_the_form_of_before_works_and_is_answered_with_the_new(run: Run, desk: Past, old: str, new: str) -> None:
    key = desk.alerts[0]
    done = run(old.replace("KEY", key))
    assert done.code == 0, done.err
    assert f"The site folder comes first now: marchwarden {new.replace('KEY', key)}\n" in done.err
    again = run(new.replace("KEY", key))
    assert (again.code, again.out, "comes first" in again.err) == (0, done.out, False)


def test_a_site_that_is_mistyped_is_not_taken_for_a_key(run: Run, desk: Past) -> None:
    done = run(f"alerts show config {desk.alerts[0]}")
    assert (done.code, done.err) == (2, "config: has no site.toml. Name a folder that holds one, such as 'configs'.\n")


# ── while the folder has a mistake ───────────────────────────────────────────────────────────────


@pytest.mark.usefixtures("own")
def test_rules_are_listed_as_they_are_in_use(run: Run) -> None:
    assert "This is what is in use" not in run("rules list configs").err
    rules = Path("configs/rules.toml")
    rules.write_text(rules.read_text().replace('id = "lingering"', 'id = "loitering"'))
    changed = run("rules list configs")
    assert ("lingering" in changed.out, "loitering" in changed.out) == (True, False)
    assert "This is what is in use. The folder holds changes that are not in use" in changed.err
    rules.write_text("[[rule]\n")
    broken = run("rules list configs")
    assert (broken.code, broken.out) == (0, changed.out)
    assert "This is what is in use. The folder has 1 mistake (`marchwarden check configs`).\n" in broken.err


@pytest.mark.usefixtures("own")
def test_a_rule_is_tried_as_the_folder_has_it_whatever_is_wrong_with_the_other_files(run: Run) -> None:
    rules, zones = Path("configs/rules.toml"), Path("configs/zones.geojson")
    rules.write_text(rules.read_text().replace('id = "lingering"', 'id = "loitering"'))
    assert run("rules try configs loitering --from 1h").code == 0
    zones.write_text("{")
    tried = run("rules try configs loitering --from 1h")
    assert tried.code == 0
    assert (
        "The folder has 1 mistake (`marchwarden check configs`). The rule is tried as it stands in rules.toml"
        in tried.err
    )
    rules.write_text(rules.read_text().replace("dwell_s = 15.0", "dwell_s = -1"))
    refused = run("rules try configs loitering --from 1h")
    assert refused.code == 2
    assert "dwell_s: -1 is out of range" in refused.err
