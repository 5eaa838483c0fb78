"""Lines: which tracks have crossed, from where they last stood clear of one to where they stand now."""

import numpy as np
from numpy.typing import NDArray

from alerts.memory import Anchors, Told, by_track, looked_up, remembered_of
from alerts.rules import Ground, Rule
from alerts.schedule import in_force
from alerts.subjects import Subjects, band_m, beyond, events_of
from geo.zones import crossings, offset_m
from model.alerts import Detail, Event

Mask = NDArray[np.bool_]


def crossed(
    ground: Ground, rule: Rule, line: int, before: Anchors, subjects: Subjects, able: Mask
) -> tuple[Anchors, list[Event], list[Event]]:
    """The anchors after a scan; the crossings to raise; and those that are withheld, of units of ours.

    An anchor stays where it is until its track is clearly over, for long enough, and sure enough to be told of: who crosses
    before he is confirmed is told of once he is.
    """
    tracks, now_ns, n = subjects.tracks, subjects.time_ns, len(subjects.tracks)
    here = tracks.mean[:, :2]
    was, row = looked_up(tracks.id, before.track)
    rows = before.take(row) if len(before) else Anchors.blank(n)
    same = was & (rows.sector == tracks.sector)
    start = np.where(same[:, None], rows.position, here)
    start_sigma = np.where(same, rows.sigma_m, subjects.sigma_m)
    net = _net(ground, line, subjects, start, here)
    over = np.flatnonzero(net)
    sigma = np.hypot(subjects.sigma_m[over], ground.lines.error_m[line])
    offset = net[over] * offset_m(ground.lines, line, tracks.sector[over], here[over])
    clear = offset >= band_m(rule, sigma)
    over_ns, told = np.zeros(n, np.int64), np.full(n, Told.NOTHING, np.int8)
    first_ns = np.where(same & (rows.over_ns > 0), rows.over_ns, now_ns)
    over_ns[over[clear]] = first_ns[over[clear]]
    told[over] = np.where(same, rows.told, Told.NOTHING)[over]
    ripe = np.zeros(n, np.bool_)
    ripe[over] = clear & able[over] & (now_ns - first_ns[over] >= rule.confirm_ns)
    meant = (rule.direction == 0) | (np.sign(net) == rule.direction)
    counts = ripe & meant & in_force(rule.schedule, now_ns)
    ours = subjects.unit != 0
    withheld, waits = counts & ours & (told == Told.NOTHING), counts & (ours | subjects.perhaps)
    raised = counts & ~waits
    told[withheld] = Told.WITHHELD
    back = -net[over] * offset_m(ground.lines, line, tracks.sector[over], start[over])
    probability = np.zeros(n)
    probability[over] = beyond(offset, sigma) * beyond(back, np.hypot(start_sigma[over], ground.lines.error_m[line]))
    events = [
        _events(ground, rule, line, subjects, np.flatnonzero(which), probability, over_ns, net)
        for which in (raised, withheld)
    ]
    stays = np.zeros(n, np.bool_)  # who may have crossed, but isn't known to have, keeps the old anchor
    stays[over] = ~ripe[over] | waits[over]
    after = Anchors(
        tracks.id,
        np.full(n, now_ns, np.int64),
        tracks.sector,
        np.where(stays[:, None], start, here),
        np.where(stays, start_sigma, subjects.sigma_m),
        np.where(stays, over_ns, 0),
        np.where(stays, told, Told.NOTHING).astype(np.int8),
    )
    absent = before.take(remembered_of(before, tracks.id, now_ns))
    return by_track(Anchors.joined([after, absent])), events[0], events[1]


def _net(
    ground: Ground, line: int, subjects: Subjects, start: NDArray[np.float64], here: NDArray[np.float64]
) -> NDArray[np.int64]:
    """(n,) how often each way from its anchor leads over the line, inbound less outbound."""
    found = crossings(ground.lines, subjects.tracks.sector, start, here)
    ours = found.line == line
    net = np.zeros(len(here), np.int64)
    np.add.at(net, found.segment[ours], found.direction[ours])
    return net


def _events(
    ground: Ground,
    rule: Rule,
    line: int,
    subjects: Subjects,
    rows: NDArray[np.int64],
    probability: NDArray[np.float64],
    over_ns: NDArray[np.int64],
    net: NDArray[np.int64],
) -> list[Event]:
    details: list[Detail] = [(("direction", "inbound" if d > 0 else "outbound"),) for d in net[rows].tolist()]
    return events_of(ground, rule, ground.lines.ids[line], subjects, rows, probability[rows], over_ns[rows], details)
