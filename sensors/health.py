"""What is known of each sensor's condition."""

import numpy as np
from numpy.typing import NDArray

from model.health import Health, Sign, Signs
from model.rejections import BENIGN, OF_OTHERS, PARTIAL, Rejection
from sensors.catalogue import Catalogue
from sensors.readings import Decoded

OF_THE_SENSOR = (Sign.HEARD, Sign.ONLINE, Sign.BATTERY, Sign.TAMPERED)  # it was heard; the others come from others


def unheard(count: int, now_ns: int) -> Health:
    """All sensors before anything was heard; silence is counted from `now_ns`."""
    return Health.blank(count).but(heard_ns=np.full(count, now_ns, np.int64), battery=np.full(count, np.nan))


def not_listened(health: Health, deaf_ns: int) -> Health:
    """The same after a time in which nobody could have been heard: silence is counted without it."""
    if not deaf_ns:
        return health
    return health.but(excused_ns=health.excused_ns + np.where(health.gateway_down_ns > 0, 0, deaf_ns))


def advance_health(catalogue: Catalogue, health: Health, decoded: Decoded, unplaced: tuple[Rejection, ...]) -> Health:
    """The condition of every sensor after a batch of messages.

    Each message that names its sensor is a sign of life, also one that repeats another or is rejected; but not what is from
    before, or what others say of it.
    """
    about = [r for r in (*decoded.rejections, *unplaced) if r.sensor]
    named = [r for r in about if r.reason not in OF_OTHERS]
    rejected = [r for r in about if r.reason not in BENIGN | PARTIAL]
    if not (len(decoded.readings) or len(decoded.looks) or len(decoded.signs) or about):
        return health
    heard, observed = health.heard_ns.copy(), health.observed_ns.copy()
    offline, battery = health.offline.copy(), health.battery.copy()
    messages, faults = health.messages.copy(), health.rejected.copy()
    signs = decoded.signs
    present = np.isin(signs.sign, OF_THE_SENSOR)
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
    gateway_down_ns, excused_ns = _gateways(health, signs, heard)
    switched_off = _switches(health, signs)
    return Health(
        heard, observed, excused_ns, offline, switched_off, gateway_down_ns, battery, tampered, messages, faults
    )


def _switches(health: Health, signs: Signs) -> NDArray[np.int8]:
    """(n,) the last state of each switch stands."""
    switched = health.switched_off.copy()
    for row in np.flatnonzero(np.isin(signs.sign, (Sign.SWITCHED_OFF, Sign.SWITCHED_ON))).tolist():
        switch, sensor = np.int8(signs.value[row]), signs.sensor[row]
        off = signs.sign[row] == Sign.SWITCHED_OFF
        switched[sensor] = switched[sensor] | switch if off else switched[sensor] & ~switch
    return switched


def _gateways(health: Health, signs: Signs, heard: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(n,) since when the gateway of each sensor is down, and (n,) the time since it was heard that is nobody's silence.

    A gateway is down from its first word of it until it says that it is up. For a sensor that is heard meanwhile it is not.
    """
    word = np.isin(signs.sign, (Sign.GATEWAY_DOWN, Sign.GATEWAY_UP))
    sensor, received_ns = signs.sensor[word], signs.received_ns[word]
    before_ns = health.gateway_down_ns
    down_ns, until_ns = before_ns.copy(), np.zeros(len(before_ns), np.int64)
    down_ns[sensor] = np.where(signs.sign[word] == Sign.GATEWAY_DOWN, received_ns, 0)  # the last word stands
    until_ns[sensor] = received_ns
    down_ns = np.where((before_ns > 0) & (down_ns > 0), before_ns, down_ns)
    ended = (before_ns > 0) & (down_ns == 0)
    newly = heard > health.heard_ns
    down_ns = np.where(newly & (heard > down_ns), 0, down_ns)
    excused_ns = health.excused_ns + np.where(ended, until_ns - before_ns, 0)
    return down_ns, np.where(newly, 0, excused_ns)
