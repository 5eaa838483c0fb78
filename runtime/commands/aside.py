"""`marchwarden aside`: the messages that raised an exception and were left out."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from model.messages import Messages
from model.time import iso_from_ns
from runtime import recording
from runtime.accepted import configuration_in_use
from runtime.commands.common import By, Json, Reason, Site, audited, people
from runtime.places import Places
from sensors.aside import AsideStore, Kept


def aside(
    site: Site,
    out: Annotated[Path | None, typer.Option(help="Write them here, as a recording that can be replayed")] = None,
    as_json: Json = False,
    reason: Reason = "",
    by: By = "",
) -> None:
    """The messages that raised an exception, and where. Goes into the audit log, since the exceptions' words may quote them."""
    c = configuration_in_use(site)
    places = Places(c.state)
    audited(c, by, "aside", str(out or ""), reason)
    found: list[Kept] = []
    for each in AsideStore(places.aside, places.journal_keys()).read():
        if isinstance(each, str):
            people.print(each, markup=False)
        else:
            found.append(each)
    if out is not None:
        people.print(f"{recording.write(out, _messages(found)):,} messages.", markup=False)
        return
    for kept in found:
        time, topic = iso_from_ns(int(kept.message.received_ns[0])), kept.message.topics[0]
        if as_json:
            print(json.dumps({"received": time, "topic": topic, "stage": kept.stage, "error": kept.error}))
        else:
            print(f"{time}  {topic}  {len(kept.message.payloads[0]):,} bytes  in {kept.stage}\n{kept.error}")


def _messages(found: list[Kept]) -> Iterator[Messages]:
    """Those that came as messages; a detection that waited in fusion has its message in the journal."""
    return (kept.message for kept in found if not kept.message.topics[0].startswith("detections/"))
