"""The whole of Marchwarden as one pure function: the table of contents of what happens to a message.

The live service, offline replay and everything else that runs the pipeline call `advance`, through `steps`.
"""

from dataclasses import dataclass, replace

import numpy as np

from alerts.dispatch import dispatched
from alerts.judge import AlertsState, judged, untold
from alerts.rules import Ground
from fusion.order import FusionState, at_rest, fuse
from fusion.settings import Settings
from geo.frames import Sectors
from geo.zones import Zones
from model.alerts import Action, Alert, Delivery, Withheld
from model.detections import Detections
from model.faults import Fault, FaultKind, fault_of
from model.health import Health
from model.messages import ACTION_TOPIC, Aside, Messages
from model.rejections import Reason, Rejection
from model.time import NS
from model.tracks import Scan, What
from runtime.inbox import opened
from sensors.catalogue import Catalogue
from sensors.decode import decode
from sensors.health import advance_health, not_listened, unheard
from sensors.intake import Intake
from sensors.placing import place
from sensors.readings import Picture, PlateText
from sensors.repeats import Seen


@dataclass(frozen=True)
class World:
    """What configuration says. Never changes in a step."""

    sectors: Sectors
    zones: Zones
    catalogue: Catalogue
    fusion: Settings
    ground: Ground


@dataclass(frozen=True)
class State:
    """All that does change. A value: snapshots, replays and crash recovery rest on that."""

    now_ns: int  # received time up to which everything has been taken in
    heard_ns: int  # when the last message of any kind arrived
    listening: bool  # connected to the broker, so that hearing nothing means something
    seen: Seen
    intake: Intake
    health: Health
    fusion: FusionState
    alerts: AlertsState


@dataclass(frozen=True)
class Outcome:
    """What a step has to say to the world outside."""

    now_ns: int
    detections: Detections  # all that were placed, also those too late for tracking
    scans: tuple[Scan, ...]  # closed or run again
    alerts: tuple[Alert, ...]
    deliveries: tuple[Delivery, ...]
    withheld: tuple[Withheld, ...]  # what raised nothing, and why
    answers: tuple[tuple[str, str], ...]  # to what people asked: (request, empty or why it could not be done)
    rejections: tuple[Rejection, ...]
    plates: tuple[PlateText, ...]  # to be sealed at once
    pictures: tuple[Picture, ...]  # likewise
    faults: tuple[Fault, ...]  # of the system, as far as they were noticed in this step
    aside: tuple[Aside, ...] = ()  # to be kept for the maintainer


def beginning(world: World, now_ns: int) -> State:
    """The state of a service that has never heard anything."""
    sensors = len(world.catalogue)
    health = unheard(sensors, now_ns)
    return State(now_ns, now_ns, True, Seen.none(), Intake.initial(sensors), health, at_rest(), untold())


def carried_over(world: World, state: State) -> State:
    """A fresh state that keeps what does not refer to sensors and places by number: incidents, silences, recognised messages."""
    rules, alerts = {rule.id for rule in world.ground.rules}, state.alerts
    kept = tuple(i for i in alerts.incidents if any(h.rule in rules for h in i.happenings))
    fresh = beginning(world, state.now_ns)
    return replace(
        fresh,
        heard_ns=state.heard_ns,
        listening=state.listening,
        seen=state.seen,
        alerts=replace(alerts, memories=(), incidents=kept),
    )


def advance(
    world: World, state: State, messages: Messages, now_ns: int, noticed: tuple[Fault, ...] = ()
) -> tuple[State, Outcome]:
    """The state at `now_ns`, after `messages`, all received since the state's own time and not after `now_ns`.

    `noticed` are faults that come from outside the step: those of an attempt at it that raised an exception.
    """
    inbox = opened(messages, state.heard_ns, state.listening, state.now_ns, now_ns)
    seen, intake, heard = decode(world.catalogue, state.seen, state.intake, messages)
    detections, unplaced = place(world.catalogue, world.sectors, world.zones, heard.readings)
    health = advance_health(world.catalogue, not_listened(state.health, inbox.deaf_ns), heard, unplaced)
    fusion, fused = fuse(
        world.fusion,
        world.catalogue.columns,
        world.sectors,
        state.fusion,
        detections,
        heard.looks,
        inbox.idle_since(now_ns, world.fusion.idle_ns),
    )
    shed = _shed_tracks(world, fused.scans, now_ns)
    faults = (*noticed, *heard.faults, *inbox.faults, *(fault for _, fault in shed))
    alerts, said = judged(
        world.ground,
        state.alerts,
        detections,
        heard.units,
        fused.scans,
        health,
        inbox.actions,
        state.now_ns,
        now_ns,
        faults,
    )
    outcome = Outcome(
        now_ns=now_ns,
        detections=detections,
        scans=fused.scans,
        alerts=said.alerts,
        deliveries=dispatched(world.ground, said.alerts),
        withheld=said.withheld,
        answers=_answers(inbox.actions, said.refused),
        rejections=(
            *heard.rejections,
            *unplaced,
            *inbox.rejections,
            *_too_late(world, fused.too_late),
            *(rejection for rejection, _ in shed),
            *_refused(said.refused),
        ),
        plates=heard.plates,
        pictures=heard.pictures,
        faults=(*faults, *said.faults),
        aside=heard.aside,
    )
    return State(now_ns, inbox.heard_ns, inbox.listening, seen, intake, health, fusion, alerts), outcome


def _too_late(world: World, rows: Detections) -> tuple[Rejection, ...]:
    """Rows that no scan could take any more. The history has them; tracking and alerts do not."""
    detail = f"Later than {world.fusion.lateness_ns / NS:g} s: too late for tracking, kept in the history."
    sensors = [world.catalogue.sensors[row] for row in rows.sensor.tolist()]
    return tuple(
        Rejection(received_ns, sensor.feed, Reason.TOO_LATE, detail, sensor.id)
        for received_ns, sensor in zip(rows.received_ns.tolist(), sensors, strict=True)
    )


def _shed_tracks(world: World, scans: tuple[Scan, ...], now_ns: int) -> tuple[tuple[Rejection, Fault], ...]:
    """What is said of tracks that there was no room for, of each sensor that saw them last."""
    sensors = [s.reasons.sensor[s.reasons.what == What.SHED] for s in scans]
    if not any(map(len, sensors)):
        return ()
    detail = f"More than {world.fusion.tracks_max:,} tracks (limits.tracks_max): the least likely of this sensor's were dropped."
    rows, counts = np.unique(np.concatenate(sensors), return_counts=True)
    entries = [world.catalogue.sensors[row] for row in rows.tolist()]
    return tuple(
        (
            Rejection(now_ns, entry.feed, Reason.OVER_LIMIT, detail, entry.id, count),
            fault_of(FaultKind.LOAD_SHED, entry.id, detail, now_ns),
        )
        for entry, count in zip(entries, counts.tolist(), strict=True)
    )


def _answers(actions: tuple[Action, ...], refused: tuple[tuple[Action, str], ...]) -> tuple[tuple[str, str], ...]:
    reasons = {action.request: reason for action, reason in refused}
    return tuple((action.request, reasons.get(action.request, "")) for action in actions if action.request)


def _refused(actions: tuple[tuple[Action, str], ...]) -> tuple[Rejection, ...]:
    """What people wanted and could not have."""
    return tuple(
        Rejection(action.received_ns, ACTION_TOPIC, Reason.ACTION_REFUSED, f"{action.action} by {action.by}: {reason}")
        for action, reason in actions
    )
