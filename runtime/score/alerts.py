"""Alerts held against what truly happened: how many there were for each happening, and what was missed."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path as File
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from alerts.incidents import ALONE
from geo.frames import geocentric_from_wgs84
from model.time import NS, ns_from_iso
from runtime.advance import World
from runtime.score.happenings import Happening, Path, happenings_of, paths_of
from runtime.score.score import BadTable, Row

Array = NDArray[np.float64]
NEAR_M = 100.0  # a track is of the target that is nearest, if it is this near
SLACK_S = 60  # an alert may come this long before a happening is counted to begin, or after it is counted to have ended


class Revision(msgspec.Struct):
    """A line of an alerts file; what it does not need is passed over."""

    alert: str
    revision: int
    phase: str
    rule: str
    observed: str
    told: str
    last_seen: str
    lat: float
    lon: float
    subjects: list[str]
    reason: dict[str, Any]


@dataclass(frozen=True)
class Told:
    """One alert, from its revisions."""

    key: str
    rule: str
    start: int  # s
    end: int  # s
    told: int  # s, when it was raised
    targets: frozenset[str]  # that had a part in it
    first: frozenset[str]  # that it was raised about


def read_alerts(path: File) -> list[Revision]:
    """Every revision of an alerts file. Raises BadTable naming the line."""
    decoder, rows = msgspec.json.Decoder(Revision), []
    for number, line in enumerate(path.read_bytes().splitlines(), 1):
        try:
            rows.append(decoder.decode(line))
        except msgspec.DecodeError as error:
            raise BadTable(f"{path}, line {number}: {error}.") from error
    return rows


def score_alerts(
    world: World,
    revisions: Iterable[Revision],
    tracks: Iterable[tuple[int, Row]],
    truth: Iterable[tuple[int, Row]],
) -> dict[str, Any]:
    """Alerts per true happening, what was missed, and how soon; rules about sensors aside."""
    paths = paths_of(world, truth)
    happened = happenings_of(world, paths)
    alerts = _alerts(paths, revisions, _targets_of(paths, tracks))
    matched: dict[int, list[Told]] = defaultdict(list)
    false: list[Told] = []
    for alert in alerts:
        found = [i for i, h in enumerate(happened) if _is_about(alert, h, alert.first)]
        if found:
            matched[found[0]].append(alert)
        else:
            false.append(alert)
    known = {i for i, h in enumerate(happened) if i in matched or any(_is_about(a, h, a.targets) for a in alerts)}
    seen = [i for i, h in enumerate(happened) if h.seen]
    missed = [happened[i] for i in seen if i not in known]
    delays = [min(a.told for a in told) - happened[i].start for i, told in matched.items()]
    return {
        "happenings": len(happened),
        "happenings_seen": len(seen),
        "alerts": len(alerts),
        "alerts_per_happening": round(len(alerts) / max(len(set(seen) | set(matched)), 1), 3),
        "missed": len(missed),
        "repeated": sum(len(told) - 1 for told in matched.values()),
        "false": len(false),
        "delay_s_median": round(float(np.median(delays)), 1) if delays else 0.0,
        "missed_list": [_named(h) for h in missed],
        "repeated_list": [sorted(a.key for a in told) for told in matched.values() if len(told) > 1],
        "false_list": [f"{a.key} {a.rule}" for a in false],
    }


def _is_about(alert: Told, happening: Happening, targets: frozenset[str]) -> bool:
    in_time = alert.start <= happening.end + SLACK_S and alert.end >= happening.start - SLACK_S
    return in_time and bool(targets & happening.targets)


def _named(happening: Happening) -> str:
    deed = happening.deeds[0]
    return f"{deed.target} {deed.rule} at {np.datetime64(deed.second, 's')}Z, {len(happening.targets)} in it"


def _alerts(paths: dict[str, Path], revisions: Iterable[Revision], targets: dict[str, set[str]]) -> list[Told]:
    by_key: dict[str, list[Revision]] = defaultdict(list)
    for revision in revisions:
        by_key[revision.alert].append(revision)
    alerts = []
    for key, told in by_key.items():
        first, last = told[0], told[-1]
        if first.reason["kind"] in ALONE:
            continue
        nearby = _nearest(paths, first)
        named = [nearby | {t for s in r.subjects for t in targets.get(s, ())} for r in (first, last)]
        alerts.append(
            Told(
                key,
                first.rule,
                ns_from_iso(first.observed) // NS,
                ns_from_iso(last.last_seen) // NS,
                ns_from_iso(first.told) // NS,
                frozenset(named[1]),
                frozenset(named[0]),
            )
        )
    return alerts


def _targets_of(paths: dict[str, Path], tracks: Iterable[tuple[int, Row]]) -> dict[str, set[str]]:
    """Which targets each track was of: those that it was nearest to for a tenth of its time or more."""
    at: dict[int, list[tuple[str, float, float]]] = defaultdict(list)
    for time_ns, row in tracks:
        at[time_ns // NS].append((row.track, row.lat, row.lon))
    there: dict[int, list[tuple[str, Array]]] = defaultdict(list)
    for path in paths.values():
        for second, place in zip(path.second.tolist(), path.earth, strict=True):
            there[second].append((path.target, place))
    votes: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    lengths: dict[str, int] = defaultdict(int)
    for second, rows in at.items():
        places = geocentric_from_wgs84(np.array([lat for _, lat, _ in rows]), np.array([lon for _, _, lon in rows]))
        for name, _, _ in rows:
            lengths[name] += 1
        if not there[second]:
            continue
        apart = np.linalg.norm(places[:, None] - np.array([place for _, place in there[second]])[None], axis=2)
        for (name, _, _), away in zip(rows, apart, strict=True):
            nearest = int(away.argmin())
            if away[nearest] <= NEAR_M:
                votes[name][there[second][nearest][0]] += 1
    return {
        name: {target for target, count in found.items() if count >= 0.1 * lengths[name]}
        for name, found in votes.items()
    }


def _nearest(paths: dict[str, Path], revision: Revision) -> set[str]:
    """The target that stood nearest to where an alert says it happened."""
    second = ns_from_iso(revision.observed) // NS
    (place,) = geocentric_from_wgs84(np.array([revision.lat]), np.array([revision.lon]))
    found = []
    for path in paths.values():
        i = int(np.searchsorted(path.second, second))
        if i < len(path.second) and path.second[i] - second <= 1:
            found.append((float(np.linalg.norm(path.earth[i] - place)), path.target))
    best = min(found, default=(np.inf, ""))
    return {best[1]} if best[0] <= NEAR_M else set()
