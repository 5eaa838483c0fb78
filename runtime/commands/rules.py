"""`marchwarden rules …`: look at rules, and try them on the past."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from alerts.wire import record_of
from runtime.accepted import AcceptedDamaged, accepted
from runtime.commands.common import HERE, By, Json, Reason, Site, audited, count, in_use_with_notes, people
from runtime.commands.filters import FROM_HELP, TO_HELP, span_asked
from runtime.commands.site_first import SiteFirst
from runtime.configuration import load, read_rules
from runtime.entries import Configuration
from runtime.mistakes import Mistakes
from runtime.places import history_of, plate_key
from runtime.terminal import terminal
from runtime.terminal_table import Column, print_table
from runtime.trial import chosen_rules, tried
from runtime.watch import alert_text
from runtime.world import world_of

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Rules: list them, try them on the past.\n\nExample: marchwarden rules try configs lingering --from 24h",
)


COLUMNS = (Column("rule"), Column("kind"), Column("severity", 2), Column("in force"), Column("clears", 1))


@app.command("list", epilog="Example: marchwarden rules list configs")
def list_(site: Annotated[Path, typer.Argument()] = HERE, as_json: Json = False) -> None:
    """Every rule of a site that is in use; of a site that has never run, those in its folder."""
    c = in_use_with_notes(site)
    rows = [(r.value.id, r.value.kind, r.value.severity, r.value.schedule or "always", r.value.clears) for r in c.rules]
    if as_json:
        print(json.dumps([dict(zip((column.name for column in COLUMNS), row, strict=True)) for row in rows]))
    else:
        print_table(COLUMNS, rows)


@app.command(
    "try",
    cls=SiteFirst,
    epilog="Example: marchwarden rules try configs lingering --from 24h",
)
def try_(
    site: Site,
    rule: Annotated[str, typer.Argument(help="A rule's id in the folder, or a rules file", show_default=False)],
    from_: Annotated[str, typer.Option("--from", help=FROM_HELP)] = "",
    to: Annotated[str, typer.Option("--to", help=TO_HELP)] = "",
    as_json: Json = False,
    by: By = "",
    reason: Reason = "",
) -> None:
    """What a rule would have raised, from the history. Nobody is told of it. Goes into the audit log.

    The rule is taken as the folder has it now, in use or not; so is all else, unless the folder has a mistake elsewhere than in
    its rules: then zones, sensors and the rest are those in use.
    """
    c = with_rules_of_folder(site)
    span = span_asked(c, from_, to)
    world = world_of(c, plate_key(c))
    rules = chosen_rules(c, world, rule)
    audited(c, by, "rules try", f"{rule} {span.from_ns} {span.to_ns}", reason)
    console, raised = terminal(), 0
    for alert in tried(world, rules, history_of(c), span.from_ns, span.to_ns):
        raised += alert.why == "raised"
        record = record_of(alert)
        if as_json:
            print(json.dumps(record, ensure_ascii=False))
        else:
            console.print(alert_text(record, c.site.site.time_zone))
    people.print(f"{raised} would have been raised, {span.text(c.site.site.time_zone)}.", markup=False)


def with_rules_of_folder(site: Path) -> Configuration:
    """The folder's configuration; where it has a mistake, its rules with what is in use. Raises Mistakes."""
    try:
        return load(site)
    except Mistakes as mistakes:
        try:
            kept = accepted(site)
        except (AcceptedDamaged, Mistakes):
            kept = None
        if kept is None:
            raise
        c = kept.configuration
        rules = c.site.files.rules
        if any(m.file == rules for m in mistakes.found) or not (site / rules).is_file():
            raise
        found = f"The folder has {count(mistakes)} (`marchwarden check {site}`). The rule is tried as it stands in {rules}, "
        people.print(f"{found}with the zones, sensors and all else accepted {kept.time}.", markup=False)
        return replace(c, rules=read_rules(c, site / rules))
