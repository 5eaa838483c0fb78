"""The tables of the history, and how model columns become their rows. Units are in the names; times are ns UTC."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from model.alerts import Alert
from model.classes import CLASSES
from model.detections import Detections
from model.tracks import Reasons, Tracks, What, names_of

Array = NDArray[np.float64]
INT, REAL, TEXT = pa.int64(), pa.float64(), pa.string()

SCHEMAS: dict[str, pa.Schema] = {
    "detections": pa.schema(
        [
            ("time_ns", INT),
            ("received_ns", INT),
            ("sensor", TEXT),
            ("lat", REAL),
            ("lon", REAL),
            ("sigma_m", REAL),
            ("class", TEXT),
            ("class_share", REAL),
            ("confidence", REAL),
            ("plate", TEXT),
        ]
    ),
    "tracks": pa.schema(
        [
            ("time_ns", INT),
            ("track", TEXT),
            ("lat", REAL),
            ("lon", REAL),
            ("sigma_m", REAL),
            ("east_mps", REAL),
            ("north_mps", REAL),
            ("existence", REAL),
            ("class", TEXT),
            ("class_share", REAL),
            ("sensors", TEXT),
            ("plate", TEXT),
        ]
    ),
    "reasons": pa.schema(
        [
            ("time_ns", INT),
            ("track", TEXT),
            ("what", TEXT),
            ("sensor", TEXT),
            ("observed_ns", INT),
            ("probability", REAL),
            ("other", TEXT),
        ]
    ),
    "alerts": pa.schema(
        [
            ("time_ns", INT),
            ("told_ns", INT),
            ("alert", TEXT),
            ("revision", INT),
            ("phase", TEXT),
            ("rule", TEXT),
            ("severity", TEXT),
            ("lat", REAL),
            ("lon", REAL),
            ("zone", TEXT),
            ("agencies", TEXT),
            ("sensors", TEXT),
            ("track", TEXT),
            ("why", TEXT),
        ]
    ),
}
KINDS = tuple(SCHEMAS)


def detection_rows(detections: Detections, lat: Array, lon: Array, sensor_ids: Sequence[str]) -> pa.Table:
    """Rows of `detections`; `lat` and `lon` (n,) degrees are their places."""
    share, name = _classes(detections.class_likelihood)
    return pa.table(
        [
            detections.observed_ns,
            detections.received_ns,
            np.array(sensor_ids, object)[detections.sensor],
            lat,
            lon,
            _sigma(detections.covariance),
            name,
            share,
            detections.confidence,
            _tokens(detections.plate),
        ],
        schema=SCHEMAS["detections"],
    )


def track_rows(time_ns: int, tracks: Tracks, lat: Array, lon: Array, sensor_ids: Sequence[str]) -> pa.Table:
    """Rows of one scan's confirmed tracks, each with the sensors that saw it, newest first, parted by blanks."""
    share, name = _classes(tracks.class_probability)
    newest = np.argsort(-tracks.sensors_ns, axis=1, kind="stable")
    seen_by = np.take_along_axis(tracks.sensors, newest, axis=1)
    # Few combinations of sensors make up many tracks.
    texts = {row: " ".join(sensor_ids[s] for s in row if s >= 0) for row in set(map(tuple, seen_by.tolist()))}
    sensors = [texts[row] for row in map(tuple, seen_by.tolist())]
    return pa.table(
        [
            np.full(len(tracks), time_ns, np.int64),
            names_of(tracks.id),
            lat,
            lon,
            _sigma(tracks.covariance[:, :2, :2]),
            tracks.mean[:, 2],
            tracks.mean[:, 3],
            tracks.existence,
            name,
            share,
            sensors,
            _tokens(tracks.plate),
        ],
        schema=SCHEMAS["tracks"],
    )


def reason_rows(time_ns: int, reasons: Reasons, sensor_ids: Sequence[str]) -> pa.Table:
    """Rows of what became of one scan's tracks."""
    names = np.array([what.name.lower() for what in sorted(What)], object)
    return pa.table(
        [
            np.full(len(reasons), time_ns, np.int64),
            names_of(reasons.track),
            names[reasons.what],
            np.array([*sensor_ids, ""], object)[reasons.sensor],
            reasons.observed_ns,
            reasons.probability,
            ["" if not key else name for key, name in zip(reasons.other, names_of(reasons.other), strict=True)],
        ],
        schema=SCHEMAS["reasons"],
    )


def alert_rows(alerts: Sequence[Alert]) -> pa.Table:
    """A row a revision."""
    i = [a.incident for a in alerts]
    return pa.table(
        [
            [x.last_ns for x in i],
            [a.told_ns for a in alerts],
            [x.key for x in i],
            [x.revision for x in i],
            [x.phase.value for x in i],
            [x.rule for x in i],
            [x.severity for x in i],
            [x.at.lat for x in i],
            [x.at.lon for x in i],
            [x.zone for x in i],
            [" ".join(r.agency for r in x.routed) for x in i],
            [" ".join(e.sensor for e in x.evidence) for x in i],
            [" ".join(x.subjects) for x in i],
            [a.why for a in alerts],
        ],
        schema=SCHEMAS["alerts"],
    )


def _classes(shares: Array) -> tuple[Array, NDArray[np.object_]]:
    best = shares.argmax(axis=1) if len(shares) else np.zeros(0, np.int64)
    return shares[np.arange(len(best)), best], np.array(CLASSES, object)[best]


def _sigma(covariance: Array) -> Array:
    a, b, d = covariance[:, 0, 0], covariance[:, 0, 1], covariance[:, 1, 1]
    return np.asarray(np.sqrt((a + d) / 2 + np.hypot((a - d) / 2, b)))


def _tokens(plates: NDArray[np.uint64]) -> list[str]:
    return [f"{p:016x}" if p else "" for p in plates.tolist()]
