"""Distances between places in degrees."""

from math import cos, hypot, radians

from geo.frames import EARTH_M_PER_DEGREE


def between_m(lat: float, lon: float, other_lat: float, other_lon: float) -> float:
    """Metres between two places near each other."""
    return EARTH_M_PER_DEGREE * hypot(lat - other_lat, (lon - other_lon) * cos(radians(lat)))
