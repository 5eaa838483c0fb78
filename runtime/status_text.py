"""The status of a site on a terminal."""

from typing import Any

from rich.console import Console
from rich.table import Table

from model.time import iso_from_ns


def show_status(status: dict[str, Any]) -> None:
    """The service first, and what of it is down; then what was not used, and every sensor."""
    console = Console(highlight=False)
    console.print(status["what"], markup=False)
    for each in status["down"]:
        console.print(each, markup=False)
    for process in status["processes"]:
        _configuration(console, process["configuration"])
    for name, value in status["service"].items():
        console.print(f"{name:>16}  {'' if value is None else value}", markup=False)
    console.print(
        f"{'deliveries':>16}  " + ", ".join(f"{v} {k}" for k, v in status["deliveries"].items()), markup=False
    )
    if status["faults"]:
        console.print(_fault_table(status["faults"]))
    for table in (_parts(status["processes"]), _rejections(status["rejections"]), _sensors(status["sensors"])):
        console.print(table)


def _configuration(console: Console, in_use: dict[str, Any] | None) -> None:
    """Which configuration is in use, and what of the folder is not."""
    if in_use is None:
        return
    console.print(f"The configuration accepted {in_use['accepted']} is in use.", markup=False)
    refused = in_use["refused"]
    if refused is not None:
        console.print(f"IT IS NOT WHAT THE FOLDER HOLDS, which was refused {refused['time']}:", markup=False)
        for mistake in refused["mistakes"]:
            console.print(mistake, markup=False)


def _parts(processes: list[dict[str, Any]]) -> Table:
    table = Table("part", "runs since", "starts", "last ended", title="Processes, threads and tasks")
    for process in processes:
        for part in process["parts"]:
            since = (part["since"] or "DOWN")[:19]
            table.add_row(part["name"], since, str(part["starts"]), part["error"])
    return table


def _rejections(rejections: list[dict[str, Any]]) -> Table:
    table = Table(
        "rejected", "count", "feed or topic", "sensor", "last", "why", title="Messages and detections not used"
    )
    for r in rejections:
        last = iso_from_ns(r["last_ns"])[:19]
        table.add_row(r["reason"], f"{r['count']:,}", r["topic"], r["sensor"], last, r["detail"])
    return table


def _sensors(sensors: list[dict[str, Any]]) -> Table:
    table = Table("sensor", "condition", "last heard", "messages", "rejected", "battery", title="Sensors")
    for s in sensors:
        battery = "" if s["battery"] is None else f"{s['battery']:.0%}"
        heard = (s["heard"] or "never")[:19]
        condition = s["condition"].replace("_", " ")
        table.add_row(s["sensor"], condition, heard, f"{s['messages']:,}", f"{s['rejected']:,}", battery)
    return table


def _fault_table(faults: list[dict[str, Any]]) -> Table:
    table = Table("fault", "about", "count", "last", "what", title="System faults")
    for f in faults:
        last = iso_from_ns(f["last_ns"])[:19] + (", not in the journal yet" if f["waiting"] else "")
        table.add_row(f["kind"], f["about"], f"{f['count']:,}", last, f["detail"])
    return table
