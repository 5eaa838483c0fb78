"""From two files, tracks and truth, to figures.

SIAP as in Votruba, Nisley, Rothrock & Zombro (2001), "Single Integrated Air Picture metrics implementation": completeness,
ambiguity, spuriousness, positional accuracy, and the rate of identity changes. Identity switches as in CLEAR MOT
(Bernardin & Stiefelhagen 2008): a target whose matched track is another than the last one.
"""

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from geo.frames import geocentric_from_wgs84
from model.time import NS, ns_from_iso
from runtime.score.gospa import gospa

Array = NDArray[np.float64]


class Row(msgspec.Struct):
    """A line of either file; what it does not need is passed over."""

    time: str
    lat: float
    lon: float
    track: str = ""
    target: str = ""
    in_view: bool = True
    class_: str | dict[str, float] = msgspec.field(name="class", default="")
    unit: str = ""
    plate: str = ""


@dataclass(frozen=True)
class Table:
    """Positions by scan: for each whole second, names and places (n, d) m."""

    scans: dict[int, tuple[list[str], Array]]


class BadTable(ValueError):
    """A file that is not what it should be."""


def read_rows(path: Path) -> list[tuple[int, Row]]:
    """(time_ns, row) of every line. Raises BadTable naming the line."""
    decoder = msgspec.json.Decoder(Row)
    rows = []
    with path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            if line.strip():
                try:
                    row = decoder.decode(line)
                    rows.append((ns_from_iso(row.time), row))
                except ValueError as error:
                    raise BadTable(f"{path}, line {number}: {error}.") from error
    return rows


def score(
    tracks: list[tuple[int, Row]],
    truth: list[tuple[int, Row]],
    c_m: float = 100.0,
    p: float = 2.0,
    memory_s: float = 20.0,
) -> dict[str, Any]:
    """GOSPA and its parts (means over scans), SIAP, identity switches. A target counts while it was in view within `memory_s`."""
    return {
        **compared(*_tables(tracks, truth, memory_s), c_m, p),
        "parameters": {"c_m": c_m, "p": p, "alpha": 2, "memory_s": memory_s},
    }


def compared(targets: Table, found: Table, c_m: float = 100.0, p: float = 2.0) -> dict[str, Any]:
    """The figures of `score` for two tables of places in one frame: a plane, or the earth-centred one."""
    distances, localisations, missed, false = [], [], [], []
    matched: dict[str, str] = {}
    switches, matches, held, there, accuracy = 0, 0, 0, 0, []
    changes: dict[str, set[str]] = defaultdict(set)
    spurious, ambiguous, total = 0, 0, 0
    for time_ns, (names, places) in sorted(targets.scans.items()):
        ids, at = found.scans.get(time_ns, ([], places[:0]))
        result = gospa(places, at, c_m, p)
        distances.append(result.distance)
        localisations.append(result.localisation)
        missed.append(result.missed)
        false.append(result.false)
        for a, b in result.pairs.tolist():
            switches += matched.get(names[a], ids[b]) != ids[b]
            matched[names[a]] = ids[b]
            changes[names[a]].add(ids[b])
            accuracy.append(float(np.linalg.norm(places[a] - at[b])))
            matches += 1
        there += len(names)
        total += len(ids)
        if len(names) and len(ids):
            near = np.linalg.norm(places[:, None] - at[None], axis=2) < c_m
            held += int(near.any(axis=1).sum())
            ambiguous += int(near.any(axis=0).sum())
            spurious += int((~near.any(axis=0)).sum())
        else:
            spurious += len(ids)
    scans = len(distances)
    return {
        "scans": scans,
        "gospa_m": _mean(distances),
        "gospa_localisation_m": _mean([np.sqrt(x) for x in localisations]),
        "missed": _mean(missed),
        "false": _mean(false),
        "targets": there / scans if scans else 0.0,
        "tracks": total / scans if scans else 0.0,
        "identity_switches": switches,
        "siap": {
            "completeness": held / there if there else 0.0,
            "ambiguity": ambiguous / held if held else 0.0,
            "spuriousness": spurious / total if total else 0.0,
            "positional_accuracy_m": _mean(accuracy),
            "identity_changes_per_target": sum(len(c) - 1 for c in changes.values()) / max(len(changes), 1),
        },
    }


def _tables(tracks: list[tuple[int, Row]], truth: list[tuple[int, Row]], memory_s: float) -> tuple[Table, Table]:
    """Both earth-centred, so that no extent bends them; the truth cut to what counts."""
    if not truth:
        raise BadTable("The truth is empty: there is nothing to score by.")
    lat = np.array([r.lat for _, r in (*truth, *tracks)])
    lon = np.array([r.lon for _, r in (*truth, *tracks)])
    there = geocentric_from_wgs84(lat, lon)
    counted: dict[int, tuple[list[str], list[Array]]] = {time_ns: ([], []) for time_ns, _ in truth}
    seen_ns: dict[str, int] = {}
    for (time_ns, row), place in sorted(
        zip(truth, there[: len(truth)], strict=True), key=lambda x: (x[0][0], x[0][1].target)
    ):
        if row.in_view:
            seen_ns[row.target] = time_ns
        if time_ns - seen_ns.get(row.target, -(10**18)) <= memory_s * NS:
            counted[time_ns][0].append(row.target)
            counted[time_ns][1].append(place)
    found: dict[int, tuple[list[str], list[Array]]] = defaultdict(lambda: ([], []))
    for (time_ns, row), place in zip(tracks, there[len(truth) :], strict=True):
        found[time_ns][0].append(row.track)
        found[time_ns][1].append(place)
    return Table({t: (n, np.array(p).reshape(-1, 3)) for t, (n, p) in counted.items()}), Table(
        {t: (n, np.array(p).reshape(-1, 3)) for t, (n, p) in found.items()}
    )


def _mean(values: list[Any]) -> float:
    return float(np.mean(values)) if values else 0.0
