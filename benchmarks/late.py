"""What late data costs beside the same data in order, in one run.

`python -m benchmarks.late [--targets 100 500] [--seed N] [--seconds N]`. Ground sensors are 0 to 29 s late and plate readers 0 to
10 s. Each scene goes through fusion alone and through the whole of `replay`, with tracks and alerts written, in order and late in
turn. Seconds are of the processor and not of the clock on the wall.
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.scene_site import message_lines, written_site
from benchmarks.scenes import Scene, arriving_late, strip
from fusion.order import at_rest, fuse
from fusion.settings import Settings
from model.time import NS
from runtime import recording
from runtime.configuration import load
from runtime.places import exercise_key
from runtime.replay import replay
from runtime.world import world_of

HEAD = "| targets | arrival | fusion s | scans | of them again | ratio | replay s | ratio |"


def fused(scene: Scene) -> tuple[float, int]:
    """Seconds of fusion alone, the rows handed over each second; and how many scans were run."""
    rows, looks, state, scans = scene.detections, scene.looks, at_rest(), 0
    edges = np.arange(int(rows.received_ns.min()), int(rows.received_ns.max()) + NS + 1, NS)
    row, look = np.searchsorted(rows.received_ns, edges), np.searchsorted(looks.received_ns, edges)
    began = time.process_time()
    for i in range(len(edges) - 1):
        some, looked = rows.take(slice(row[i], row[i + 1])), looks.take(slice(look[i], look[i + 1]))
        state, result = fuse(Settings(), scene.sensors, scene.sectors, state, some, looked, None)
        scans += len(result.scans)
    return time.process_time() - began, scans


def replayed(scene: Scene) -> float:
    """Seconds of a replay, with its tracks and alerts written."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        written_site(scene, folder)
        messages = folder / "messages.ndjson"
        messages.write_bytes(b"".join(line for _, line in sorted(message_lines(scene), key=lambda line: line[0])))
        began = time.process_time()
        c = load(folder)
        world = world_of(c, exercise_key(c))
        replay(world, recording.read(messages, recording.BATCH), folder / "tracks", folder / "alerts", None)
        return time.process_time() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--targets", type=int, nargs="+", default=[100])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=int, default=300)
    options = parser.parse_args()
    print(HEAD + "\n" + "|---" * (HEAD.count("|") - 1) + "|")
    for targets in options.targets:
        scene = strip(targets, options.seed, seconds=options.seconds)
        alone_s, scans = fused(scene)
        whole_s = replayed(scene)
        print(f"| {targets} | in order | {alone_s:.1f} | {scans} | 0 | 1 | {whole_s:.1f} | 1 |", flush=True)
        delayed = arriving_late(scene, options.seed)
        late_s, more = fused(delayed)
        late_whole_s = replayed(delayed)
        figures = f"{late_s:.1f} | {more} | {more - scans} | {late_s / alone_s:.1f} | {late_whole_s:.1f}"
        print(f"| {targets} | late | {figures} | {late_whole_s / whole_s:.1f} |", flush=True)


if __name__ == "__main__":
    main()
