"""What an agency may do with an incident: by who leads it, who has a copy, to whom it is offered, and what the agreement allows.

Who leads decides. One with a copy may do what its agreement gives copies, and what concerns itself alone: accept and decline. No
agency at all is who runs the site: a person who belongs to none, or a command on the machine itself.
"""

from enum import StrEnum

from alerts.rules import Agreement, Ground
from model.alerts import Incident, Routed

GRANTED = ("ack", "assign", "note", "resolve", "merge", "split")  # what an agreement can give to copies
OFFERS = ("hand-over", "share")  # only who leads does these
ANSWERS = ("accept", "decline")  # each for itself
ESCALATED_MAY = ("ack", "note")  # who is called because nobody answered may answer


class Standing(StrEnum):
    SITE = "runs the site"
    LEAD = "leads it"
    OFFERED = "is offered it"
    COPY = "has a copy"
    NONE = "has no part in it"


def standing_of(incident: Incident, agency: str) -> Standing:
    if not agency:
        return Standing.SITE
    route = route_of(incident, agency)
    if route is None:
        return Standing.NONE
    if route.lead:
        return Standing.LEAD
    return Standing.OFFERED if incident.offered_to == agency else Standing.COPY


def route_of(incident: Incident, agency: str) -> Routed | None:
    return next((r for r in incident.routed if r.agency == agency), None)


def lead_of(incident: Incident) -> Routed:
    return next(r for r in incident.routed if r.lead)


def refusal(incident: Incident, action: str, agency: str) -> str:
    """Why an agency may not do something with an incident, in a sentence; empty: it may."""
    standing, route = standing_of(incident, agency), route_of(incident, agency)
    if standing is Standing.NONE:
        return f"{agency} is none of its agencies: say for which you speak."
    if standing is Standing.LEAD or route is None or action in ANSWERS or action in route.may:
        return ""
    lead = lead_of(incident).agency
    if action in OFFERS:
        return f"Only {lead}, who leads it, offers it to others; {agency} {standing}."
    may = ", ".join((*route.may, *ANSWERS))
    return f"{agency} {standing}, and may {may}; to {action} it is for {lead}, who leads it."


def withheld_from_copies(ground: Ground, incident: Incident) -> tuple[str, ...]:
    """What whoever is given an incident is not given of it: all that its agreements, or its giver's, keep from anybody."""
    fields = {field for route in incident.routed for field in route.withheld}
    return tuple(sorted(fields | {field for a in _agreements(ground, incident) for field in a.withheld}))


def copies_may(ground: Ground, incident: Incident) -> tuple[str, ...]:
    """What whoever is given a copy may do with it: as the agreement that it was routed by says."""
    return next((a.copies_may for a in _agreements(ground, incident)), Routed.may)


def _agreements(ground: Ground, incident: Incident) -> list[Agreement]:
    named = {
        route.reason.removeprefix("agreement:") for route in incident.routed if route.reason.startswith("agreement:")
    }
    return [agreement for agreement in ground.agreements if agreement.id in named]
