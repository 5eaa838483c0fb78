"""What is alive: the sensors and the service. Computed here from the age of the last sign of life, and nowhere else.

The rules on silent sensors, the page, the commands, the metrics and `/ready` all ask these functions, so they cannot disagree.
"""

from collections.abc import Iterable
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.health import Health
from model.time import NS, ns_from_iso

ALIVE_NS = 30 * NS  # a process that has said nothing for longer is not known to run
BEHIND_NS = 30 * NS  # a pipeline that is further behind the clock does not keep up
LONGEST_S = 1e9  # stands for "never silent"


class SensorCondition(StrEnum):
    WORKING = "working"
    SILENT = "silent"  # nothing for longer than its registration allows
    OFFLINE = "offline"  # it, or its last will, says that it is down
    SWITCHED_OFF = "switched_off"  # somebody has it not look
    GATEWAY_DOWN = "gateway_down"  # what carries its messages says that it is down
    NEVER_HEARD = "never_heard"  # and not silent yet
    UNKNOWN = "unknown"  # the service does not run, so nobody knows


class ServiceCondition(StrEnum):
    RUNNING = "running"
    NEVER_RAN = "never_ran"
    STOPPED = "stopped"  # in order
    NOT_RUNNING = "not_running"  # no sign of life, and it was not stopped
    BEHIND = "behind"  # it runs, and takes nothing in, or not fast enough
    DISCONNECTED = "disconnected"  # it runs, and there is no connection to the broker


# In this order the first that holds is a sensor's condition: what is wrong with it by itself, then its gateway.
ORDER = (
    SensorCondition.SWITCHED_OFF,
    SensorCondition.OFFLINE,
    SensorCondition.SILENT,
    SensorCondition.GATEWAY_DOWN,
    SensorCondition.NEVER_HEARD,
    SensorCondition.WORKING,
)
DOWN = ORDER[:4]  # it does not look
ALIVE = (ServiceCondition.RUNNING, ServiceCondition.BEHIND, ServiceCondition.DISCONNECTED)
CURRENT = (ServiceCondition.RUNNING, ServiceCondition.DISCONNECTED)  # what it says of sensors is of now


def silence_ns(silent_after_s: NDArray[np.float64]) -> NDArray[np.int64]:
    """(n,) ns, how long each sensor may give no sign."""
    return (np.minimum(silent_after_s, LONGEST_S) * NS).astype(np.int64)


def silent(health: Health, silent_after_s: NDArray[np.float64], now_ns: int) -> NDArray[np.bool_]:
    """(n,) which sensors have given no sign for longer than their registration allows.

    Behind a gateway that is down, those that were so before it went down.
    """
    until_ns = np.where(health.gateway_down_ns > 0, health.gateway_down_ns, now_ns)
    return np.asarray(until_ns - health.heard_ns - health.excused_ns > silence_ns(silent_after_s))


def condition_codes(health: Health, silent_after_s: NDArray[np.float64], now_ns: int) -> NDArray[np.intp]:
    """(n,) the condition of each sensor at an instant of a running service, as a place in ORDER."""
    holds = [
        health.switched_off != 0,
        health.offline,
        silent(health, silent_after_s, now_ns),
        health.gateway_down_ns > 0,
        health.messages == 0,
    ]
    return np.asarray(np.select(holds, range(len(holds)), len(holds)))


def sensor_conditions(health: Health, silent_after_s: NDArray[np.float64], now_ns: int) -> list[SensorCondition]:
    """The condition of each sensor at an instant of a running service."""
    return [ORDER[code] for code in condition_codes(health, silent_after_s, now_ns).tolist()]


def judged(status: dict[str, Any], processes: Iterable[dict[str, Any]], now_ns: int) -> dict[str, Any]:
    """The status that the service last wrote, as it is to be read at `now_ns`: with the service's condition, what of it is down,
    and nothing about sensors, the broker or the delay that is no longer known."""
    processes = list(processes)
    condition, what = _service_condition(status, processes, now_ns)
    service, sensors = dict(status.get("service", {})), status.get("sensors", [])
    if service:
        alive = condition in ALIVE
        service["behind_s"] = round(_behind_ns(service, now_ns) / NS, 1) if alive else None
        service["connected"] = alive and service["connected"]
    if condition not in CURRENT:
        sensors = [s | {"condition": SensorCondition.UNKNOWN.value} for s in sensors]
    return status | {
        "condition": condition.value,
        "what": what,
        "down": [f"The {name} is down: {error}".removesuffix(": ") for name, error in down(processes, now_ns)],
        "service": service,
        "sensors": sensors,
        "processes": processes,
    }


def down(processes: Iterable[dict[str, Any]], now_ns: int) -> list[tuple[str, str]]:
    """(name, how it ended or since when it is still) of each process, thread or task that should run and does not."""
    found = []
    for process in processes:
        if process["ended"]:
            continue
        if now_ns - ns_from_iso(process["time"]) > ALIVE_NS:
            found.append((f"{process['process']} process", f"It has given no sign of life since {process['time']}."))
            continue
        found += [(part["name"], part["error"]) for part in process["parts"] if part["since"] is None]
    return found


def _service_condition(
    status: dict[str, Any], processes: list[dict[str, Any]], now_ns: int
) -> tuple[ServiceCondition, str]:
    """The condition, and a sentence that says it."""
    own = next((p for p in processes if p["process"] == "service"), None)
    service = status.get("service", {})
    if own is None:
        if not service:
            return ServiceCondition.NEVER_RAN, "The service has not run yet."
        return ServiceCondition.NOT_RUNNING, f"The service has given no sign of life since {service['time']}."
    if own["ended"]:
        return ServiceCondition.STOPPED, f"The service was stopped {own['time']}."
    if now_ns - ns_from_iso(own["time"]) > ALIVE_NS:
        return ServiceCondition.NOT_RUNNING, f"The service has given no sign of life since {own['time']}."
    if not service:
        return ServiceCondition.BEHIND, "The service has taken nothing in yet."
    behind_ns = _behind_ns(service, now_ns)
    if behind_ns > BEHIND_NS:
        return ServiceCondition.BEHIND, f"The service is {behind_ns / NS:,.0f} s behind what it should have taken in."
    if not service["connected"]:
        return ServiceCondition.DISCONNECTED, "The broker is away."
    return ServiceCondition.RUNNING, "The service runs."


def _behind_ns(service: dict[str, Any], now_ns: int) -> int:
    """How long ago the instant is up to which everything has been taken in; a version before wrote only its own time."""
    return now_ns - ns_from_iso(service.get("step_newest", service["time"]))
