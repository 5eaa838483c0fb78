"""Every command and every query that README.md and docs/*.md show, run as it stands there, on a site with a past.

What a reader puts in for himself (a site, a key, a file) is in one table, and what is not run here in another, with the reason.
"""

import os
import re
import shlex
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import chdir
from dataclasses import dataclass
from pathlib import Path

import duckdb
import numpy as np
import pytest

from alerts.outbox import Outbox
from history.embedded import EmbeddedStore
from model.messages import Messages
from model.time import MS, NS
from runtime.configuration import load
from runtime.pipeline import Pipeline
from runtime.places import Places, exercise_key
from runtime.simulator.exercise import read_exercise
from runtime.simulator.seeing import simulated
from runtime.world import world_of
from sensors.journal import Writer
from tests.site import LOOK_S, MARCHWARDEN, in_process, site_at, until

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
PROGRAMS = (
    "marchwarden",
    "make",
    "cp",
    "python",
    "openssl",
    "systemctl",
    "kill",
    "curl",
    "diff",
    "sudo",
    "mosquitto_sub",
)
# A command begins so in a block of code; two spaces or more, or a hash, begin the words beside it.
COMMAND = re.compile(rf"^    ((?:{'|'.join(PROGRAMS)}) .*?)(?: {{2,}}.*| +#.*)?$", re.MULTILINE)
QUERY = re.compile(r"^    (SELECT .*)$", re.MULTILINE)
NOT_RUN = {
    "make demo": "tests/shell/test_live.py runs the demonstration",
    "make test": "it would run this",
    "marchwarden run mysite": "tests/shell/test_live.py runs the service",
    "systemctl reload mosquitto": "a server of this machine",
    "python -m benchmarks.alerting": "a benchmark",
}
ENDLESS = "marchwarden alerts watch"
PAST_S = 60  # of the demonstration
PEOPLES = (
    "accept",
    "decline",
    "hand-over",
    "share",
    "merge",
    "split",
)  # the service may refuse these, for a reason of its own
PASSWORD = "correct horse battery\n"
RULE = """
[[rule]]
id = "new-rule"
kind = "entering"
zones = ["stock-tank"]
severity = "minor"
"""


@dataclass(frozen=True)
class Shown:
    """A command or query, and where it is written."""

    text: str
    where: str


def shown(pattern: re.Pattern[str]) -> list[Shown]:
    found = []
    for page in PAGES:
        text = page.read_text()
        for match in pattern.finditer(text):
            line = text.count("\n", 0, match.start()) + 1
            found.append(Shown(match[1].strip(), f"{page.relative_to(ROOT)}:{line}"))
    return found


# ── a site with a past, whose pipeline goes on ───────────────────────────────────────────────────


class Pipelined(threading.Thread):
    """A minute of the demonstration goes through the site's pipeline, which then does what people ask of it: the service in a
    thread (all of its databases belong to that), without a broker."""

    def __init__(self, site: Path) -> None:
        super().__init__()
        self._site, self._ending, self.ready = site, threading.Event(), threading.Event()

    def run(self) -> None:
        c = load(self._site)
        pipeline, clock_ns = Pipeline(c, lambda _: None), time.time_ns() // NS * NS - 300 * NS
        exercise = read_exercise(self._site / "exercises" / "demo.toml").model_copy(update={"duration_s": PAST_S})
        messages, _ = simulated(world_of(c, exercise_key(c)), exercise, clock_ns)
        places = Places(c.state)
        pipeline.turn()  # what is to be done once an hour is done at a service's start, and not with this past in it
        with Writer(places.journal, places.journal_keys()) as journal:
            for start in range(0, len(messages), 500):
                journal.append(messages.between(start, min(start + 500, len(messages))))
            clock_ns += (PAST_S + 1) * NS
            journal.tick(clock_ns)
            journal.sync()
            while pipeline.turn():
                pass
            self.ready.set()
            while not self._ending.wait(LOOK_S):
                clock_ns = self._go_on(pipeline, journal, clock_ns)
        pipeline.close()

    def _go_on(self, pipeline: Pipeline, journal: Writer, clock_ns: int) -> int:
        """A tenth of a second more, however long it took: what was open stays open."""
        for id, topic, payload in pipeline.outbox.waiting_actions():
            clock_ns += MS
            journal.append(Messages(np.array([clock_ns]), (topic,), (payload,), np.zeros(1, np.bool_)))
            journal.sync()
            pipeline.outbox.actions_taken([id])
        clock_ns += 100 * MS
        journal.tick(clock_ns)
        journal.sync()
        pipeline.turn()
        return clock_ns

    def end(self) -> None:
        self._ending.set()
        self.join()


@dataclass(frozen=True)
class Reader:
    """Somebody who works in a folder with the site in it, and types what the documents show."""

    folder: Path
    outbox: Outbox

    def placeholders(self) -> dict[str, Callable[[], str]]:
        """What a reader puts in for what the documents write."""
        return {
            "A0K3": lambda: self._open_alerts()[0],
            "A7PQ": lambda: self._open_alerts()[1],
            "S0K3": self._silence,
            "T0123456789ABC": self._track,
            "T402F28SJB5CW5": self._track,
            "long-night": lambda: "minute",  # a minute instead of a night
            " messages.ndjson": lambda: " m.ndjson",
            "acl SITE": lambda: "acl named",  # the page says before it that the site needs a user name
            "SITE": lambda: "configs",
            "/etc/mosquitto/": lambda: "./",
            "/mnt/elsewhere/": lambda: "./",
            "cp -r configs mysite": lambda: "cp -r fresh mysite",
            " && marchwarden run mysite": lambda: "",
            "watch mysite": lambda: "watch configs",
        }

    def typed(self, text: str) -> str:
        for written, value in self.placeholders().items():
            if written in text:
                text = text.replace(written, value())
        return text

    def run(self, text: str) -> tuple[int, str]:
        """(exit code, what it wrote for people) of a line of the shell; our own commands in this process, since the start is
        most of their time."""
        for part in text.split(" && "):
            words, _, file = part.partition(" > ")
            own = words.startswith("marchwarden ") and ";" not in part
            code, told = self._own(shlex.split(words), file) if own else self._other(part)
            if code:
                break
        return code, told

    def _own(self, words: list[str], file: str) -> tuple[int, str]:
        with pytest.MonkeyPatch.context() as patch, chdir(self.folder):
            patch.setenv("COLUMNS", "200")
            done = in_process(*words[1:], stdin=PASSWORD)
        if file:
            (self.folder / file).write_text(done.stdout)
        return done.returncode, done.stderr

    def _other(self, text: str) -> tuple[int, str]:
        done = subprocess.run(
            ["/bin/bash", "-c", text], cwd=self.folder, capture_output=True, text=True, timeout=300, check=False
        )
        return done.returncode, done.stderr

    def watch(self, text: str) -> None:
        """A command without end shows what is there, until Ctrl-C."""
        process = subprocess.Popen(
            [*MARCHWARDEN, *shlex.split(text)[1:]],
            cwd=self.folder,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stderr is not None
        try:
            assert "Watching. Ctrl-C ends it." in process.stderr.readline()
        finally:
            process.terminate()
            process.wait()
            process.stderr.close()

    def _open_alerts(self) -> list[str]:
        return [i["alert"] for i in self.outbox.incidents(open_only=True)]

    def _silence(self) -> str:
        found = until(lambda: self.outbox.status().get("silences"), "the silence is in force")
        return str(found[0]["silence"])

    def _track(self) -> str:
        tracks = [s for i in self.outbox.incidents() for s in i["subjects"] if s.startswith("T")]
        return tracks[0]


def _with_user_name(site: Path, named: Path) -> None:
    """A copy of a site that has a user name and password at the broker."""
    shutil.copytree(site, named)
    text = (named / "site.toml").read_text()
    own = '[mqtt]\nusername = "marchwarden"\npassword_file = "mqtt-password"\n'
    (named / "site.toml").write_text(text.replace("[mqtt]\n", own))
    (named / "mqtt-password").touch(mode=0o600)
    (named / "mqtt-password").write_text("secret")


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    folder = tmp_path_factory.mktemp("documents")
    site = site_at(folder)
    minute = (site / "exercises" / "demo.toml").read_text().replace("duration_s = 600", f"duration_s = {PAST_S}")
    (site / "exercises" / "minute.toml").write_text(minute)
    shutil.copytree(site, folder / "fresh")
    _with_user_name(folder / "fresh", folder / "named")
    (folder / "new-rule.toml").write_text(RULE)
    site.rename(folder / "configs")
    pipelined = Pipelined(folder / "configs")
    pipelined.start()
    try:
        until(lambda: pipelined.ready.is_set() or not pipelined.is_alive(), "the site has a past")
        made = Reader(folder, Outbox(Places(folder / "configs" / "state").database))
        assert made.run("marchwarden audit checkpoint configs > audit.anchors") == (0, "")
        yield made
    finally:
        pipelined.end()


# ── what is shown ────────────────────────────────────────────────────────────────────────────────


def test_every_command_that_the_documents_show_works(reader: Reader) -> None:
    commands = shown(COMMAND)
    assert len(commands) > 40, "the documents write commands in another way than this looks for"
    failures, done = [], set[str]()
    for command in commands:
        if command.text in NOT_RUN or command.text in done:
            continue
        done.add(command.text)
        text = reader.typed(command.text)
        if text.startswith(ENDLESS):
            if ENDLESS not in done:
                reader.watch(text)
            done.add(ENDLESS)
            continue
        code, told = reader.run(text)
        refused = re.match(rf"marchwarden alerts ({'|'.join(PEOPLES)}) configs (\w+)", text)
        answered = refused is not None and code == 1 and told.startswith(f"{refused[2]}: ")
        if (code != 0 and not answered) or "not running" in told:
            failures.append(f"{command.where}: {text}: exit {code}: {told[-600:]}")
    assert failures == []


def test_what_is_not_run_is_still_shown() -> None:
    written = {command.text for command in shown(COMMAND)}
    assert NOT_RUN.keys() - written == set()


def test_every_query_that_the_documents_show_finds_rows_in_the_first_hour(reader: Reader) -> None:
    queries = shown(QUERY)
    made = [q for q in queries if "state/history" not in q.text]
    assert 0 < len(made) < len(queries)
    assert list((reader.folder / "configs" / "state" / "history" / "detections").glob("*.parquet")) == []
    assert reader.run("marchwarden history configs detections --parquet detections.parquet")[0] == 0
    assert reader.run("marchwarden history configs detections --json --limit 100000 > rows.ndjson")[0] == 0
    rows = (reader.folder / "rows.ndjson").read_text().splitlines()
    with chdir(reader.folder):
        for query in made:
            counted = dict(duckdb.sql(query.text).fetchall())
            assert sum(counted.values()) == len(rows) > 0, query.where


def test_queries_on_the_stores_own_files_work_once_it_has_rolled_over(reader: Reader, tmp_path: Path) -> None:
    shutil.copytree(reader.folder / "configs" / "state" / "history", tmp_path / "configs" / "state" / "history")
    EmbeddedStore(tmp_path / "configs" / "state" / "history", write=True).close()  # as the start of a service does
    with chdir(tmp_path):
        for query in shown(QUERY):
            if "state/history" in query.text:
                assert duckdb.sql(query.text).fetchall(), query.where
