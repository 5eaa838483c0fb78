"""`marchwarden rules …`: look at rules, and try them on the past."""

import json
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from alerts.wire import record_of
from model.time import NS, ns_from_iso
from runtime.commands.common import HERE, By, Json, Reason, SiteHere, audited, people
from runtime.configuration import load
from runtime.places import history_of, plate_key
from runtime.trial import chosen_rules, tried
from runtime.watch import alert_text
from runtime.world import world_of

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Rules: list them, try them on the past.\n\nExample: marchwarden rules try lingering --from 2026-11-20T04:00:00Z",
)


@app.command("list", epilog="Example: marchwarden rules list configs")
def list_(site: Annotated[Path, typer.Argument()] = HERE, as_json: Json = False) -> None:
    """Every rule of a site."""
    rows = [
        (r.value.id, r.value.kind, r.value.severity, r.value.schedule or "always", r.value.clears)
        for r in load(site).rules
    ]
    names = ("rule", "kind", "severity", "in force", "clears")
    if as_json:
        print(json.dumps([dict(zip(names, row, strict=True)) for row in rows]))
        return
    table = Table(*names)
    for row in rows:
        table.add_row(*row)
    Console().print(table)


@app.command(
    "try", epilog="Example: marchwarden rules try new-rule.toml --from 2026-11-20T04:00:00Z --to 2026-11-20T06:00:00Z"
)
def try_(
    rule: Annotated[str, typer.Argument(help="A rule's id, or a rules file", show_default=False)],
    from_: Annotated[str, typer.Option("--from", help="ISO time; a day before --to unless given")] = "",
    to: Annotated[str, typer.Option("--to", help="ISO time; now unless given")] = "",
    site: SiteHere = HERE,
    as_json: Json = False,
    by: By = "",
    reason: Reason = "",
) -> None:
    """What a rule would have raised, from the history. Nobody is told of it. Goes into the audit log."""
    c = load(site)
    try:
        to_ns = ns_from_iso(to) if to else time.time_ns()
        from_ns = ns_from_iso(from_) if from_ else to_ns - 86_400 * NS
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    world = world_of(c, plate_key(c))
    rules = chosen_rules(c, world, rule)
    audited(c, by, "rules try", f"{rule} {from_ns} {to_ns}", reason)
    console, raised = Console(highlight=False, soft_wrap=True), 0
    for alert in tried(world, rules, history_of(c), from_ns, to_ns):
        raised += alert.why == "raised"
        record = record_of(alert)
        if as_json:
            print(json.dumps(record, ensure_ascii=False))
        else:
            console.print(alert_text(record, c.site.site.time_zone))
    people.print(f"{raised} would have been raised.", markup=False)
