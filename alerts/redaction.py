"""What an agency is not given: fields that its agreement keeps back, and plates unless it is entitled to them.

The value itself is made without them, so that nothing that is written from it, the text included, can say them.
"""

from dataclasses import replace

from alerts.rules import Agency, Ground
from alerts.wording import text_of
from model.alerts import Alert, EventKind, Happening, Incident, Routed

WITHHELD = "withheld"
PLATE_FIELDS = ("plate", "read")
TOKEN_LETTERS = 16  # of a plate's token among subjects


def withheld_from(agency: Agency, route: Routed) -> frozenset[str]:
    """The names of what an agency is not given."""
    return frozenset(route.withheld) | (frozenset() if agency.plates else frozenset({"plate"}))


def redacted(ground: Ground, alert: Alert, withheld: frozenset[str]) -> Alert:
    """The alert without what is `withheld`."""
    incident = alert.incident
    if "plate" in withheld and any(h.kind is EventKind.WATCHED_PLATE for h in incident.happenings):
        incident = _without_plates(incident)
    if "subjects" in withheld:
        incident = replace(incident, subjects=())
    if "evidence" in withheld:
        incident = replace(incident, evidence=())
    if "class" in withheld:
        incident = replace(incident, classes=())
    if "log" in withheld:
        incident = replace(incident, log=())
    if incident is alert.incident:
        return alert
    return replace(alert, incident=incident, text=text_of(ground, incident, alert.why))


def _without_plates(incident: Incident) -> Incident:
    subjects = tuple(WITHHELD if len(s) == TOKEN_LETTERS else s for s in incident.subjects)
    return replace(incident, subjects=subjects, happenings=tuple(_without_plate(h) for h in incident.happenings))


def _without_plate(happening: Happening) -> Happening:
    detail = tuple((name, WITHHELD if name in PLATE_FIELDS else value) for name, value in happening.detail)
    return replace(happening, detail=detail)
