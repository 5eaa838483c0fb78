"""Own units: patrols that say where they are."""

from dataclasses import dataclass


@dataclass(frozen=True)
class RegisteredUnit:
    """A unit that may explain tracks."""

    id: str
    name: str  # as people call it; empty: as it calls itself
    tracks_max: int  # with more tracks about it than this it explains none


@dataclass(frozen=True)
class UnitReport:
    """One word of a registered unit on where it is."""

    unit: str  # its id
    name: str  # as people call it
    observed_ns: int
    until_ns: int | None  # until when it holds at most, as it says itself; None: it does not say
    received_ns: int
    lat: float  # degrees WGS84
    lon: float
    sigma_m: float  # standard deviation, 1 axis
    course_deg: float | None  # from true north
    speed_mps: float | None
