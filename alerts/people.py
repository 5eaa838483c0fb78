"""What people do with incidents: acknowledge, assign, resolve, hand over, merge, split, silence.

What cannot be done is answered with a reason, and counted; it never stops anything.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from hashlib import blake2b

from alerts.feedback import DISPOSITIONS, counted
from alerts.incidents import merged_pair, split
from alerts.quiet import FIELDS
from alerts.revisions import Why, is_open, revised
from alerts.rules import Ground
from alerts.standing import copies_may, lead_of, refusal, route_of, withheld_from_copies
from model.alerts import Action, Alert, Incident, Routed, Silence, Stance, Tally
from model.time import NS
from model.tracks import name_of

LONGEST_SILENCE_NS = 31 * 86_400 * NS


class Refusal(Exception):
    """Why an action cannot be done, in a sentence."""


@dataclass(frozen=True)
class Desk:
    """All that people's actions change."""

    incidents: dict[str, Incident]
    silences: tuple[Silence, ...]
    tallies: tuple[Tally, ...]


def acted(
    ground: Ground, desk: Desk, actions: Iterable[Action], clock_ns: int
) -> tuple[Desk, tuple[Alert, ...], tuple[tuple[Action, str], ...]]:
    """The desk after what people did; the alerts that say so; and the actions that could not be done, with the reason."""
    alerts: list[Alert] = []
    refused: list[tuple[Action, str]] = []
    for action in actions:
        try:
            desk, told = _done(ground, desk, action, clock_ns)
        except Refusal as refusal:
            refused.append((action, str(refusal)))
            continue
        alerts += told
    return desk, tuple(alerts), tuple(refused)


def _done(ground: Ground, desk: Desk, action: Action, clock_ns: int) -> tuple[Desk, list[Alert]]:
    if action.action == "silence":
        return replace(desk, silences=_silenced(ground, desk.silences, action)), []
    if action.action == "unsilence":
        return replace(desk, silences=_unsilenced(desk.silences, action)), []
    incident = desk.incidents.get(action.alert)
    if incident is None:
        raise Refusal(f"{action.alert or 'No alert'} is over and forgotten, or never was.")
    doing = DOING.get(action.action)
    if doing is None:
        raise Refusal(f"{action.action!r} is none of {', '.join((*DOING, 'silence', 'unsilence'))}.")
    _hold_to_standing(incident, action)
    told = doing(ground, desk, incident, action, clock_ns)
    desk = replace(desk, incidents=desk.incidents | {a.incident.key: a.incident for a in told})
    if action.action == "resolve":
        desk = replace(desk, tallies=counted(desk.tallies, incident, action.note))
    return desk, told


def _ack(ground: Ground, _: Desk, incident: Incident, action: Action, clock_ns: int) -> list[Alert]:
    done = replace(incident, acknowledged_by=action.by, acknowledged_ns=action.received_ns)
    return [_told(ground, done, Why.ACKNOWLEDGED, action, clock_ns)]


def _assign(ground: Ground, _: Desk, incident: Incident, action: Action, clock_ns: int) -> list[Alert]:
    if not action.to:
        raise Refusal("Name who it is assigned to.")
    return [_told(ground, replace(incident, assigned_to=action.to), Why.ASSIGNED, action, clock_ns, action.to)]


def _note(ground: Ground, _: Desk, incident: Incident, action: Action, clock_ns: int) -> list[Alert]:
    if not action.note:
        raise Refusal("The note is empty.")
    return [_told(ground, incident, Why.NOTED, action, clock_ns)]


def _resolve(ground: Ground, _: Desk, incident: Incident, action: Action, clock_ns: int) -> list[Alert]:
    if action.note not in DISPOSITIONS:
        raise Refusal(f"{action.note!r} is no disposition: {', '.join(DISPOSITIONS)}.")
    if incident.resolution:
        raise Refusal(f"It was resolved as {incident.resolution} by {incident.resolved_by}.")
    done = replace(incident, resolution=action.note, resolved_by=action.by)
    return [_told(ground, done, Why.RESOLVED, action, clock_ns)]


def _accept(ground: Ground, _: Desk, incident: Incident, action: Action, clock_ns: int) -> list[Alert]:
    """Who accepts holds it from now on, if its holder offered or declined it."""
    route = _route(incident, action.agency)
    holder = lead_of(incident)
    takes = not route.lead and (incident.offered_to == route.agency or holder.stance is Stance.DECLINED)
    routed = tuple(
        replace(r, stance=Stance.ACCEPTED, lead=r.lead or takes, since_ns=action.received_ns if takes else r.since_ns)
        if r.agency == route.agency
        else replace(r, lead=r.lead and not takes)
        for r in incident.routed
    )
    settled = takes or route.lead
    done = replace(
        incident,
        routed=routed,
        disputed=incident.disputed and not settled,
        offered_to="" if settled else incident.offered_to,
    )
    return [_told(ground, done, Why.ACCEPTED, action, clock_ns, action.agency)]


def _decline(ground: Ground, _: Desk, incident: Incident, action: Action, clock_ns: int) -> list[Alert]:
    """Who holds it goes on holding it until another accepts; till then it is disputed."""
    route = _route(incident, action.agency)
    asked = route.lead or incident.offered_to == route.agency
    done = replace(
        incident,
        routed=tuple(replace(r, stance=Stance.DECLINED) if r is route else r for r in incident.routed),
        disputed=incident.disputed or asked,
        offered_to="" if incident.offered_to == route.agency else incident.offered_to,
    )
    return [_told(ground, done, Why.DECLINED, action, clock_ns, action.agency)]


def _hand_over(ground: Ground, _: Desk, incident: Incident, action: Action, clock_ns: int) -> list[Alert]:
    """Offered to another agency, which is told of it; the holder keeps it until that one accepts."""
    holder = lead_of(incident)
    if action.to == holder.agency:
        raise Refusal(f"{action.to!r} holds it already.")
    done = replace(_with(ground, incident, action, f"offered_by:{holder.agency}"), offered_to=action.to)
    return [_told(ground, done, Why.OFFERED, action, clock_ns, action.to)]


def _share(ground: Ground, _: Desk, incident: Incident, action: Action, clock_ns: int) -> list[Alert]:
    """A joint incident: another agency gets it too, with the one log."""
    if action.to in {r.agency for r in incident.routed}:
        raise Refusal(f"{action.to!r} has it already.")
    done = _with(ground, incident, action, f"shared_by:{lead_of(incident).agency}")
    return [_told(ground, done, Why.SHARED, action, clock_ns, action.to)]


def _merge(ground: Ground, desk: Desk, incident: Incident, action: Action, clock_ns: int) -> list[Alert]:
    into = desk.incidents.get(action.to)
    if into is None or into.key == incident.key:
        raise Refusal(f"{action.to!r} is no other alert.")
    if not is_open(into) or not is_open(incident):
        raise Refusal("Only alerts that are not over can be merged.")
    _hold_to_standing(into, action)
    return list(merged_pair(ground, into, incident, clock_ns, action.received_ns, action.by))


def _split(ground: Ground, _: Desk, incident: Incident, action: Action, clock_ns: int) -> list[Alert]:
    if not is_open(incident):
        raise Refusal("It is over: only what goes on can be split.")
    pair = split(ground, incident, action.subjects, None, clock_ns, action.received_ns, action.by)
    if pair is None:
        raise Refusal("Name some of its subjects, and leave it some.")
    return list(pair)


DOING: dict[str, Callable[[Ground, Desk, Incident, Action, int], list[Alert]]] = {
    "ack": _ack,
    "assign": _assign,
    "note": _note,
    "resolve": _resolve,
    "accept": _accept,
    "decline": _decline,
    "hand-over": _hand_over,
    "share": _share,
    "merge": _merge,
    "split": _split,
}


def _told(ground: Ground, incident: Incident, why: Why, action: Action, clock_ns: int, about: str = "") -> Alert:
    note = ": ".join(part for part in (about, action.note) if part)
    return revised(ground, incident, why, clock_ns, action.received_ns, action.by, note)


def _hold_to_standing(incident: Incident, action: Action) -> None:
    reason = refusal(incident, action.action, action.agency)
    if reason:
        raise Refusal(reason)


def _route(incident: Incident, agency: str) -> Routed:
    route = route_of(incident, agency)
    if route is None:
        raise Refusal(f"{agency or 'Nobody'} is none of its agencies: say for which you speak.")
    return route


def _with(ground: Ground, incident: Incident, action: Action, reason: str) -> Incident:
    if action.to not in ground.agency_of:
        raise Refusal(f"{action.to!r} is no agency.")
    if action.to in {r.agency for r in incident.routed}:
        return incident
    withheld, may = withheld_from_copies(ground, incident), copies_may(ground, incident)
    route = Routed(action.to, False, reason, withheld=withheld, since_ns=action.received_ns, may=may)
    return replace(incident, routed=(*incident.routed, route))


def _silenced(ground: Ground, silences: tuple[Silence, ...], action: Action) -> tuple[Silence, ...]:
    """An agency's silence keeps it from itself; one of no agency, from everybody."""
    if action.agency and action.agency not in ground.agency_of:
        raise Refusal(f"{action.agency!r} is no agency.")
    if not action.note:
        raise Refusal("A silence needs a reason.")
    if not action.matchers or not all(value for _, value in action.matchers):
        raise Refusal("A silence of everything is none: say what it matches.")
    unknown = [field for field, _ in action.matchers if field not in FIELDS]
    if unknown:
        raise Refusal(f"{unknown[0]!r} is none of {', '.join(FIELDS)}.")
    if not action.received_ns < action.until_ns <= action.received_ns + LONGEST_SILENCE_NS:
        raise Refusal("A silence ends within a month, and not before it begins.")
    said = repr((action.by, action.note, action.matchers, action.until_ns, action.received_ns)).encode()
    id = "S" + name_of(int.from_bytes(blake2b(said, digest_size=8).digest()))[1:]
    fresh = Silence(id, action.by, action.note, action.received_ns, action.until_ns, action.matchers, action.agency)
    return (*(s for s in silences if s.until_ns > action.received_ns), fresh)


def _unsilenced(silences: tuple[Silence, ...], action: Action) -> tuple[Silence, ...]:
    ended = next((s for s in silences if s.id == action.to), None)
    if ended is None:
        raise Refusal(f"{action.to!r} is no silence.")
    if action.agency not in ("", ended.agency):
        raise Refusal(
            f"{action.to} is {f'of {ended.agency}' if ended.agency else 'for all agencies'}: not yours to end."
        )
    return tuple(s for s in silences if s.id != action.to)
