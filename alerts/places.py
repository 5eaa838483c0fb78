"""Zones and lines: which tracks entered, stay, or crossed, from one scan to the next."""

import numpy as np
from numpy.typing import NDArray

from alerts.memory import Anchors, Memory, Stay, Stays, looked_up
from alerts.rules import Ground, Rule, watches
from alerts.subjects import WIDEST_BAND_M, Subjects, beyond, eligible, events_of
from geo.zones import crossings, distance_m, offset_m
from model.alerts import Event, EventKind
from model.time import NS

ZONE_KINDS = (EventKind.ENTERING, EventKind.DWELLING)


def first_memory(ground: Ground, time_ns: int) -> Memory:
    """Before any scan."""
    return Memory(
        time_ns,
        np.zeros(0, np.uint64),
        tuple(Stays.none() for _ in watches(ground.rules, *ZONE_KINDS)),
        tuple(Anchors.none() for _ in watches(ground.rules, EventKind.CROSSING)),
    )


def observed(ground: Ground, memory: Memory, subjects: Subjects) -> tuple[Memory, list[Event]]:
    """The memory after one scan, and what happened in it, in the order of the rules."""
    events: list[Event] = []
    stays, anchors = [], []
    for (rule, zone), before in zip(watches(ground.rules, *ZONE_KINDS), memory.stays, strict=True):
        after, happened = _stayed(ground, rule, zone, memory.known, before, subjects)
        stays.append(after)
        events += happened
    for (rule, line), clear in zip(watches(ground.rules, EventKind.CROSSING), memory.anchors, strict=True):
        moved, happened = _crossed(ground, rule, line, clear, subjects)
        anchors.append(moved)
        events += happened
    return Memory(subjects.time_ns, subjects.tracks.id, tuple(stays), tuple(anchors)), events


def _stayed(
    ground: Ground, rule: Rule, zone: int, known: NDArray[np.uint64], before: Stays, subjects: Subjects
) -> tuple[Stays, list[Event]]:
    tracks = subjects.tracks
    depth = -distance_m(ground.zones, zone, tracks.sector, tracks.mean[:, :2])
    band = np.minimum(rule.sigmas * subjects.sigma_m, _band_max_m(ground, zone))
    clearly_in, clearly_out = depth >= band, depth <= -band
    was, row = looked_up(tracks.id, before.track)
    seen_before, _ = looked_up(tracks.id, known)
    came = (was & (before.stay[row] == Stay.UNSURE)) if len(before) else np.zeros(len(was), np.bool_)
    came |= ~was & seen_before
    newborn = ~was & ~seen_before
    stay = np.where(was, before.stay[row], -1) if len(before) else np.full(len(was), -1)
    since = (
        np.where(was, before.since_ns[row], subjects.time_ns) if len(before) else np.full(len(was), subjects.time_ns)
    )
    entered = came & clearly_in
    stay = np.where(entered, Stay.ARRIVED, stay)
    stay = np.where(newborn & clearly_in, Stay.ARRIVED if rule.already_inside else Stay.INSIDE, stay)
    stay = np.where(newborn & ~clearly_in & ~clearly_out, Stay.UNSURE, stay)
    stay = np.where(clearly_out, -1, stay)
    since = np.where(entered, subjects.time_ns, since)
    able = eligible(rule, subjects)
    if rule.kind is EventKind.ENTERING:
        happens = (stay == Stay.ARRIVED) & able
        details: list[tuple[tuple[str, str | float], ...]] = [()] * int(happens.sum())
    else:
        happens = (stay >= Stay.ARRIVED) & able & (subjects.time_ns - since >= rule.dwell_ns)
        details = [(("dwell_s", float((subjects.time_ns - s) // NS)),) for s in since[happens].tolist()]
    rows = np.flatnonzero(happens)
    events = events_of(
        ground,
        rule,
        ground.zones.ids[zone],
        subjects,
        rows,
        beyond(depth, subjects.sigma_m)[rows],
        since[rows],
        details,
    )
    stay = np.where(happens, Stay.INSIDE, stay)
    kept = stay >= 0
    return Stays(tracks.id[kept], stay[kept].astype(np.int8), since[kept].astype(np.int64)), events


def _band_max_m(ground: Ground, zone: int) -> float:
    """A small zone has a narrow band, or nothing could ever be clearly inside it."""
    return min(WIDEST_BAND_M, float(np.sqrt(ground.zones.area_m2[zone])) / 4)


def _crossed(ground: Ground, rule: Rule, line: int, before: Anchors, subjects: Subjects) -> tuple[Anchors, list[Event]]:
    tracks = subjects.tracks
    here = tracks.mean[:, :2]
    was, row = looked_up(tracks.id, before.track)
    same = was & (before.sector[row] == tracks.sector) if len(before) else was
    start = np.where(same[:, None], before.position[row], here) if len(before) else here
    start_sigma = np.where(same, before.sigma_m[row], subjects.sigma_m) if len(before) else subjects.sigma_m
    found = crossings(ground.lines, tracks.sector, start, here)
    ours = found.line == line
    net = np.zeros(len(tracks), np.int64)
    np.add.at(net, found.segment[ours], found.direction[ours])
    over = np.flatnonzero(net)
    sigma = np.hypot(subjects.sigma_m[over], ground.lines.error_m[line])
    offset = net[over] * offset_m(ground.lines, line, tracks.sector[over], here[over])
    start_offset = -net[over] * offset_m(ground.lines, line, tracks.sector[over], start[over])
    clear = offset >= rule.sigmas * np.minimum(sigma, WIDEST_BAND_M)
    sure = clear & eligible(rule, subjects)[over]
    wanted = sure & ((rule.direction == 0) | (np.sign(net[over]) == rule.direction))
    rows = over[wanted]
    probability = beyond(offset, sigma) * beyond(start_offset, np.hypot(start_sigma[over], ground.lines.error_m[line]))
    events = events_of(
        ground,
        rule,
        ground.lines.ids[line],
        subjects,
        rows,
        probability[wanted],
        np.full(len(rows), subjects.time_ns),
        [(("direction", "inbound" if d > 0 else "outbound"),) for d in net[rows].tolist()],
    )
    stays_put = np.zeros(len(tracks), np.bool_)  # who may have crossed, but isn't sure to have, keeps the old anchor
    stays_put[over[~sure]] = True
    position = np.where(stays_put[:, None], start, here)
    anchor_sigma = np.where(stays_put, start_sigma, subjects.sigma_m)
    return Anchors(tracks.id, tracks.sector, position, anchor_sigma), events
