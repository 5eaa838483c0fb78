"""`marchwarden audit …`: is the audit log as it was written, and what is it now."""

import json
from pathlib import Path
from typing import Annotated

import typer

from alerts import audit as audit_log
from runtime.accepted import configuration_in_use
from runtime.anchoring import checkpoint_of, kept_anchors
from runtime.commands.common import HERE, Json, people
from runtime.places import Places, audit_key

app = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="The audit log.\n\nExample: marchwarden audit verify configs"
)
Site = Annotated[Path, typer.Argument(help="A folder with a site.toml")]


@app.command(epilog="Example: marchwarden audit verify configs --anchor /mnt/elsewhere/audit.anchors")
def verify(
    site: Site = HERE,
    anchor: Annotated[
        list[Path], typer.Option(help="A file with anchors, a syslog too; besides those that site.toml names")
    ] = [],  # noqa: B006 - typer reads it, nobody writes it
    as_json: Json = False,
) -> None:
    """Is the audit log as it was written? With an anchor it is also shown that nobody has cut it."""
    c = configuration_in_use(site)
    verdict = audit_log.verify(Places(c.state).audit, audit_key(c), kept_anchors(c, anchor))
    if as_json:
        print(json.dumps({"lines": verdict.lines, "findings": verdict.findings, "notes": verdict.notes}))
    for finding in verdict.findings if not as_json else ():
        people.print(finding, markup=False)
    if not verdict.findings and not as_json:
        people.print(f"{verdict.lines} lines, all as they were written.", markup=False)
    for note in verdict.notes if not as_json else ():
        people.print(note, markup=False)
    if verdict.findings:
        raise typer.Exit(1)


@app.command(epilog="Example: marchwarden audit checkpoint configs >> /mnt/elsewhere/audit.anchors")
def checkpoint(site: Site = HERE) -> None:
    """Print what the audit log is now, signed, to be kept elsewhere: an anchor for `verify`."""
    print(checkpoint_of(configuration_in_use(site)).encoded().decode())
