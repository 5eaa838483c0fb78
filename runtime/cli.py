"""The command line: `marchwarden …`. Parsing, printing and exit codes; the work is in the files beside this one.

Data goes to standard output, words for people to standard error. Exit 0: done; 1: the work failed; 2: wrong arguments or
configuration.
"""

import json
import signal
import sqlite3
import ssl
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich.progress import Progress

from alerts.audit import AuditUnusable
from alerts.outbox import UnknownAlert
from history.query import as_csv, as_json_lines, write_parquet
from history.store import Query, StoreFailed
from history.tables import KINDS, SCHEMAS
from model.liveness import ALIVE
from model.stored import Damaged, UnreadableFormat
from model.time import NS, ns_from_iso
from runtime import recording
from runtime.accepted import configuration_in_use
from runtime.checking import findings
from runtime.commands import accounts, alerts, audit, rules
from runtime.commands.acl import acl
from runtime.commands.aside import aside
from runtime.commands.common import HERE, By, Json, Reason, Site, SiteHere, audited, people, status_of
from runtime.commands.filters import BOX_HELP, FROM_HELP, TO_HELP, box_asked, one_of, span_asked, track_asked
from runtime.configuration import load
from runtime.demo import demonstrate
from runtime.disk_problems import disk_problem
from runtime.editor_schema import write_schemas
from runtime.history_text import show_history
from runtime.mistakes import Mistakes, render
from runtime.places import Places, exercise_key, history_of
from runtime.replay import Tally
from runtime.replay import replay as replayed
from runtime.score.alerts import read_alerts, score_alerts
from runtime.score.score import BadTable, read_rows
from runtime.score.score import score as scored
from runtime.service import AlreadyRunning, serve
from runtime.simulator.exercise import read_exercise
from runtime.simulator.play import NoConnection, address, play
from runtime.simulator.seeing import simulated
from runtime.status_text import show_status
from runtime.terminal_table import Column, print_table
from runtime.world import world_of
from sensors.journal import read_whole
from sensors.keys import KeyUnusable

ROWS_SHOWN, ALL_ROWS = 1000, 2**62  # of a history, on a terminal and in a file

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Border sensor fusion and alerting.\n\nExample: marchwarden demo --seconds 30",
)
app.add_typer(alerts.app, name="alerts")
app.add_typer(rules.app, name="rules")
app.add_typer(accounts.app, name="accounts")
app.add_typer(audit.app, name="audit")
app.command(epilog="Example: marchwarden acl configs > /etc/mosquitto/marchwarden.acl")(acl)
app.command(epilog="Example: marchwarden aside configs --out aside.ndjson --reason 'for the maintainer'")(aside)


def main() -> None:
    """The entry point. What a person can mend is one sentence and an exit code, not a traceback."""
    try:
        app()
    except Mistakes as mistakes:
        people.print(render(mistakes.found), markup=False)
        sys.exit(2)
    except (recording.BadRecording, BadTable, UnknownAlert) as error:
        people.print(str(error), markup=False)
        sys.exit(2)
    except (AlreadyRunning, NoConnection, StoreFailed, UnreadableFormat, Damaged, KeyUnusable) as error:
        people.print(str(error), markup=False)
        sys.exit(1)
    except FileNotFoundError as error:
        people.print(f"{error.filename} does not exist.", markup=False)
        sys.exit(2)
    except AuditUnusable as error:
        people.print(f"{error} Without it nothing is shown that has to leave a trace there.", markup=False)
        sys.exit(1)
    except BrokenPipeError:
        raise
    except (OSError, sqlite3.Error) as error:
        problem = disk_problem(error)
        if problem is None and isinstance(error, OSError):
            problem = f"{error.filename or 'A file'} cannot be used: {error.strerror or error}."
        people.print(problem or f"A database of the state folder cannot be used: {error}.", markup=False)
        sys.exit(1)


@app.command(epilog="Example: marchwarden check configs")
def check(site: Site, as_json: Json = False) -> None:
    """Find every mistake of a site folder at once."""
    found = findings(site)
    if as_json:
        print(msgspec.json.encode({"mistakes": found.mistakes, "warnings": found.notes}).decode())
        raise typer.Exit(2 if found.mistakes else 0)
    if found.mistakes:
        people.print(render(found.mistakes), markup=False)
        people.print(f"\n{len(found.mistakes)} {'mistake' if len(found.mistakes) == 1 else 'mistakes'}.", markup=False)
        raise typer.Exit(2)
    for note in found.notes:
        people.print(f"Note: {note}", markup=False)
    c = found.configuration
    if c is not None:
        people.print(
            f"{site}: {len(c.sensors)} sensors, {len(c.zones)} zones, {len(c.rules)} rules, {len(c.agencies)} agencies. "
            "No mistakes.",
            markup=False,
        )


@app.command(epilog="Example: marchwarden schema configs/schema")
def schema(folder: Annotated[Path, typer.Argument(help="Where to write the files")]) -> None:
    """Write the JSON Schemas of the configuration files, for editors."""
    for path in write_schemas(folder):
        people.print(str(path), markup=False)


@app.command(epilog="Example: marchwarden run configs")
def run(site: Site) -> None:
    """Run the service. SIGHUP takes a changed configuration into use; SIGTERM ends it."""
    stop, reload = threading.Event(), threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    signal.signal(signal.SIGHUP, lambda *_: reload.set())
    people.print(f"Marchwarden runs {site}. Ctrl-C ends it.", markup=False)
    serve(site, stop, reload, lambda said: people.print(said, markup=False))


@app.command(epilog="Example: marchwarden demo --seconds 30")
def demo(
    seconds: Annotated[float | None, typer.Option(help="End after this long; otherwise Ctrl-C does")] = None,
    embedded: Annotated[
        bool, typer.Option("--embedded", help="Use the embedded broker even where Mosquitto is")
    ] = False,
) -> None:
    """A whole site on embedded parts: broker, exercise, pipeline, history."""
    raise typer.Exit(demonstrate(seconds, embedded, people))


@app.command(epilog="Example: marchwarden simulate configs demo --out messages.ndjson --truth truth.ndjson")
def simulate(
    site: Site,
    exercise: Annotated[
        str, typer.Argument(help="An exercise's name in SITE/exercises, or its file", show_default=False)
    ],
    out: Annotated[Path | None, typer.Option(help="Write the messages here")] = None,
    truth: Annotated[Path | None, typer.Option(help="Write where the targets really were")] = None,
    mqtt: Annotated[
        str | None, typer.Option(help="Publish to this broker in real time: mqtt://host:1883 or mqtts://host:8883")
    ] = None,
    ca_file: Annotated[
        Path | None, typer.Option(help="The broker's authority; the system's unless given", show_default=False)
    ] = None,
    plain: Annotated[bool, typer.Option("--plain", help="Publish beyond this machine without encryption")] = False,
    seed: Annotated[int | None, typer.Option(help="Another seed than the exercise's")] = None,
) -> None:
    """Play an exercise: what the site's sensors would publish."""
    if (out is None) == (mqtt is None):
        raise typer.BadParameter("Give one of --out and --mqtt.")
    try:
        to = address(mqtt or "localhost", plain)
        tls = ssl.create_default_context(cafile=ca_file) if to.encrypted else None
    except ssl.SSLError as error:
        raise typer.BadParameter(f"{ca_file} is no certificate: {error.reason}.") from error
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    c = load(site)
    named = site / "exercises" / f"{exercise}.toml"
    if not named.exists() and not Path(exercise).suffix:
        one_of(exercise, sorted(p.stem for p in named.parent.glob("*.toml")), f"exercise in {named.parent}")
    said = read_exercise(named if named.exists() or not Path(exercise).suffix else Path(exercise))
    if seed is not None:
        said = said.model_copy(update={"seed": seed})
    start_ns = ns_from_iso(said.start) if mqtt is None else (time.time_ns() // NS + 1) * NS
    world = world_of(c, exercise_key(c))
    messages, lines = simulated(world, said, start_ns)
    if truth is not None:
        truth.write_bytes(b"".join(msgspec.json.encode(line) + b"\n" for line in lines))
    if out is not None:
        recording.write(out, [messages])
        people.print(f"{len(messages):,} messages of {said.duration_s:,} s.", markup=False)
    else:
        stop = threading.Event()
        signal.signal(signal.SIGINT, lambda *_: stop.set())
        signal.signal(signal.SIGTERM, lambda *_: stop.set())
        with _progress(len(messages), "playing") as told:
            done = play(messages, to.host, to.port, stop, told, to.username, to.password, tls)
        people.print(f"{done:,} of {len(messages):,} messages confirmed by the broker.", markup=False)


@app.command(epilog="Example: marchwarden replay configs messages.ndjson --tracks tracks.ndjson --alerts alerts.ndjson")
def replay(
    site: Site,
    messages: Annotated[Path, typer.Argument(help="Recorded messages", show_default=False)],
    tracks: Annotated[Path | None, typer.Option(help="Write the tracks here")] = None,
    alerts_file: Annotated[Path | None, typer.Option("--alerts", help="Write the alerts here")] = None,
    deliveries: Annotated[Path | None, typer.Option(help="Write the deliveries here")] = None,
    reasons: Annotated[Path | None, typer.Option(help="Write here why each track is what it is")] = None,
    chunk: Annotated[
        int, typer.Option(help="Messages read at a time; changes nothing in what comes out", min=1)
    ] = recording.BATCH,
    as_json: Json = False,
) -> None:
    """Put a recording through the pipeline, offline. The same recording gives the same bytes every time."""
    c = load(site)
    world = world_of(c, exercise_key(c))
    batches = recording.read(messages, chunk)
    with _progress(None, "replaying") as told:
        tally = replayed(world, batches, tracks, alerts_file, deliveries, reasons, told)
    _summary(tally, as_json)


@app.command(epilog="Example: marchwarden score tracks.ndjson truth.ndjson --alerts alerts.ndjson --site configs")
def score(
    tracks: Annotated[Path, typer.Argument(show_default=False)],
    truth: Annotated[Path, typer.Argument(show_default=False)],
    alerts_file: Annotated[Path | None, typer.Option("--alerts", help="Score these alerts as well")] = None,
    site: SiteHere = HERE,
    cut_off_m: Annotated[float, typer.Option("--c", help="GOSPA's c, metres")] = 100.0,
    memory_s: Annotated[float, typer.Option(help="A target counts for this long after it was in view")] = 20.0,
    as_json: Json = False,
) -> None:
    """GOSPA and its parts, SIAP, identity switches; of alerts, how many there are for each true happening, and what is missed."""
    found, real = read_rows(tracks), read_rows(truth)
    result = scored(found, real, c_m=cut_off_m, memory_s=memory_s)
    if alerts_file is not None:
        c = load(site)
        world = world_of(c, exercise_key(c))
        result |= {"alerts": score_alerts(world, read_alerts(alerts_file), found, real)}
    if as_json:
        print(json.dumps(result))
        return
    figures: list[tuple[str, str]] = []
    for name, value in _flat(result):
        if isinstance(value, list):
            for each in value:
                people.print(f"{name.removesuffix('_list')}: {each}", markup=False)
            continue
        figures.append((name, f"{value:,.3f}" if isinstance(value, float) else f"{value:,}"))
    print_table((Column("figure", words=True), Column("value")), figures)


@app.command(epilog="Example: marchwarden record configs --out messages.ndjson --reason 'after-action review'")
def record(
    site: Site, out: Annotated[Path, typer.Option(help="Write the messages here")], reason: Reason, by: By = ""
) -> None:
    """Write what the running service has received, as far as it is kept, as a recording. Goes into the audit log."""
    c = configuration_in_use(site)
    places = Places(c.state)
    audited(c, by, "record", str(out), reason)
    frames = read_whole(places.journal, places.journal_keys(), lambda text: people.print(text, markup=False))
    people.print(f"{recording.write(out, (f.messages for f in frames if len(f.messages))):,} messages.", markup=False)


@app.command(epilog="Example: marchwarden status configs")
def status(site: Annotated[Path, typer.Argument()] = HERE, as_json: Json = False) -> None:
    """How the service and its sensors are, what waits, and what was rejected and why. Exit 1 where the service does not run."""
    found = status_of(configuration_in_use(site))
    running = found["condition"] in ALIVE
    if as_json:
        print(json.dumps(found))
    else:
        show_status(found)
    if not running:
        raise typer.Exit(1)


@app.command(
    epilog="Example: marchwarden history configs tracks --from 2026-11-20T04:00:00Z --box 31.33,-110.63,31.37,-110.57 --csv"
)
def history(
    site: Site,
    kind: Annotated[str, typer.Argument(help="detections, tracks, reasons or alerts")] = "alerts",
    from_: Annotated[str, typer.Option("--from", help=FROM_HELP)] = "",
    to: Annotated[str, typer.Option("--to", help=TO_HELP)] = "",
    box: Annotated[str, typer.Option(help=BOX_HELP)] = "",
    sensor: Annotated[str | None, typer.Option(help="Only of this sensor")] = None,
    track: Annotated[str | None, typer.Option(help="Only of this track")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="1000 unless given; with --parquet, all")] = None,
    as_json: Json = False,
    csv: Annotated[bool, typer.Option("--csv", help="CSV instead of a table")] = False,
    parquet: Annotated[Path | None, typer.Option(help="Write a Parquet file, for DuckDB, pandas or R")] = None,
    reason: Reason = "",
    by: By = "",
) -> None:
    """What was: a time range, an area, a sensor or a track. Goes into the audit log."""
    one_of(kind, KINDS, "table of the history")
    c = configuration_in_use(site)
    span, bounds = span_asked(c, from_, to), box_asked(box)
    if bounds is not None and "lat" not in SCHEMAS[kind].names:
        raise typer.BadParameter(f"{kind} have no place of their own; leave out --box and ask for a --track.")
    if track is not None and "track" not in SCHEMAS[kind].names:
        raise typer.BadParameter(f"{kind} belong to no track; ask for its tracks or reasons.")
    if track is not None and kind != "alerts":
        track_asked(track)
    rows_max = limit or (ROWS_SHOWN if parquet is None else ALL_ROWS)
    query = Query(kind, span.from_ns, span.to_ns, bounds, sensor, track, rows_max)
    audited(c, by, f"history {kind}", msgspec.json.encode(query).decode(), reason)
    store = history_of(c)
    rows = store.query(query)
    for text in store.damaged:
        people.print(text, markup=False)
    if not rows.num_rows:
        if sensor is not None:  # one that is no longer registered may well have rows
            one_of(sensor, [w.value.id for w in c.sensors], "sensor, nor has the history anything of one")
        people.print(f"No {kind} from {span.text(c.site.site.time_zone)} that fit.", markup=False)
    if parquet is not None:
        write_parquet(rows, parquet)
        people.print(f"{rows.num_rows:,} rows in {parquet}.", markup=False)
    elif as_json or csv:
        for line in as_json_lines(rows) if as_json else as_csv(rows):
            print(line)
    elif rows.num_rows:
        show_history(rows)
    if rows.num_rows == rows_max:
        people.print(f"Cut at {rows_max} rows: --limit gives more.", markup=False)


def _summary(tally: Tally, as_json: bool) -> None:
    if as_json:
        print(json.dumps(tally.as_record()))
        return
    people.print(
        f"{tally.messages:,} messages, {tally.detections:,} detections, {tally.raised:,} alerts raised "
        f"({tally.alerts:,} revisions), {tally.deliveries:,} deliveries.",
        markup=False,
    )
    for (kind, about), detail in sorted(tally.faults.items()):
        people.print(f"  fault: {kind}, {about}: {detail}", markup=False)
    for (rule, reason), count in sorted(tally.withheld.items()):
        people.print(f"  withheld: {rule}, {reason} {count:,}", markup=False)
    for reason, count in sorted(tally.set_aside.items()):
        people.print(f"  set aside: {reason} {count:,}", markup=False)
    for (reason, detail), count in tally.rejected.most_common(50):
        people.print(f"  rejected: {reason} {count:,}: {detail}", markup=False)


def _flat(result: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in result.items():
        if isinstance(value, dict):
            yield from ((f"{name} {inner}", v) for inner, v in value.items())
        else:
            yield name, value


@contextmanager
def _progress(total: int | None, what: str) -> Iterator[Callable[[int], None]]:
    """A bar when a terminal looks on."""
    if not people.is_terminal:
        yield lambda _: None
        return
    with Progress(console=people, transient=True) as bar:
        task = bar.add_task(what, total=total)
        yield lambda done: bar.update(task, completed=done)


if __name__ == "__main__":
    main()
