"""How tracks begin, are believed, and end."""

import numpy as np
from numpy.typing import NDArray

from fusion.association import NullDensities, Pairs, bank_of, detectable
from fusion.coverage import watched
from fusion.estimation import blended, largest_sigma, packed
from fusion.measurements import given, heading
from fusion.motion import as_matrices, begun, blocks, collapsed, habit_of, mixed, moved, seconds
from fusion.plates import fused
from fusion.roads import bent
from fusion.settings import Settings
from geo.frames import Sectors, moved_to_sector
from model.classes import CLASSES
from model.detections import Detections, Kind, Looks
from model.time import NS
from model.tracks import SENSORS_KEPT, Tracks
from model.world import SensorColumns

Array = NDArray[np.float64]
Rows = NDArray[np.int64]
NO_ROWS = np.zeros(0, np.int64)
DRIVING = 2  # the model of what keeps to roads
EXPECTED = np.array([0.40, 0.25, 0.25, 0.04, 0.02, 0.04])  # classes, before anything is known of a track
ON_LAND = np.array([1.0, 1.0, 1.0, 0.0, 0.0, 1.0])  # of those, who sets off a ground sensor or a fence
CLASS_FLOOR = 0.01  # no sensor's word makes a class impossible
EXISTENCE_MAX = 0.999  # nor anything certain
LOST_SIGMA_M = 2_000.0  # a track spread wider than this says nothing
SURVIVAL_S = 600.0  # mean time until a target is gone for good
OPEN_SHARE = 0.98  # of the time, nothing hides a target from who looks its way
STRANGER = 0.5  # how far a sensor that has never seen a track is believed to look its way
OPEN_S = 10.0  # and for this long it stays as it is


def born(detections: Detections, null: NullDensities, unknown: Array) -> Tracks:
    """A tentative track for each detection, each of which no known track explains with probability `unknown` (n,)."""
    n = len(detections)
    passing = (detections.kind == Kind.PRESENCE) | (detections.kind == Kind.CROSSING)
    expected = np.where(passing[:, None], EXPECTED * ON_LAND, EXPECTED)
    class_probability = _normalised((detections.class_likelihood + CLASS_FLOOR) * expected)
    bank, weight = begun(detections.position, detections.covariance), habit_of(class_probability)
    bank, weight = heading(bank, weight, detections)
    mean, covariance = as_matrices(collapsed(bank, weight))
    seen_by, seen_ns = np.full((n, SENSORS_KEPT), -1, np.int32), np.zeros((n, SENSORS_KEPT), np.int64)
    seen_by[:, 0], seen_ns[:, 0] = detections.sensor, detections.observed_ns
    named, read = detections.source != 0, detections.plate != 0
    return Tracks(
        id=_ids(detections),
        sector=detections.sector,
        born_ns=detections.observed_ns,
        seen_ns=detections.observed_ns,
        seen_by=detections.sensor,
        updated_ns=detections.observed_ns,
        mean=mean,
        covariance=covariance,
        bank=np.ascontiguousarray(bank.transpose(2, 0, 1)),
        weight=np.ascontiguousarray(weight.T),
        existence=np.minimum(unknown * null.undetected / null.density, EXISTENCE_MAX),
        visible=np.full(n, OPEN_SHARE),
        confirmed=np.zeros(n, np.bool_),
        class_probability=class_probability,
        hits=np.ones(n, np.int32),
        source=detections.source,
        source_ns=np.where(named, detections.observed_ns, 0),
        source_sensor=np.where(named, detections.sensor, -1).astype(np.int32),
        plate=detections.plate,
        plates=detections.plates,
        plate_share=detections.plate_share,
        plate_ns=np.where(read, detections.observed_ns, 0),
        plate_sensor=np.where(read, detections.sensor, -1).astype(np.int32),
        sensors=seen_by,
        sensors_ns=seen_ns,
    )


def continued(
    settings: Settings,
    sensors: SensorColumns,
    sectors: Sectors,
    tracks: Tracks,
    detections: Detections,
    frame: Rows,
    pairs: Pairs,
    chance: Array,
) -> Tracks:
    """All tracks, each updated frame by frame, in order of time, by the detections of its pairs with their probabilities."""
    if not len(pairs.track):
        return tracks
    order = np.lexsort((pairs.detection, frame[pairs.detection], pairs.track))
    track, detection, chance = pairs.track[order], pairs.detection[order], chance[order]
    # A side is one track in one frame; its turn is how many frames of this track came before.
    starts = np.flatnonzero((np.diff(track, prepend=-1) != 0) | (np.diff(frame[detection], prepend=-1) != 0))
    sizes = np.diff(np.append(starts, len(track)))
    first = np.flatnonzero(np.diff(track[starts], prepend=-1))
    counts = np.diff(np.append(first, len(starts)))
    turn = np.arange(len(starts)) - np.repeat(first, counts)
    rows, parts = track[starts[first]], []
    for part in blocks(len(rows)):
        ours = tracks.take(rows[part])
        sides = slice(first[part][0], first[part][-1] + counts[part][-1])
        whose = np.repeat(np.arange(len(ours)), counts[part])
        for number in range(int(counts[part].max())):
            now = np.flatnonzero(turn[sides] == number)
            heads, lengths = starts[sides][now], sizes[sides][now]
            of = np.repeat(np.arange(len(now)), lengths)
            which = np.arange(len(of)) + np.repeat(heads - (np.cumsum(lengths) - lengths), lengths)
            seen = detections.chosen(detection[which])
            one = ours if len(now) == len(ours) else ours.take(whose[now])
            one = moved_to_sector(sectors, one, detections.sector[detection[heads]])
            one = _updated(settings, sensors, sectors, one, seen, of, chance[which])
            ours = one if len(one) == len(ours) else ours.put(whose[now], one)
        parts.append(ours)
    return tracks.put(rows, Tracks.joined(parts))


def _updated(
    settings: Settings,
    sensors: SensorColumns,
    sectors: Sectors,
    ours: Tracks,
    seen: Detections,
    of: Rows,
    chance: Array,
) -> Tracks:
    """n tracks, each by one frame. Row k of `seen` belongs to track `of[k]` with probability `chance[k]`; `of` rises."""
    starts = np.flatnonzero(np.diff(of, prepend=-1))
    best = _best(of, chance, starts)
    when = seen.observed_ns[starts]
    bank, weight = bank_of(ours)
    bank = moved(bank, seconds(when - ours.updated_ns))
    wide, wide_weight = (bank, weight) if len(of) == len(ours) else (bank[..., of], weight[..., of])
    later, post = given(sensors, sectors, ours, of, wide, wide_weight, seen)
    certain = np.minimum(_sums(chance, starts), 1.0)
    bank, weight = blended(bank, (1 - certain) * weight, later, chance * post, of, starts)
    mean, covariance = as_matrices(collapsed(bank, weight))
    caught = ours.visible * detectable(sensors, seen.sensor[starts])
    left = ours.existence * (1 - caught) / (1 - ours.existence * caught)
    existence = np.minimum(certain + (1 - certain) * left, EXISTENCE_MAX)
    taken = certain > 0.5
    hits = ours.hits + taken
    told = _sums(chance[:, None] * seen.class_likelihood, starts) + (1 - certain)[:, None] / len(CLASSES)
    source, sensor = seen.source[best], seen.sensor[best]
    named, read = taken & (source != 0), taken & (seen.plate[best] != 0)
    plates, share = ours.plates, ours.plate_share
    if read.any():
        plates, share = plates.copy(), share.copy()
        rows = best[read]
        plates[read], share[read] = fused(plates[read], share[read], seen.plates[rows], seen.plate_share[rows])
    watchers, watchers_ns = _remembered(ours.sensors, ours.sensors_ns, sensor, when)
    return ours.but(
        seen_ns=np.where(taken, when, ours.seen_ns),
        seen_by=np.where(taken, sensor, ours.seen_by),
        updated_ns=when,
        mean=mean,
        covariance=covariance,
        bank=np.ascontiguousarray(bank.transpose(2, 0, 1)),
        weight=np.ascontiguousarray(weight.T),
        existence=existence,
        visible=certain + (1 - certain) * ours.visible,
        confirmed=ours.confirmed | ((existence >= settings.confirm_existence) & (hits >= 2)),
        class_probability=_normalised(ours.class_probability * (told + CLASS_FLOOR) + 1e-6),
        hits=hits,
        source=np.where(named, source, ours.source),
        source_ns=np.where(named, when, ours.source_ns),
        source_sensor=np.where(named, sensor, ours.source_sensor),
        plate=plates[:, 0],
        plates=plates,
        plate_share=share,
        plate_ns=np.where(read, when, ours.plate_ns),
        plate_sensor=np.where(read, sensor, ours.plate_sensor),
        sensors=np.where(taken[:, None], watchers, ours.sensors),
        sensors_ns=np.where(taken[:, None], watchers_ns, ours.sensors_ns),
    )


def _best(of: Rows, chance: Array, starts: Rows) -> Rows:
    """(n,) the likeliest row of each group."""
    if len(starts) == len(of):
        return starts
    order = np.lexsort((-chance, of))
    return np.asarray(order[starts])


def _sums(values: Array, starts: Rows) -> Array:
    """(n, …) the sum over each group of rows; a group begins at each of `starts` (n,)."""
    return values if len(starts) == len(values) else np.add.reduceat(values, starts)


def carried(settings: Settings, sensors: SensorColumns, tracks: Tracks, begin_ns: int, end_ns: int) -> Tracks:
    """All tracks as they are at the end of a scan, which is not before any of them was updated."""
    parts = [_carried(settings, sensors, tracks.take(part), begin_ns, end_ns) for part in blocks(len(tracks))]
    return Tracks.joined(parts)


def _carried(settings: Settings, sensors: SensorColumns, tracks: Tracks, begin_ns: int, end_ns: int) -> Tracks:
    dt = seconds(end_ns - tracks.updated_ns)
    # What is seen again and again has proved itself; what was seen twice may be two false alarms.
    lives_s = np.minimum(sensors.fades_s[tracks.seen_by] * np.maximum(tracks.hits - 1, 1), SURVIVAL_S)
    within_s = seconds(end_ns - np.maximum(tracks.born_ns, begin_ns))
    bank, weight = mixed(*bank_of(tracks), habit_of(tracks.class_probability), within_s)
    straight = moved(bank, dt)
    drives = np.flatnonzero(weight[DRIVING] > 0.5) if len(settings.roads.start) else NO_ROWS
    if len(drives):
        start = collapsed(bank[..., drives], weight[:, drives])[:4]
        straight[..., drives] = bent(settings.roads, tracks.sector[drives], start, straight[..., drives])
    bank = straight
    mean, covariance = as_matrices(collapsed(bank, weight))
    return tracks.but(
        updated_ns=np.full(len(tracks), end_ns, np.int64),
        mean=mean,
        covariance=covariance,
        bank=np.ascontiguousarray(bank.transpose(2, 0, 1)),
        weight=np.ascontiguousarray(weight.T),
        existence=tracks.existence * np.exp(-dt / lives_s),
        visible=OPEN_SHARE + (tracks.visible - OPEN_SHARE) * np.exp(-dt / OPEN_S),
    )


def unseen(sensors: SensorColumns, sectors: Sectors, tracks: Tracks, looks: Looks, after_ns: int) -> Tracks:
    """All tracks; those not seen since `after_ns` are less believed where sensors looked and did not see them.

    Who has seen a track before is taken at its word; of the others it is not known whether they can see the place at all, and of
    those whose view is not registered not even whether they look there.
    """
    rows = np.flatnonzero(tracks.seen_ns <= after_ns)
    looker, looked = np.unique(looks.sensor, return_counts=True)
    if not len(rows) or not len(looker):
        return tracks
    missing = tracks.chosen(rows)
    row, which, chance = watched(sensors, sectors, missing, looker)
    stranger = np.where(sensors.view_known[looker[which]], STRANGER, 0.0)
    knows = (missing.sensors[row] == looker[which][:, None]).any(axis=1)
    caught = detectable(sensors, looker[which]) * np.where(knows, 1.0, stranger)
    missed = np.exp(np.bincount(row, looked[which] * np.log1p(-chance * caught), len(rows)))
    # Being just outside the view explains this miss and the next ones too, so hidden is believed sooner than the chance of
    # being in view alone says: half-way, in logarithms, to its having been in view for certain.
    missable = missing.visible * missed + 1 - missing.visible
    both = missing.visible * np.exp(np.bincount(row, looked[which] * np.log1p(-np.sqrt(chance) * caught), len(rows)))
    left = missing.existence * missable
    existence, visible = tracks.existence.copy(), tracks.visible.copy()
    existence[rows], visible[rows] = left / (1 - missing.existence + left), both / missable
    return tracks.but(existence=existence, visible=visible)


def lasting(settings: Settings, tracks: Tracks, time_ns: int) -> NDArray[np.bool_]:
    """(n,) which tracks are kept."""
    believed = np.where(tracks.confirmed, 1e-6, settings.drop_existence)
    keep = (time_ns - tracks.seen_ns <= settings.memory_ns) & (tracks.existence >= believed)
    return np.asarray(keep & (largest_sigma(packed(tracks.covariance)) < LOST_SIGMA_M))


def within_bound(settings: Settings, tracks: Tracks) -> NDArray[np.bool_]:
    """(n,) which tracks are kept where there are more than `tracks_max`.

    Confirmed tracks come first, then the likeliest of each sensor in turn: what floods from one sensor displaces that sensor's
    own tracks and no other's.
    """
    n = len(tracks)
    if n <= settings.tracks_max:
        return np.ones(n, np.bool_)
    order = np.lexsort((tracks.id, -tracks.existence, tracks.seen_by, ~tracks.confirmed))
    confirmed, sensor = tracks.confirmed[order], tracks.seen_by[order]
    first = np.r_[True, (confirmed[1:] != confirmed[:-1]) | (sensor[1:] != sensor[:-1])]
    rank = np.arange(n) - np.maximum.accumulate(np.where(first, np.arange(n), 0))
    keep = np.zeros(n, np.bool_)
    keep[order[np.lexsort((sensor, rank, ~confirmed))[: settings.tracks_max]]] = True
    return keep


def at_hand(settings: Settings, sensors: SensorColumns, tracks: Tracks, time_ns: int) -> NDArray[np.bool_]:
    """(n,) which tracks any detection may continue; the others were seen too long ago, and may be found again.

    Too long: longer than a track may coast, and longer than its sensor takes to look again thrice.
    """
    patience_ns = 3 * NS / sensors.looks_per_s[tracks.seen_by]
    return np.asarray(~tracks.confirmed | (time_ns - tracks.seen_ns <= np.maximum(settings.coast_ns, patience_ns)))


def told(settings: Settings, tracks: Tracks, time_ns: int) -> NDArray[np.bool_]:
    """(n,) which tracks the world is told of: all but those that are only remembered."""
    believed = (tracks.existence >= settings.told_existence) & ~vague(settings, tracks)
    return np.asarray(~tracks.confirmed | (believed & (time_ns - tracks.seen_ns <= settings.coast_ns)))


def vague(settings: Settings, tracks: Tracks) -> NDArray[np.bool_]:
    """(n,) which tracks are too uncertain of where they are to be shown anywhere."""
    return np.asarray((tracks.covariance[:, 0, 0] + tracks.covariance[:, 1, 1]) / 2 > settings.vague_m**2)


def _normalised(weights: Array) -> Array:
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))


def _remembered(
    sensors: NDArray[np.int32], times_ns: NDArray[np.int64], sensor: NDArray[np.int32], time_ns: NDArray[np.int64]
) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """The sensors that saw each track with one more: in its own place, or in that of the longest unseen."""
    known = sensors == sensor[:, None]
    slot = np.where(known.any(axis=1), known.argmax(axis=1), times_ns.argmin(axis=1))
    sensors, times_ns, row = sensors.copy(), times_ns.copy(), np.arange(len(slot))
    sensors[row, slot], times_ns[row, slot] = sensor, time_ns
    return sensors, times_ns


def _ids(detections: Detections) -> NDArray[np.uint64]:
    """(n,) keys made from what founded each track, so that the same detections always give the same ids."""
    millimetres = np.round(detections.position * 1000).astype(np.int64)
    key = np.zeros(len(detections), np.uint64)
    for part in (detections.observed_ns, detections.sector, millimetres[:, 0], millimetres[:, 1]):
        key = _mixed(key ^ part.astype(np.int64).view(np.uint64))
    return key


def _mixed(key: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """SplitMix64's finaliser (Steele, Lea & Flood 2014)."""
    key = key + np.uint64(0x9E3779B97F4A7C15)
    key = (key ^ (key >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    key = (key ^ (key >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return key ^ (key >> np.uint64(31))
