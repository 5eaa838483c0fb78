"""How targets move: four interacting models for each track, batched.

Each model is an integrated Ornstein–Uhlenbeck process: a velocity that wavers about zero with a standard deviation and a
memory of its own (Millefiori, Braca, Bryan & Willett 2016, "Modeling vessel kinematics using a stochastic mean-reverting
process", eqs. 4–13, with mean velocity zero). Over seconds it is nearly constant velocity; over minutes its uncertainty grows
as a walk's does and not with the cube of time, so that a track unseen for long says honestly where it may be.

Models change into each other as in the interacting multiple models of Blom & Bar-Shalom (1988), with one simplification: a
target that changes its mind takes up a model by the habits of its class, whatever it did before. Then each model mixes with
only one other estimate, that of the whole track, and the cost is linear in the number of models. What it takes up is slowed
to the model's own pace: who may have driven and now walks does not walk at 10 m/s.

A bank holds the estimates of n tracks under all models: an array (14, MODELS, n), components first so that every operation runs
over contiguous rows. Components as in `model.tracks`: position, velocity, then the covariance's upper triangle.
"""

import numpy as np
from numpy.typing import NDArray

from model.time import NS
from model.tracks import COLUMN, COMPONENTS, FULL, MODELS, ROW

Array = NDArray[np.float64]

CHANGE_S = 100.0  # mean time between changes of mind
SPEED_SIGMA_MPS = np.array([0.2, 1.2, 10.0, 100.0])  # standing, walking, driving, flying: stationary, one axis
MEMORY_S = np.array([3.0, 60.0, 120.0, 300.0])  # of the velocity
HABITS = np.array(  # (classes, models) how much of its time each spends standing, walking, driving, flying
    [
        [0.20, 0.75, 0.05, 0.00],  # person
        [0.20, 0.10, 0.70, 0.00],  # vehicle
        [0.25, 0.65, 0.10, 0.00],  # animal
        [0.15, 0.15, 0.70, 0.00],  # vessel
        [0.02, 0.03, 0.15, 0.80],  # aircraft
        [0.25, 0.40, 0.34, 0.01],  # other
    ]
)
VARIANCE = SPEED_SIGMA_MPS[:, None] ** 2
MEMORY = MEMORY_S[:, None]
LIVELY = 4.0  # a model is taken up at no more than twice its own pace: this much of its variance
BLOCK = 2048
TINY = 1e-30


def blocks(n: int) -> list[slice]:
    """n rows in parts whose banks fit the processor's cache. Each row is worked out by itself, so the parts change nothing."""
    return [slice(first, first + BLOCK) for first in range(0, n, BLOCK)]


def seconds(interval_ns: NDArray[np.int64]) -> Array:
    """Intervals as float seconds."""
    return np.asarray(interval_ns / NS, dtype=np.float64)


def habit_of(class_probability: Array) -> Array:
    """(MODELS, n) which model a track takes up, by its class probabilities (n, classes). Sums to 1."""
    return np.ascontiguousarray((class_probability @ HABITS).T)


def begun(position: Array, covariance: Array) -> Array:
    """The bank of new tracks at positions (n, 2) with covariance (n, 2, 2) and unknown velocity."""
    bank = np.zeros((COMPONENTS, MODELS, len(position)))
    bank[:2] = position.T[:, None]
    bank[4], bank[5], bank[6] = covariance[:, 0, 0], covariance[:, 0, 1], covariance[:, 1, 1]
    bank[11] = bank[13] = VARIANCE
    return bank


def mixed(bank: Array, weight: Array, habit: Array, time_s: Array) -> tuple[Array, Array]:
    """The bank and the models' probabilities (MODELS, n) after `time_s` (n,) in which minds may have changed, where they were.

    Minds change seldom, so this is done once a scan for all tracks, and not for each detection.
    """
    change = -np.expm1(-time_s / CHANGE_S)
    stayed, came = (1 - change) * weight, change * habit
    later = stayed + came
    share = came / np.maximum(later, TINY)
    fresh = _slowed(collapsed(bank, weight))
    both = bank + share * (fresh - bank)
    off = bank[:4] - fresh[:4]
    both[4:] += share * (1 - share) * off[ROW] * off[COLUMN]
    return both, later


def _slowed(whole: Array) -> Array:
    """(14, MODELS, n) the whole estimate as each model takes it up: no faster than it ever is."""
    energy = (whole[11] + whole[13] + whole[2] ** 2 + whole[3] ** 2) / 2
    slower = np.minimum(np.sqrt(LIVELY * VARIANCE / np.maximum(energy, TINY)), 1.0)
    fresh = np.repeat(whole[:, None], MODELS, axis=1)
    fresh[2:4] *= slower
    fresh[7:11] *= slower
    fresh[11:] *= slower**2
    return fresh


def collapsed(bank: Array, weight: Array) -> Array:
    """(14, n) mean and covariance of each track over all models."""
    whole: Array = (weight * bank).sum(axis=1)
    off = bank[:4] - whole[:4, None]
    whole[4:] += (weight * off[ROW] * off[COLUMN]).sum(axis=1)
    return whole


def as_matrices(whole: Array) -> tuple[Array, Array]:
    """Means (n, 4) and covariances (n, 4, 4) of (14, n)."""
    return np.ascontiguousarray(whole[:4].T), np.ascontiguousarray(whole[FULL].transpose(2, 0, 1))


def moved(bank: Array, dt_s: Array) -> Array:
    """Each model's own prediction."""
    past = dt_s / MEMORY
    keep = np.exp(-past)
    way = -MEMORY * np.expm1(-past)
    span = np.abs(past)
    fade = np.exp(-span)
    lost = -np.expm1(-span)
    later = bank.copy()
    later[:2] += way * bank[2:4]
    later[2:4] *= keep
    later[4] += way * (2 * bank[7] + way * bank[11]) + (
        drift := VARIANCE * MEMORY**2 * np.maximum(2 * span - 2 * lost - lost**2, 0.0)
    )
    later[5] += way * (bank[8] + bank[9] + way * bank[12])
    later[6] += way * (2 * bank[10] + way * bank[13]) + drift
    later[7:11] = keep * (bank[7:11] + way * bank[[11, 12, 12, 13]])
    later[7] += (shear := VARIANCE * MEMORY * lost**2)
    later[10] += shear
    later[11:] *= keep**2
    later[11] += (heat := VARIANCE * (1 - fade**2))
    later[13] += heat
    return later
