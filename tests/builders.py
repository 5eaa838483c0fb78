"""Small worlds for tests: sensors on a plane, detections where a test wants them."""

from pathlib import Path
from typing import Any

import numpy as np

from geo.frames import Sectors
from model.classes import CLASSES
from model.detections import PLATES, Detections
from model.messages import Messages
from model.time import NS
from model.world import SensorColumns
from runtime.advance import World
from runtime.configuration import load
from runtime.world import world_of
from sensors.catalogue import Catalogue
from sensors.decode import decode
from sensors.intake import Intake
from sensors.readings import Decoded
from sensors.repeats import Seen

CONFIGS = Path(__file__).parents[1] / "configs"
T0 = 1_795_000_000 * NS
ONE_SECTOR = Sectors((31.35,), (-110.6,), 100_000.0)
KEY = b"a key for tests, of 32 bytes...."


def shipped_world() -> World:
    """The world of the shipped site, with a key that is the same in every test."""
    return world_of(load(CONFIGS), KEY)


def sensors(count: int, **columns: Any) -> SensorColumns:
    """`count` good sensors at the origin; columns as given."""
    base = SensorColumns.blank(count).but(
        accuracy_m=np.full(count, 5.0),
        range_m=np.full(count, 400.0),
        half_angle_rad=np.full(count, np.pi),
        view_known=np.ones(count, np.bool_),
        detection_probability=np.full(count, 0.9),
        false_alarms_per_hour=np.full(count, 1.0),
        looks_per_s=np.full(count, 1.0),
        fades_s=np.full(count, 600.0),
        latency_s=np.full(count, 0.2),
        silent_after_s=np.full(count, np.inf),
    )
    return base.but(**{name: np.asarray(value) for name, value in columns.items()})


def detections(
    at_s: Any, position: Any, sensor: Any = 0, sigma_m: float = 3.0, late_s: Any = 0.2, **columns: Any
) -> Detections:
    """Detections of persons `at_s` seconds after T0; arrays or single values."""
    place = np.asarray(position, np.float64).reshape(-1, 2)
    n = len(place)
    observed = T0 + np.round(np.broadcast_to(np.asarray(at_s, np.float64), n) * NS).astype(np.int64)
    late = np.round(np.broadcast_to(np.asarray(late_s, np.float64), n) * NS).astype(np.int64)
    likelihood = np.full((n, len(CLASSES)), 0.02)
    likelihood[:, 0] = 0.9
    if "plate" in columns:
        columns["plates"], columns["plate_share"] = np.zeros((n, PLATES), np.uint64), np.zeros((n, PLATES))
        columns["plates"][:, 0], columns["plate_share"][:, 0] = columns["plate"], 0.95 * (columns["plate"] != 0)
    return Detections.blank(n).but(
        observed_ns=observed,
        received_ns=observed + late,
        sensor=np.broadcast_to(np.asarray(sensor, np.int32), n).copy(),
        position=place,
        covariance=np.broadcast_to(np.eye(2) * sigma_m**2, (n, 2, 2)).copy(),
        class_likelihood=likelihood,
        confidence=np.full(n, 0.9),
        **columns,
    )


def decoded(catalogue: Catalogue, batch: Messages) -> Decoded:
    """What messages come to where nothing was heard before."""
    return decode(catalogue, Seen.none(), Intake.initial(len(catalogue)), batch)[2]


def messages(*sent: tuple[float, str, bytes], retained: bool = False) -> Messages:
    """Messages (seconds after T0, topic, payload)."""
    return Messages(
        np.array([T0 + round(at_s * NS) for at_s, _, _ in sent], np.int64),
        tuple(topic for _, topic, _ in sent),
        tuple(payload for _, _, payload in sent),
        np.full(len(sent), retained, np.bool_),
    )
