"""Own units: patrols that say where they are."""

from dataclasses import dataclass


@dataclass(frozen=True)
class UnitReport:
    """One word of a unit on where it is."""

    unit: str  # its id: a call sign, a UID
    name: str  # as people call it
    observed_ns: int
    received_ns: int
    lat: float  # degrees WGS84
    lon: float
    sigma_m: float  # standard deviation, 1 axis
    course_deg: float | None  # from true north
    speed_mps: float | None
