"""What the technician may set about fusion, with units."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Settings:
    scan_ns: int = 1_000_000_000  # tracks are judged once per this much observed time
    settle_ns: int = 500_000_000  # a scan waits this long, in observed time, for slower sensors
    idle_ns: int = 2_000_000_000  # with nothing received for this long, received time closes scans
    lateness_ns: int = 30_000_000_000  # later than this is too late for tracking
    coast_ns: int = 60_000_000_000  # a track unseen for this long is dropped
    speed_sigma_mps: float = 3.0  # of a new track, one axis
    acceleration_psd: float = 0.5  # m²/s³, process noise of the constant-velocity model
    birth_per_m2: float = 0.5e-6  # new targets expected per m² and sensor frame
    confirm_existence: float = 0.95
    drop_existence: float = 0.05
