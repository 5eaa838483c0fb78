"""What the technician may set about fusion, with units."""

from dataclasses import dataclass, field

from geo.roads import Roads, roads_of


@dataclass(frozen=True)
class Settings:
    scan_ns: int = 1_000_000_000  # tracks are judged once per this much observed time
    settle_ns: int = 500_000_000  # a scan waits this long, in observed time, for slower sensors
    idle_ns: int = 2_000_000_000  # with nothing received for this long, received time closes scans
    lateness_ns: int = 30_000_000_000  # later than this is too late for tracking
    late_wait_ns: int = 30_000_000_000  # late rows wait no longer than this for their re-run
    rerun_tracks: int = 25_000  # with so many tracks scans may be run again for each new scan, or with twice its own
    coast_ns: int = 20_000_000_000  # a track unseen for this long is told of no more
    memory_ns: int = 300_000_000_000  # and for this long it may be found again as itself
    birth_per_m2: float = 1e-6  # undetected targets expected per m² where nobody looks
    confirm_existence: float = 0.95
    told_existence: float = 0.5
    vague_m: float = (
        80.0  # nor of one vaguer than this, one axis: it is hardly more likely within 100 m of there than not
    )
    drop_existence: float = 0.01
    tracks_max: int = 20_000  # held at once; beyond them the least likely of the busiest sensors are dropped
    checkpoint_tracks_max: int = 400_000  # rows of all checkpoints; beyond them the oldest checkpoint is dropped
    roads: Roads = field(default_factory=lambda: roads_of([], [], []))  # that what drives keeps to

    @property
    def reach_ns(self) -> int:
        """From how long ago on scans may be run again."""
        return self.lateness_ns + self.late_wait_ns
