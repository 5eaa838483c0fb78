"""Tracking beside its peers, on the same detections, in one run: `python -m benchmarks.fusion [--seed N] [--budget-s N]`.

For 20, 100 and 500 targets: what Stone Soup's tracker, Marchwarden and the bound make of a scene (see `scenes` and `peers`).
Where Stone Soup does not come to the scene's end within its budget, all are held to as much of it as Stone Soup has done.
Then late and shuffled arrival, the cutting into sectors, and ambiguity that the family does not have: targets that go in groups.
"""

import argparse
from typing import Any

from benchmarks.peers import Run, consistency, marchwarden, origin_known, truth_of
from benchmarks.scenes import Scene, arriving_late, in_sectors, strip
from benchmarks.stonesoup_peer import stone_soup
from runtime.score.score import compared

COUNTS = (20, 100, 500)
HEAD = "| targets (in view) | tracker | detections/s | GOSPA m | of bound | localised m | missed | false | switches | NEES (2) |"


def row(name: str, label: str, scene: Scene, run: Run, bound: dict[str, Any]) -> str:
    """A line of the table."""
    got = compared(truth_of(scene), run.table)
    nees = "{:.2f}, {:.0%} in 95 %".format(*consistency(scene, run)) if run.spreads else ""
    cells = [
        label,
        name,
        f"{run.rate:,.0f}",
        f"{got['gospa_m']:.0f}",
        f"{got['gospa_m'] / bound['gospa_m']:.2f}",
        f"{got['siap']['positional_accuracy_m']:.1f}",
        f"{got['missed']:.2f}",
        f"{got['false']:.2f}",
        str(got["identity_switches"]),
        nees,
    ]
    return "| " + " | ".join(cells) + " |"


def beside_stone_soup(targets: int, seed: int, budget_s: float) -> None:
    """The table of one scene."""
    scene = strip(targets, seed)
    theirs, seconds = stone_soup(scene, budget_s)
    part = scene.until(seconds)
    ours, bound = marchwarden(part), origin_known(part)
    figures = compared(truth_of(part), bound.table)
    label = f"{targets} ({figures['targets']:.0f}), {seconds} s"
    print(row("Stone Soup, GNN, KF", label, part, theirs, figures))
    print(row("Marchwarden", f"× {ours.rate / theirs.rate:,.0f}", part, ours, figures))
    print(row("origin known, KF", "", part, bound, figures), flush=True)


def late(targets: int, seed: int) -> None:
    """Ground sensors up to 30 s late, plate readers up to 10 s; everything else as it was."""
    scene = strip(targets, seed)
    bound = compared(truth_of(scene), origin_known(scene).table)
    for name, one in (("in order", scene), ("late and shuffled", arriving_late(scene, seed))):
        print(row(name, f"{targets}", one, marchwarden(one), bound), flush=True)


def cut(targets: int, seed: int) -> None:
    """The same scene in one sector, and in sectors 5 km across with each thing in the plane of where it lies."""
    scene = strip(targets, seed)
    bound = compared(truth_of(scene), origin_known(scene).table)
    whole = marchwarden(scene)
    print(row("one sector", f"{targets}", scene, whole, bound))
    split = marchwarden(in_sectors(scene), back_to=scene.sectors)
    print(row("four sectors", f"{targets}", scene, split, bound), flush=True)


def main() -> None:
    said = argparse.ArgumentParser(description=__doc__)
    said.add_argument("--seed", type=int, default=1)
    said.add_argument("--budget-s", type=float, default=240.0, help="for Stone Soup, per scene")
    asked = said.parse_args()
    print(HEAD + "\n" + "|---" * HEAD.count(" | ") + "|---|")
    for targets in COUNTS:
        beside_stone_soup(targets, asked.seed, asked.budget_s)
    late(100, asked.seed)
    cut(100, asked.seed)
    scene = strip(60, asked.seed, group=3)
    bound = origin_known(scene)
    figures = compared(truth_of(scene), bound.table)
    print(row("Marchwarden", "60 in threes", scene, marchwarden(scene), figures))
    print(row("origin known, KF", "", scene, bound, figures))


if __name__ == "__main__":
    main()
