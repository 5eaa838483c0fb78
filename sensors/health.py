"""What is known of each sensor's condition."""

import numpy as np

from model.health import Health, Sign
from model.rejections import BENIGN, PARTIAL, Reason, Rejection
from sensors.catalogue import Catalogue
from sensors.readings import Decoded


def unheard(count: int, now_ns: int) -> Health:
    """All sensors before anything was heard; silence is counted from `now_ns`."""
    return Health.blank(count).but(heard_ns=np.full(count, now_ns, np.int64), battery=np.full(count, np.nan))


def not_listened(health: Health, deaf_ns: int) -> Health:
    """The same after a time in which nobody could have been heard: silence is counted without it."""
    return health.but(heard_ns=health.heard_ns + deaf_ns) if deaf_ns else health


def advance_health(catalogue: Catalogue, health: Health, decoded: Decoded, unplaced: tuple[Rejection, ...]) -> Health:
    """The condition of every sensor after a batch of messages.

    Each message that names its sensor is a sign of life, also one that repeats another or is rejected; but a retained one is from
    before.
    """
    named = [r for r in (*decoded.rejections, *unplaced) if r.sensor and r.reason != Reason.RETAINED]
    rejected = [r for r in named if r.reason not in BENIGN | PARTIAL]
    if not (len(decoded.readings) or len(decoded.looks) or len(decoded.signs) or named):
        return health
    heard, observed = health.heard_ns.copy(), health.observed_ns.copy()
    offline, battery = health.offline.copy(), health.battery.copy()
    messages, faults = health.messages.copy(), health.rejected.copy()
    signs, present = decoded.signs, decoded.signs.sign != Sign.OFFLINE
    for part in (decoded.readings, decoded.looks):
        np.maximum.at(heard, part.sensor, part.received_ns)
        np.maximum.at(observed, part.sensor, part.observed_ns)
        np.add.at(messages, part.sensor, 1)
        offline[part.sensor] = False
    alive = np.array([catalogue.row_of_id[r.sensor] for r in named], np.int64)
    np.maximum.at(heard, alive, np.array([r.received_ns for r in named], np.int64))
    offline[alive] = False
    np.maximum.at(heard, signs.sensor[present], signs.received_ns[present])
    np.add.at(messages, signs.sensor[signs.sign == Sign.HEARD], 1)
    said = np.isin(signs.sign, (Sign.ONLINE, Sign.OFFLINE, Sign.HEARD))
    offline[signs.sensor[said]] = signs.sign[said] == Sign.OFFLINE  # the last word of a sensor stands
    level = signs.sign == Sign.BATTERY
    battery[signs.sensor[level]] = signs.value[level]
    tampered = health.tampered_ns.copy()
    touched = signs.sign == Sign.TAMPERED
    np.maximum.at(tampered, signs.sensor[touched], signs.received_ns[touched])
    np.add.at(faults, [catalogue.row_of_id[r.sensor] for r in rejected], [r.count for r in rejected])
    return Health(heard, observed, offline, battery, tampered, messages, faults)
