"""Alerts on a terminal: a line or two each, a table, and the whole story of one."""

from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
from rich.text import Text

from model.time import iso_from_ns, ns_from_iso
from runtime.terminal_table import Column

STYLES = {"critical": "bold white on red", "major": "bold red", "minor": "yellow", "information": "cyan"}


def local(time: str, zone: str, form: str = "%H:%M:%S") -> str:
    """A time of day in the site's zone: what an officer's wall clock shows."""
    moment = np.datetime64(ns_from_iso(time) // 1_000_000, "ms").item()
    return str(moment.replace(tzinfo=ZoneInfo("UTC")).astimezone(ZoneInfo(zone)).strftime(form))


def alert_text(record: dict[str, Any], zone: str) -> Text:
    """Two lines: when, how grave, what, where; by whom it was seen and to whom it goes."""
    first, _, second = record["text"].partition("\n")
    text = Text(f"{local(record['told'], zone)} ")
    text.append(f" {record['severity'].upper():<8} ", STYLES.get(record["severity"], ""))
    text.append(f" {first}  ")
    text.append(record["alert"], "dim")
    if record["acknowledged_by"]:
        text.append(f"  acknowledged by {record['acknowledged_by']}", "green")
    if record["assigned_to"]:
        text.append(f"  assigned to {record['assigned_to']}", "green")
    if record["resolution"]:
        text.append(f"  resolved as {record['resolution']}", "green")
    if record["muted"]:
        text.append(f"  told to nobody: {record['muted']}", "magenta")
    text.append(f"\n{'':20} {second}", "dim")
    return text


ALERT_COLUMNS = (
    Column("alert"),
    Column("raised", 3, time=True),
    Column("severity", 2),
    Column("status", words=True),
    Column("what", words=True),
    Column("by", 1, words=True),
)


def alert_row(record: dict[str, Any], zone: str) -> tuple[str | Text, ...]:
    """An alert in ALERT_COLUMNS."""
    return (
        record["alert"],
        local(record["raised"], zone, "%Y-%m-%d %H:%M:%S"),
        Text(record["severity"], STYLES.get(record["severity"], "")),
        record["status"] + (", disputed" if record["disputed"] else "") + (", muted" if record["muted"] else ""),
        record["text"].partition("\n")[0],
        record["resolved_by"] or record["assigned_to"] or record["acknowledged_by"] or "",
    )


def explained(revisions: list[dict[str, Any]], deliveries: list[dict[str, Any]], zone: str) -> str:
    """Why it was raised, why it was told again, why it went where it went, and what became of each delivery."""
    newest = revisions[-1]
    reason = newest["reason"]
    lines = [f"{newest['alert']}  {newest['severity']}  {newest['status']}", newest["text"], "", "Raised, because:"]
    lines += [f"  {_happening(h, zone)}" for h in reason["happenings"]]
    lines += [
        f"Subjects: {', '.join(newest['subjects'])}.",
        "Evidence: " + ", ".join(f"{e['sensor']} at {local(e['time'], zone)}" for e in newest["evidence"]) + ".",
        *_grouping(newest),
        "",
        "Log:",
    ]
    lines += [f"  {local(e['time'], zone)}  {_entry(e)}" for e in newest["log"]]
    lines += ["", "Routing:"]
    lines += [f"  {_route(r)}" for r in reason["routing"]]
    if newest["muted"]:
        lines.append(f"  told to nobody: {newest['muted']}")
    lines += ["", "Deliveries:"]
    lines += [f"  {_delivery(d, zone)}" for d in deliveries]
    return "\n".join(lines)


def _happening(h: dict[str, Any], zone: str) -> str:
    details = "".join(f", {name} {value}" for name, value in h["detail"].items())
    place = f" at {h['zone']}" if h["zone"] else ""
    return f"{local(h['first'], zone)}  rule {h['rule']!r} ({h['kind']}){place}, probability {h['probability']:.2f}{details}"


def _grouping(record: dict[str, Any]) -> list[str]:
    """Why it is one alert and not several, or a part of another."""
    said = []
    if len(record["reason"]["happenings"]) > 1 or len(record["subjects"]) > 1:
        said.append("Grouped: what shares a subject, or is near enough in place and time, is one happening.")
    if record["parts"]:
        said.append(f"Merged into it: {', '.join(record['parts'])}.")
    if record["merged_into"]:
        said.append(f"It turned out to be part of {record['merged_into']}.")
    if record["split_from"]:
        said.append(f"Split from {record['split_from']}.")
    if record["storm"]:
        said.append("A storm: its rule raised more than could be told of one by one.")
    return said


def _entry(entry: dict[str, Any]) -> str:
    by = f" by {entry['by']}" if entry["by"] else ""
    note = f": {entry['note']}" if entry["note"] else ""
    return f"{entry['what'].replace('_', ' ')}{by}{note}"


def _route(route: dict[str, Any]) -> str:
    role = "leads" if route["lead"] else "copy"
    area = f" ({route['area']})" if route["area"] else ""
    stance = f", {route['stance']}" if route["stance"] else ""
    rung = f", rung {route['rung']} of its escalation" if route["rung"] else ""
    return f"{route['agency']}: {role}, {route['reason']}{area}{stance}{rung}"


def _delivery(d: dict[str, Any], zone: str) -> str:
    state = "dead" if d["dead"] else "waits"
    if d["done_ns"]:
        state = f"delivered {local(iso_from_ns(d['done_ns']), zone)}"
    error = f", {d['error']}" if d["error"] else ""
    return f"revision {d['revision']} to {d['agency']} by {d['channel']}: {state}, attempts {d['attempts']}{error}"
