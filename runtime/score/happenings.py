"""What truly happened: from where targets really were to what a site's rules ask for, target by target.

Worked out from geometry alone and second by second, without anything of the alerting that it is to judge. What one target does
without a long break is one happening, and so is what several do near each other at one time.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import KDTree

from alerts.rules import Rule
from geo.frames import NOWHERE, geocentric_from_plane, geocentric_from_wgs84, plane_from_wgs84, sector_of
from geo.zones import distance_m, offset_m
from model.alerts import EventKind
from model.classes import CLASS_INDEX
from model.time import NS
from runtime.advance import World
from runtime.score.score import Row
from sensors.plates import token

Array = NDArray[np.float64]
ABOUT_S = 15  # a happening was seen when its target was in view for long enough this close to it, in time
FORGOTTEN_S = 600  # unseen for so long, nobody can say that it is the same
COMPANY_S = 5  # groups are looked for this often
COURSE_S = 30  # who go together have come the same way for so long: who walks past some who sit has no part in theirs
ALIKE_MPS = 0.7  # and differ in velocity, over that time, by no more than this


@dataclass(frozen=True)
class Path:
    """One target: where it was, each second that it was there."""

    target: str
    what: str
    unit: str
    plate: str
    second: NDArray[np.int64]  # (n,) since the epoch
    sector: NDArray[np.int16]  # (n,)
    place: Array  # (n, 2) m in the plane of its sector at that second, for lines and zones
    earth: Array  # (n, 3) m earth-centred, for distances to others and between seconds
    in_view: NDArray[np.bool_]  # (n,)


@dataclass(frozen=True, eq=False)
class Deed:
    """What one target did, under one rule."""

    target: str
    rule: str
    kind: EventKind
    second: int
    earth: Array  # (3,) m
    seen: bool  # its target was in view about that time for long enough


@dataclass
class Happening:
    """Deeds that belong together."""

    deeds: list[Deed]
    targets: set[str]
    start: int  # s
    end: int  # s, when its last target was last in view

    @property
    def seen(self) -> bool:
        return any(deed.seen for deed in self.deeds)


def paths_of(world: World, truth: Iterable[tuple[int, Row]]) -> dict[str, Path]:
    """By target, from the rows of a truth file; without the seconds that it was beyond every sector, where nothing is judged."""
    rows: dict[str, list[tuple[int, Row]]] = defaultdict(list)
    for time_ns, row in truth:
        rows[row.target].append((time_ns // NS, row))
    paths = {}
    for target, said in rows.items():
        said.sort(key=lambda pair: pair[0])
        lat, lon = np.array([r.lat for _, r in said]), np.array([r.lon for _, r in said])
        sector = sector_of(world.sectors, lat, lon)
        inside = sector != NOWHERE
        if not inside.any():
            continue
        lat, lon, sector = lat[inside], lon[inside], sector[inside]
        first = said[0][1]
        paths[target] = Path(
            target,
            str(first.class_),
            first.unit,
            first.plate,
            np.array([s for s, _ in said])[inside],
            sector,
            plane_from_wgs84(world.sectors, sector, lat, lon),
            geocentric_from_wgs84(lat, lon),
            np.array([r.in_view for _, r in said])[inside],
        )
    return paths


def happenings_of(world: World, paths: dict[str, Path], seen_s: int = 10) -> list[Happening]:
    """All that happened, in order of time."""
    deeds = [deed for path in paths.values() if not path.unit for deed in _deeds(world, path, seen_s)]
    deeds += [
        deed for rule in world.ground.rules if rule.kind is EventKind.GROUP for deed in _groups(rule, paths, seen_s)
    ]
    return _together(world, paths, sorted(deeds, key=lambda d: (d.second, d.target, d.rule)))


# ── what one target does ─────────────────────────────────────────────────────────────────────────


def _deeds(world: World, path: Path, seen_s: int) -> Iterable[Deed]:
    for rule in world.ground.rules:
        if rule.kind is EventKind.WATCHED_PLATE:
            yield from _read(world, rule, path, seen_s)
        elif CLASS_INDEX[path.what] in rule.classes:
            for place in rule.places if rule.kind in WAYS else ():
                for at in WAYS[rule.kind](world, rule, place, path):
                    yield _deed(path, rule, at, seen_s)


def _deed(path: Path, rule: Rule, at: int, seen_s: int) -> Deed:
    near = np.abs(path.second - path.second[at]) <= ABOUT_S
    return Deed(
        path.target, rule.id, rule.kind, int(path.second[at]), path.earth[at], int(path.in_view[near].sum()) >= seen_s
    )


def _crossed(world: World, rule: Rule, line: int, path: Path) -> list[int]:
    side = _settled(offset_m(world.ground.lines, line, path.sector, path.place), max(rule.hysteresis_m, 1.0))
    changes = np.flatnonzero(np.diff(side)) + 1
    return [i for i in changes.tolist() if rule.direction in (0, side[i]) and side[i - 1] != 0]


def _entered(world: World, rule: Rule, zone: int, path: Path) -> list[int]:
    inside = _inside(world, rule, zone, path)
    changes = (np.flatnonzero(np.diff(inside) > 0) + 1).tolist()
    return [i for i in changes if inside[i - 1] == -1 or rule.already_inside]


def _left(world: World, rule: Rule, zone: int, path: Path) -> list[int]:
    inside = _inside(world, rule, zone, path)
    return [i for i in (np.flatnonzero(np.diff(inside) < 0) + 1).tolist() if inside[i - 1] == 1]


def _dwelt(world: World, rule: Rule, zone: int, path: Path) -> list[int]:
    inside = (_inside(world, rule, zone, path) > 0) & ~_forgotten(path)
    edges = np.flatnonzero(np.diff(np.r_[False, inside, False]))
    need_s = rule.confirm_ns // NS
    return [
        int(np.searchsorted(path.second, path.second[start] + need_s))
        for start, end in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True)
        if path.second[end - 1] - path.second[start] >= need_s
    ]


def _forgotten(path: Path) -> NDArray[np.bool_]:
    """(n,) while it has been out of view for so long that, seen again, it is somebody new."""
    last = np.maximum.accumulate(np.where(path.in_view, path.second, path.second[0]))
    return np.asarray(path.second - last > FORGOTTEN_S)


def _inside(world: World, rule: Rule, zone: int, path: Path) -> NDArray[np.int64]:
    return _settled(-distance_m(world.ground.zones, zone, path.sector, path.place), max(rule.hysteresis_m, 1.0))


def _settled(depth: Array, band: float) -> NDArray[np.int64]:
    """(n,) +1 or -1 by the last time it was clearly so; 0 before it first was."""
    said = np.where(depth >= band, 1, np.where(depth <= -band, -1, 0))
    known = np.maximum.accumulate(np.where(said != 0, np.arange(len(said)), -1))
    return np.where(known >= 0, said[known], 0)


WAYS = {
    EventKind.CROSSING: _crossed,
    EventKind.ENTERING: _entered,
    EventKind.LEAVING: _left,
    EventKind.DWELLING: _dwelt,
}


def _read(world: World, rule: Rule, path: Path, seen_s: int) -> Iterable[Deed]:
    """Past a plate reader, with a plate that is watched."""
    if not path.plate or token(world.catalogue.plate_key, path.plate) not in rule.watch_list.token:
        return
    columns = world.catalogue.columns
    readers = geocentric_from_plane(world.sectors, columns.sector, columns.position)
    for row, sensor in enumerate(world.catalogue.sensors):
        if sensor.kind == "plate_reader":
            apart = np.linalg.norm(path.earth - readers[row], axis=1)
            near = (apart <= world.catalogue.columns.range_m[row]) & path.in_view
            for start in np.flatnonzero(np.diff(np.r_[False, near].astype(int)) > 0).tolist():
                yield _deed(path, rule, start, min(seen_s, 1))


# ── what several do ──────────────────────────────────────────────────────────────────────────────


def _groups(rule: Rule, paths: dict[str, Path], seen_s: int) -> Iterable[Deed]:
    """The first second at which each target has been in a large enough company for long enough, of each time that it is."""
    ours = [p for p in paths.values() if not p.unit and CLASS_INDEX[p.what] in rule.classes]
    seconds: dict[int, list[tuple[Path, int]]] = defaultdict(list)
    for path in ours:
        for i in np.flatnonzero(path.second % COMPANY_S == 0).tolist():
            seconds[int(path.second[i])].append((path, i))
    since: dict[str, tuple[int, int]] = {}
    for second, there in sorted(seconds.items()):
        places = np.array([p.earth[i] for p, i in there])
        velocity = np.array([_velocity(p, i) for p, i in there])
        pairs = KDTree(places).query_pairs(rule.within_m, output_type="ndarray")
        pairs = pairs[np.linalg.norm(velocity[pairs[:, 0]] - velocity[pairs[:, 1]], axis=1) <= ALIKE_MPS]
        graph = coo_array((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(len(there),) * 2)
        _, label = connected_components(graph)
        size = np.bincount(label)[label]
        for (path, i), count in zip(there, size.tolist(), strict=True):
            if count < rule.count_min:
                continue
            first, last = since.get(path.target, (second, second))
            if second - last > COMPANY_S:
                first = second
            since[path.target] = (first, second)
            if 0 <= second - first - rule.confirm_ns // NS < COMPANY_S:
                yield _deed(path, rule, i, seen_s)


def _together(world: World, paths: dict[str, Path], deeds: list[Deed]) -> list[Happening]:
    """Deeds of one target without a long break are one happening, and who does his first near others has a part in theirs."""
    happenings: list[Happening] = []
    for deed in deeds:
        rule = world.ground.rule_of[deed.rule]
        lately = [h for h in happenings if deed.second <= h.end + rule.clear_after_ns // NS]
        home = next((h for h in lately if deed.target in h.targets), None) or _near(paths, rule, lately, deed)
        if home is None:
            home = Happening([], set(), deed.second, deed.second)
            happenings.append(home)
        home.deeds.append(deed)
        home.targets.add(deed.target)
        home.end = max(home.end, deed.second, _last_seen(paths[deed.target], deed.second, rule.clear_after_ns // NS))
    return happenings


def _near(paths: dict[str, Path], rule: Rule, happenings: list[Happening], deed: Deed) -> Happening | None:
    """The happening with a deed soon before, whose doer is near by now and goes the same way; the nearest."""
    if rule.kind is EventKind.WATCHED_PLATE:
        return None
    going = _velocity_at(paths[deed.target], deed.second)
    near = (
        (float(np.linalg.norm(place - deed.earth)), -happening.start, happening)
        for happening in happenings
        for doer in {d.target for d in happening.deeds if deed.second - d.second <= rule.join_ns // NS}
        for place in _places_at(paths[doer], deed.second)
        if np.linalg.norm(_velocity_at(paths[doer], deed.second) - going) <= ALIKE_MPS
    )
    apart_m, _, nearest = min(near, default=(np.inf, 0, None), key=lambda found: found[:2])
    return nearest if apart_m <= rule.join_m else None


def _places_at(path: Path, second: int) -> Array:
    """(0 or 1, 3) where it was, or was last."""
    i = int(np.searchsorted(path.second, second, side="right")) - 1
    return path.earth[max(i, 0) : max(i, 0) + 1]


def _velocity_at(path: Path, second: int) -> Array:
    """(3,) m/s, of late, or before it went."""
    return _velocity(path, max(int(np.searchsorted(path.second, second, side="right")) - 1, 0))


def _velocity(path: Path, i: int) -> Array:
    """(3,) m/s, over the way that it has come lately; of the first second, over the way that it goes."""
    before = int(np.searchsorted(path.second, path.second[i] - COURSE_S))
    j = i if i > before else min(i + 1, len(path.second) - 1)
    return np.asarray((path.earth[j] - path.earth[before]) / max(float(path.second[j] - path.second[before]), 1.0))


def _last_seen(path: Path, second: int, break_s: int) -> int:
    """The last second at which it was in view, without a break longer than that, from `second` on."""
    seen = path.second[path.in_view & (path.second >= second)]
    if not len(seen) or seen[0] - second > break_s:
        return second
    breaks = np.flatnonzero(np.diff(seen) > break_s)
    return int(seen[breaks[0]] if len(breaks) else seen[-1])
