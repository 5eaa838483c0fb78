"""Alerts on a terminal: a line or two each, a table, and the whole story of one."""

from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
from rich.table import Table
from rich.text import Text

from model.time import iso_from_ns, ns_from_iso

STYLES = {"critical": "bold white on red", "major": "bold red", "minor": "yellow", "information": "cyan"}


def local(time: str, zone: str) -> str:
    """A time of day in the site's zone: what an officer's wall clock shows."""
    moment = np.datetime64(ns_from_iso(time) // 1_000_000, "ms").item()
    return str(moment.replace(tzinfo=ZoneInfo("UTC")).astimezone(ZoneInfo(zone)).strftime("%H:%M:%S"))


def alert_text(record: dict[str, Any], zone: str) -> Text:
    """Two lines: when, how grave, what, where; by whom it was seen and to whom it goes."""
    first, _, second = record["text"].partition("\n")
    text = Text(f"{local(record['told'], zone)} ")
    text.append(f" {record['severity'].upper():<8} ", STYLES.get(record["severity"], ""))
    text.append(f" {first}  ")
    text.append(record["alert"], "dim")
    if record["acknowledged_by"]:
        text.append(f"  acknowledged by {record['acknowledged_by']}", "green")
    if record["resolution"]:
        text.append(f"  resolved as {record['resolution']}", "green")
    text.append(f"\n{'':20} {second}", "dim")
    return text


def alert_table(records: list[dict[str, Any]], zone: str) -> Table:
    """A line an alert."""
    table = Table("alert", "raised", "severity", "phase", "what", "acknowledged")
    for record in records:
        table.add_row(
            record["alert"],
            local(record["raised"], zone),
            Text(record["severity"], STYLES.get(record["severity"], "")),
            record["phase"],
            record["text"].partition("\n")[0],
            record["acknowledged_by"] or "",
        )
    return table


def explained(revisions: list[dict[str, Any]], deliveries: list[dict[str, Any]], zone: str) -> str:
    """Why it was raised, why it was told again, why it went where it went, and what became of each delivery."""
    newest = revisions[-1]
    reason = newest["reason"]
    lines = [
        f"{newest['alert']}  {newest['severity']}  {newest['phase']}",
        newest["text"],
        "",
        f"Raised by rule {newest['rule']!r} ({reason['kind']}), probability {reason['probability']:.2f}"
        + "".join(f", {name} {value}" for name, value in reason["detail"].items())
        + ".",
        f"Subjects: {', '.join(newest['subjects'])}.",
        "Evidence: " + ", ".join(f"{e['sensor']} at {local(e['time'], zone)}" for e in newest["evidence"]) + ".",
        "",
        "Revisions:",
    ]
    lines += [f"  {r['revision']}  {local(r['told'], zone)}  {r['reason']['why']}" for r in revisions]
    lines += ["", "Routing:"]
    lines += [
        f"  {r['agency']}: {'leads' if r['lead'] else 'copy'}, {r['reason']}" + (f" ({r['area']})" if r["area"] else "")
        for r in reason["routing"]
    ]
    lines += ["", "Deliveries:"]
    for d in deliveries:
        state = (
            f"delivered {local(iso_from_ns(d['done_ns']), zone)}" if d["done_ns"] else "dead" if d["dead"] else "waits"
        )
        lines.append(
            f"  revision {d['revision']} to {d['agency']} by {d['channel']}: {state}, attempts {d['attempts']}"
            + (f", {d['error']}" if d["error"] else "")
        )
    return "\n".join(lines)
