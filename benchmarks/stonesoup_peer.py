"""Stone Soup on the same detections as Marchwarden."""

import datetime
import time

import numpy as np
from numpy.typing import NDArray
from stonesoup.dataassociator.neighbour import GNNWith2DAssignment
from stonesoup.deleter.time import UpdateTimeDeleter
from stonesoup.hypothesiser.distance import DistanceHypothesiser
from stonesoup.initiator.simple import MultiMeasurementInitiator
from stonesoup.measures import Mahalanobis
from stonesoup.models.measurement.linear import LinearGaussian
from stonesoup.models.transition.linear import CombinedLinearGaussianTransitionModel, ConstantVelocity
from stonesoup.predictor.kalman import KalmanPredictor
from stonesoup.tracker.simple import MultiTargetTracker
from stonesoup.types.detection import Detection
from stonesoup.types.state import GaussianState
from stonesoup.updater.kalman import KalmanUpdater

from benchmarks.peers import MEMORY_S, PSD, SPEED_SIGMA_MPS, Run
from benchmarks.scenes import START_NS, Scene
from model.time import NS
from runtime.score.score import Table

Array = NDArray[np.float64]


def stone_soup(scene: Scene, budget_s: float = 1e9) -> tuple[Run, int]:
    """Stone Soup's global-nearest-neighbour tracker with a Kalman filter; the run, and how many seconds it came to.

    After its own tutorials: probabilities from PDAHypothesiser, 2-D assignment, tracks founded by
    MultiMeasurementInitiator, dropped by time. It takes one sensor's frame at a time, as they were observed.
    """

    zero = datetime.datetime(2026, 1, 1)
    rows = scene.detections
    order = np.lexsort((rows.sensor, rows.observed_ns))
    when = rows.observed_ns[order]
    frame = np.cumsum(np.r_[0, (np.diff(when) != 0) | (np.diff(rows.sensor[order]) != 0)])
    frames = np.split(order, np.flatnonzero(np.diff(frame)) + 1)
    models: dict[bytes, LinearGaussian] = {}

    def told(row: int, at: datetime.datetime) -> Detection:
        noise = rows.covariance[row]
        model = models.setdefault(noise.tobytes(), LinearGaussian(4, (0, 2), noise))
        return Detection(rows.position[row], timestamp=at, measurement_model=model)

    predictor = KalmanPredictor(CombinedLinearGaussianTransitionModel([ConstantVelocity(PSD)] * 2))
    updater = KalmanUpdater(None)
    hypothesiser = DistanceHypothesiser(predictor, updater, Mahalanobis(), missed_distance=4)
    speed2 = SPEED_SIGMA_MPS**2
    prior = GaussianState([0, 0, 0, 0], np.diag([1e6, speed2, 1e6, speed2]), timestamp=zero)
    initiator = MultiMeasurementInitiator(
        prior_state=prior,
        deleter=UpdateTimeDeleter(datetime.timedelta(seconds=5)),
        data_associator=GNNWith2DAssignment(hypothesiser),
        updater=updater,
        measurement_model=LinearGaussian(4, (0, 2), np.eye(2)),
        min_points=3,
    )
    began = time.perf_counter()
    done = [0]

    def fed() -> object:
        for chosen in frames:
            if time.perf_counter() - began > budget_s:
                return
            at = zero + datetime.timedelta(microseconds=int(rows.observed_ns[chosen[0]] - START_NS) // 1000)
            done[0] += len(chosen)
            yield at, {told(row, at) for row in chosen}

    tracker = MultiTargetTracker(
        initiator=initiator,
        deleter=UpdateTimeDeleter(datetime.timedelta(seconds=MEMORY_S)),
        detector=fed(),
        data_associator=GNNWith2DAssignment(hypothesiser),
        updater=updater,
    )
    scans: dict[int, tuple[list[str], Array]] = {}
    second = 1
    for at, tracks in tracker:
        while (at - zero).total_seconds() > second:  # what it believed before this frame
            scans[START_NS + second * NS] = before  # noqa: F821
            second += 1
        spots = []
        for track in tracks:
            state = track.state_vector
            left = second - (track.timestamp - zero).total_seconds()
            spots.append([state[0] + left * state[1], state[2] + left * state[3]])
        before = ([t.id for t in tracks], np.array(spots, float).reshape(-1, 2))
    took = time.perf_counter() - began
    if second <= scene.seconds and done[0] == len(rows):
        scans[START_NS + second * NS] = before
    return Run(Table(scans), done[0] / took), second - 1
