"""`marchwarden alerts …`: look at alerts, and do what people do with them."""

import json
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from alerts.audit import AuditUnusable
from alerts.feedback import DISPOSITIONS
from alerts.outbox import Outbox
from alerts.quiet import FIELDS
from model.time import NS, iso_from_ns, ns_from_iso
from runtime.accepted import configuration_in_use
from runtime.commands.common import HERE, By, Json, Reason, Site, audited, outbox_of, people, who
from runtime.commands.filters import agency_asked, matchers_asked, one_of
from runtime.commands.site_first import SiteFirst
from runtime.entries import Configuration
from runtime.terminal import terminal
from runtime.terminal_table import Column, print_table
from runtime.watch import ALERT_COLUMNS, alert_row, alert_text, explained

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Alerts: look at them, and do what is to be done.\n\nExample: marchwarden alerts watch configs",
)
DONE_WAIT_S = 5.0  # to see an action done
BUSY_WAIT_S = 60.0  # the same, where the service runs and is only busy
ALIVE_S = 20.0  # with a status younger than this, it runs
DONE = {
    "ack": "acknowledged",
    "assign": "assigned",
    "note": "noted",
    "resolve": "resolved",
    "accept": "accepted",
    "decline": "declined",
    "hand-over": "offered",
    "share": "shared",
    "merge": "merged",
    "split": "split",
    "silence": "silenced",
    "unsilence": "silence ended",
}

WITHHELD = (
    Column("time", time=True),
    Column("rule", 2),
    Column("zone", 1),
    Column("subject"),
    Column("reason", words=True),
)
NUISANCE = (Column("sensor"), Column("rule"), Column("genuine", 2), Column("nuisance", 1), Column("share"))
DEAD = (
    Column("alert"),
    Column("revision", 2),
    Column("agency", 3),
    Column("channel"),
    Column("attempts", 1),
    Column("error", words=True),
)
SILENCES = (
    Column("silence"),
    Column("by", 2, words=True),
    Column("reason", words=True),
    Column("agency", 1),
    Column("until", time=True),
    Column("matchers", words=True),
)
Key = Annotated[str, typer.Argument(help="The alert's key, or its beginning", show_default=False)]
SiteArgument = Annotated[Path, typer.Argument(help="A folder with a site.toml")]
Note = Annotated[str, typer.Option(help="A word on it")]
For = Annotated[str, typer.Option("--for", help="The agency for which you speak", show_default=False)]
ToAgency = Annotated[str, typer.Option("--to", help="The agency", show_default=False)]


# ── looking ──────────────────────────────────────────────────────────────────────────────────────


@app.command("list", epilog="Example: marchwarden alerts list configs --open")
def list_(
    site: SiteArgument = HERE,
    only_open: Annotated[bool, typer.Option("--open", help="Only those that are not over")] = False,
    as_json: Json = False,
) -> None:
    """All alerts, the newest first."""
    c = configuration_in_use(site)
    found = outbox_of(c).incidents(only_open)
    if as_json:
        print(json.dumps(found, ensure_ascii=False))
    else:
        nothing = "No open alerts." if only_open else "No alerts."
        print_table(ALERT_COLUMNS, [alert_row(record, c.site.site.time_zone) for record in found], nothing=nothing)


@app.command(epilog="Example: marchwarden alerts watch configs")
def watch(site: SiteArgument = HERE, as_json: Json = False) -> None:
    """Show alerts as they come, and what becomes of them, until Ctrl-C."""
    c = configuration_in_use(site)
    outbox, console = outbox_of(c), terminal()
    for incident in reversed(outbox.incidents(open_only=True)):
        _show(console, incident, c, as_json)
    number = outbox.newest_number()
    people.print("Watching. Ctrl-C ends it.", markup=False)
    try:
        while True:
            for newest, record in outbox.revisions_after(number):
                number = newest
                _show(console, record, c, as_json)
            time.sleep(0.25)
    except KeyboardInterrupt:
        return


@app.command(cls=SiteFirst, epilog="Example: marchwarden alerts show configs A0K3")
def show(site: Site, key: Key, as_json: Json = False, by: By = "", reason: Reason = "") -> None:
    """Why an alert was raised, grouped, told again, and sent where it was sent."""
    c = configuration_in_use(site)
    outbox = outbox_of(c)
    whole = outbox.full_key(key)
    audited(c, by, "alerts show", whole, reason)
    revisions, deliveries = outbox.history_of(whole), outbox.deliveries_of(whole)
    if as_json:
        print(json.dumps({"revisions": revisions, "deliveries": deliveries}, ensure_ascii=False))
    else:
        text = explained(revisions, deliveries, c.site.site.time_zone)
        terminal().print(text, markup=False)


@app.command(epilog="Example: marchwarden alerts withheld configs")
def withheld(site: SiteArgument = HERE, as_json: Json = False) -> None:
    """What raised nothing, and why: patrols of ours."""
    c = configuration_in_use(site)
    rows = [r | {"time": iso_from_ns(r.pop("time_ns"))} for r in outbox_of(c).withheld()]
    _print(rows, WITHHELD, as_json, "Nothing was withheld.")


@app.command(epilog="Example: marchwarden alerts nuisance configs")
def nuisance(site: SiteArgument = HERE, as_json: Json = False) -> None:
    """The share of nuisance alarms per sensor and rule, of those that were resolved."""
    rows = [
        tally | {"share": round(tally["nuisance"] / (tally["genuine"] + tally["nuisance"]), 3)}
        for tally in outbox_of(configuration_in_use(site)).status().get("dispositions", [])
    ]
    rows.sort(key=lambda r: (-r["share"], -r["nuisance"], r["sensor"], r["rule"]))
    _print(rows, NUISANCE, as_json, "No alert has been resolved yet.")


@app.command(epilog="Example: marchwarden alerts dead configs --send-again")
def dead(
    site: SiteArgument = HERE,
    send_again: Annotated[bool, typer.Option("--send-again", help="Open them again, in their order")] = False,
    channel: Annotated[str, typer.Option(help="Only of this channel")] = "",
    as_json: Json = False,
) -> None:
    """Dead letters: deliveries that were given up."""
    c = configuration_in_use(site)
    outbox = outbox_of(c)
    letters = outbox.dead_letters()
    channels = [ours.id for w in c.agencies for ours in w.value.channel]
    one_of(channel, [*channels, *(r["channel"] for r in letters)], "channel")
    _print([r for r in letters if channel in ("", r["channel"])], DEAD, as_json, "No dead letters.")
    if send_again:
        people.print(f"{outbox.revive(channel)} will be sent again.", markup=False)


# ── doing ────────────────────────────────────────────────────────────────────────────────────────


@app.command(cls=SiteFirst, epilog="Example: marchwarden alerts ack configs A0K3 --by desk-1")
def ack(site: Site, key: Key, by: By = "", note: Note = "") -> None:
    """Acknowledge an alert: somebody has it. Ends its escalation."""
    _act(site, "ack", key, by, note=note)


@app.command(cls=SiteFirst, epilog="Example: marchwarden alerts assign configs A0K3 --to unit-7")
def assign(
    site: Site,
    key: Key,
    to: Annotated[str, typer.Option(help="Who sees to it", show_default=False)],
    by: By = "",
    note: Note = "",
) -> None:
    """Say who sees to an alert."""
    _act(site, "assign", key, by, to=to, note=note)


@app.command(cls=SiteFirst, epilog="Example: marchwarden alerts note configs A0K3 'two adults, one child'")
def note(site: Site, key: Key, text: Annotated[str, typer.Argument(show_default=False)], by: By = "") -> None:
    """Write a line into an alert's log, which all its agencies read."""
    _act(site, "note", key, by, note=text)


@app.command(cls=SiteFirst, epilog="Example: marchwarden alerts resolve configs A0K3 --as animal")
def resolve(
    site: Site,
    key: Key,
    disposition: Annotated[str, typer.Option("--as", help=f"What it was: {', '.join(DISPOSITIONS)}")],
    by: By = "",
) -> None:
    """Close an alert with what it turned out to be."""
    one_of(disposition, DISPOSITIONS, "disposition")
    _act(site, "resolve", key, by, note=disposition)


@app.command(cls=SiteFirst, epilog="Example: marchwarden alerts accept configs A0K3 --for border-patrol")
def accept(site: Site, key: Key, agency: For, by: By = "", note: Note = "") -> None:
    """Accept an alert for an agency. If it was offered, or its holder declined it, that agency holds it now."""
    _act(site, "accept", key, by, agency=agency, note=note)


@app.command(
    cls=SiteFirst,
    epilog="Example: marchwarden alerts decline configs A0K3 --for park-rangers --note 'outside the reserve'",
)
def decline(site: Site, key: Key, agency: For, by: By = "", note: Note = "") -> None:
    """Decline an alert for an agency. Its holder keeps it, as disputed, until another accepts."""
    _act(site, "decline", key, by, agency=agency, note=note)


@app.command(
    "hand-over",
    cls=SiteFirst,
    epilog="Example: marchwarden alerts hand-over configs A0K3 --for park-rangers --to border-patrol",
)
def hand_over(site: Site, key: Key, to: ToAgency, agency: For = "", by: By = "", note: Note = "") -> None:
    """Offer an alert to another agency, which holds it once it accepts."""
    _act(site, "hand-over", key, by, agency=agency, to=to, note=note)


@app.command(cls=SiteFirst, epilog="Example: marchwarden alerts share configs A0K3 --to sheriff-cochise")
def share(site: Site, key: Key, to: ToAgency, agency: For = "", by: By = "", note: Note = "") -> None:
    """Make an alert joint: another agency gets it too."""
    _act(site, "share", key, by, agency=agency, to=to, note=note)


@app.command(cls=SiteFirst, epilog="Example: marchwarden alerts merge configs A0K3 --into A7PQ")
def merge(
    site: Site,
    key: Key,
    into: Annotated[str, typer.Option(help="The alert that it is part of", show_default=False)],
    by: By = "",
) -> None:
    """Say that two alerts are one happening."""
    c = configuration_in_use(site)
    _act(site, "merge", key, by, to=outbox_of(c).full_key(into))


@app.command(cls=SiteFirst, epilog="Example: marchwarden alerts split configs A0K3 --subject T0123456789ABC")
def split(
    site: Site,
    key: Key,
    subject: Annotated[list[str], typer.Option(help="What is an alert of its own; several times", show_default=False)],
    by: By = "",
) -> None:
    """Say that some of an alert's subjects are another happening."""
    _act(site, "split", key, by, subjects=subject)


# ── silences ─────────────────────────────────────────────────────────────────────────────────────


@app.command(
    cls=SiteFirst,
    epilog="Example: marchwarden alerts silence configs zone=stock-tank class=person --hours 8 --reason 'ranch hands'",
)
def silence(
    site: Site,
    matchers: Annotated[
        list[str], typer.Argument(help=f"field=value; fields: {', '.join(FIELDS)}", show_default=False)
    ],
    reason: Annotated[str, typer.Option(help="Why", show_default=False)],
    hours: Annotated[float, typer.Option(help="For how long", min=0.01)] = 8.0,
    agency: For = "",
    by: By = "",
) -> None:
    """Tell nobody of what matches, for a while; with --for, tell all but that agency. It is raised and kept all the same."""
    pairs = matchers_asked(configuration_in_use(site), matchers, FIELDS)
    until = datetime.now(UTC) + timedelta(hours=hours)
    _act(site, "silence", "", by, note=reason, matchers=pairs, until=until.isoformat(), agency=agency)


@app.command(epilog="Example: marchwarden alerts silences configs")
def silences(site: SiteArgument = HERE, as_json: Json = False) -> None:
    """The silences in force."""
    rows = outbox_of(configuration_in_use(site)).status().get("silences", [])
    _print(rows, SILENCES, as_json, "No silence is in force.")


@app.command(cls=SiteFirst, epilog="Example: marchwarden alerts unsilence configs S0K3")
def unsilence(
    site: Site,
    key: Annotated[str, typer.Argument(help="The silence, or its beginning", show_default=False)],
    agency: For = "",
    by: By = "",
) -> None:
    """End a silence before its time."""
    known = [s["silence"] for s in outbox_of(configuration_in_use(site)).status().get("silences", [])]
    found = [s for s in known if s.startswith(key.upper())]
    if len(found) != 1:
        raise typer.BadParameter(f"{key!r} begins {len(found)} silences; `marchwarden alerts silences` shows them.")
    _act(site, "unsilence", "", by, to=found[0], agency=agency)


def _act(site: Path, action: str, key: str, by: str, **more: Any) -> None:
    """Hand an action in, and wait a moment to see it done: the service takes it by way of the journal."""
    c = configuration_in_use(site)
    agency_asked(c, more.get("agency", ""))
    if action in ("hand-over", "share"):
        agency_asked(c, more["to"])
    outbox, person = outbox_of(c), who(by)
    whole = outbox.full_key(key) if key else ""
    said = {name: value for name, value in more.items() if value}
    request = outbox.add_action({"action": action, "alert": whole, "by": person} | said)
    try:
        audited(c, person, f"alerts {action}", whole or str(said), str(more.get("note", "")))
    except AuditUnusable as error:  # the incident's own log says who did it
        people.print(f"{error} It is done all the same.", markup=False)
    begun = time.monotonic()
    while (waited_s := time.monotonic() - begun) < BUSY_WAIT_S and (waited_s < DONE_WAIT_S or _runs(outbox)):
        answer = outbox.answer_to(request)
        if answer is not None:
            outcome = answer or f"{DONE[action]} by {person}."
            people.print(f"{whole}: {outcome}".removeprefix(": "), markup=False)
            if answer:
                raise typer.Exit(1)
            return
        time.sleep(0.05)
    people.print("Noted. The service is not running, or busy; it takes effect as soon as it can.", markup=False)


def _runs(outbox: Outbox) -> bool:
    service = outbox.status().get("service", {})
    return bool(service) and time.time_ns() - ns_from_iso(service["time"]) < ALIVE_S * NS


def _show(console: Console, record: dict[str, Any], c: Configuration, as_json: bool) -> None:
    if as_json:
        print(json.dumps(record, ensure_ascii=False), flush=True)
    else:
        console.print(alert_text(record, c.site.site.time_zone))


def _print(rows: list[dict[str, Any]], columns: tuple[Column, ...], as_json: bool, nothing: str) -> None:
    if as_json:
        print(json.dumps(rows, ensure_ascii=False))
    else:
        print_table(columns, [[_cell(column, row[column.name]) for column in columns] for row in rows], nothing=nothing)


def _cell(column: Column, value: Any) -> str:
    if isinstance(value, dict):
        return " ".join(f"{name}={each}" for name, each in value.items())
    return f"{value[:19].replace('T', ' ')}Z" if column.time else str(value)
