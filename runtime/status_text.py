"""The status of a site on a terminal."""

from typing import Any

from rich.console import Console

from model.time import iso_from_ns
from runtime.terminal_table import Column, output, print_table


def show_status(status: dict[str, Any]) -> None:
    """The service first, and what of it is down; then what was not used, and every sensor."""
    console = output()
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
        _faults(status["faults"])
    _parts(status["processes"])
    _rejections(status["rejections"])
    _sensors(status["sensors"])


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


def _parts(processes: list[dict[str, Any]]) -> None:
    columns = (
        Column("part"),
        Column("runs since", time=True),
        Column("starts", 2),
        Column("last ended", 1, words=True),
    )
    rows = [
        (part["name"], _second(part["since"] or "DOWN"), str(part["starts"]), part["error"])
        for process in processes
        for part in process["parts"]
    ]
    print_table(columns, rows, "Processes, threads and tasks")


def _rejections(rejections: list[dict[str, Any]]) -> None:
    columns = (
        Column("rejected"),
        Column("count"),
        Column("feed or topic", 3, words=True),
        Column("sensor", 2),
        Column("last", 1, time=True),
        Column("why", words=True),
    )
    rows = [
        (r["reason"], f"{r['count']:,}", r["topic"], r["sensor"], _second(iso_from_ns(r["last_ns"])), r["detail"])
        for r in rejections
    ]
    print_table(columns, rows, "Messages and detections not used")


def _sensors(sensors: list[dict[str, Any]]) -> None:
    columns = (
        Column("sensor"),
        Column("condition"),
        Column("last heard", time=True),
        Column("messages", 3),
        Column("rejected", 2),
        Column("battery", 1),
    )
    print_table(columns, map(_sensor, sensors), "Sensors")


def _sensor(s: dict[str, Any]) -> tuple[str, ...]:
    battery = "" if s["battery"] is None else f"{s['battery']:.0%}"
    condition, heard = s["condition"].replace("_", " "), _second(s["heard"] or "never")
    return s["sensor"], condition, heard, f"{s['messages']:,}", f"{s['rejected']:,}", battery


def _faults(faults: list[dict[str, Any]]) -> None:
    columns = (Column("fault"), Column("about", words=True), Column("count"), Column("last", 1, words=True))
    rows = [
        (
            f["kind"],
            f["about"],
            f"{f['count']:,}",
            _second(iso_from_ns(f["last_ns"])) + (", not in the journal yet" if f["waiting"] else ""),
            f["detail"],
        )
        for f in faults
    ]
    print_table((*columns, Column("what", words=True)), rows, "System faults")


def _second(time: str) -> str:
    return time[:19].replace("T", " ")
