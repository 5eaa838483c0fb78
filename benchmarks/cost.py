"""What a scan costs against how many tracks are live: `python -m benchmarks.cost [--plot docs/fusion-cost.svg]`."""

import argparse
import time
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from numpy.typing import NDArray

from benchmarks.scenes import START_NS
from fusion.order import at_rest, fuse
from fusion.settings import Settings
from geo.frames import sectors_along
from model.classes import CLASSES
from model.detections import Detections, Looks
from model.time import NS
from model.world import SensorColumns

COUNTS = (10, 30, 100, 300, 1_000, 3_000, 10_000)
WARM_SCANS, SCANS = 4, 8
SPACING_M = 120.0
PER_SENSOR = 1
ROWS_ACROSS = 50


def scan_ms(targets: int, seed: int = 1) -> NDArray[np.float64]:
    """Milliseconds of each scan in which all targets are tracked and all are seen."""
    random = np.random.default_rng(seed)
    index = np.arange(targets)
    start = SPACING_M * np.stack([index // ROWS_ACROSS, index % ROWS_ACROSS], axis=1) + random.uniform(
        -20, 20, (targets, 2)
    )
    velocity = random.normal(0, 1.2, (targets, 2))
    watchers = -(-targets // PER_SENSOR)
    middle = np.array([start[i * PER_SENSOR : (i + 1) * PER_SENSOR].mean(axis=0) for i in range(watchers)])
    sensors = SensorColumns.blank(watchers).but(
        position=middle,
        accuracy_m=np.full(watchers, 5.0),
        range_m=np.full(watchers, 150.0),
        half_angle_rad=np.full(watchers, np.pi),
        view_known=np.ones(watchers, np.bool_),
        detection_probability=np.full(watchers, 0.95),
        false_alarms_per_hour=np.full(watchers, 10.0),
        looks_per_s=np.ones(watchers),
        fades_s=np.full(watchers, 10.0),
        silent_after_s=np.full(watchers, np.inf),
    )
    sectors = sectors_along(np.array([31.33]), np.array([-110.93]))
    phase_ns = random.integers(0, NS // 2, watchers)
    likelihood = np.full((targets, len(CLASSES)), 0.02)
    likelihood[:, 0] = 0.9
    state, took = at_rest(), []
    for second in range(WARM_SCANS + SCANS):
        observed = START_NS + second * NS + phase_ns
        at_s = second + phase_ns[index // PER_SENSOR] / NS
        rows = Detections.blank(targets).but(
            observed_ns=observed[index // PER_SENSOR],
            received_ns=observed[index // PER_SENSOR] + NS // 10,
            sensor=(index // PER_SENSOR).astype(np.int32),
            position=start + at_s[:, None] * velocity + random.normal(0, 5.0, (targets, 2)),
            covariance=np.tile(25.0 * np.eye(2), (targets, 1, 1)),
            class_likelihood=likelihood,
            confidence=np.full(targets, 0.9),
        )
        rows = rows.take(np.argsort(rows.received_ns, kind="stable"))
        looks = Looks(observed, observed + NS // 10, np.arange(watchers, dtype=np.int32))
        looks = looks.take(np.argsort(looks.received_ns, kind="stable"))
        began = time.perf_counter()
        state, _ = fuse(Settings(), sensors, sectors, state, rows, looks, None)
        took.append(1000 * (time.perf_counter() - began))
    if not 0.97 * targets <= state.tracks.confirmed.sum() <= 1.03 * targets:
        raise RuntimeError(f"{state.tracks.confirmed.sum()} tracks of {targets} targets: this measures something else.")
    return np.array(took[WARM_SCANS:])


def plotted(counts: tuple[int, ...], took: list[NDArray[np.float64]], path: Path) -> None:
    """Milliseconds a scan and microseconds a detection, against live tracks, as an SVG."""
    figure, (whole, each) = plt.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
    middle = np.array([np.median(t) for t in took])
    whole.loglog(counts, middle, "o-", label="median of eight scans")
    whole.loglog(counts, [t.max() for t in took], ".", color="tab:gray", label="slowest")
    whole.axhline(100, color="tab:red", linewidth=1)
    whole.text(counts[0], 95, "limit for 10,000", color="tab:red", va="top")
    whole.set(xlabel="live tracks, each seen once", ylabel="ms a scan")
    whole.legend(loc="center left", frameon=False)
    each.loglog(counts, 1000 * middle / np.array(counts), "o-")
    each.set(xlabel="live tracks, each seen once", ylabel="µs a detection")
    for axes in (whole, each):
        axes.grid(True, which="major", alpha=0.3)
    figure.savefig(path, metadata={"Date": None, "Creator": None})


def main() -> None:
    said = argparse.ArgumentParser(description=__doc__)
    said.add_argument("--plot", type=Path, help="write the plot here, as docs/fusion-cost.svg")
    path = said.parse_args().plot
    print("| live tracks | ms a scan (median, worst) | µs a detection |\n|---|---|---|")
    measured = []
    for count in COUNTS:
        took = scan_ms(count)
        measured.append(took)
        print(
            f"| {count:,} | {np.median(took):.1f}, {took.max():.1f} | {1000 * np.median(took) / count:.1f} |",
            flush=True,
        )
    if path:
        plotted(COUNTS, measured, path)


if __name__ == "__main__":
    main()
