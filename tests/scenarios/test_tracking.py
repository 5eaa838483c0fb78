"""Tracking on scenes of the family that docs/fusion.md measures, held to the same bounds. Seeds that nothing was chosen by."""

from functools import cache
from typing import Any

import pytest

from benchmarks.peers import Run, consistency, marchwarden, origin_known, truth_of
from benchmarks.scenes import Scene, arriving_late, in_sectors, strip
from runtime.score.score import compared

CASES = [(20, 51), (20, 52), (100, 53)]


@cache
def scene_of(targets: int, seed: int) -> Scene:
    return strip(targets, seed, seconds=150)


@cache
def run_of(targets: int, seed: int) -> Run:
    return marchwarden(scene_of(targets, seed))


def figures(scene: Scene, run: Run) -> dict[str, Any]:
    return compared(truth_of(scene), run.table)


def bound_of(targets: int, seed: int) -> dict[str, Any]:
    return figures(scene_of(targets, seed), origin_known(scene_of(targets, seed)))


@pytest.mark.parametrize(("targets", "seed"), CASES)
def test_tracks_are_nearly_as_good_as_with_every_origin_known(targets: int, seed: int) -> None:
    got, bound = figures(scene_of(targets, seed), run_of(targets, seed)), bound_of(targets, seed)
    assert got["gospa_m"] <= 1.15 * bound["gospa_m"]
    assert got["false"] <= bound["false"] + 0.01 * targets
    assert got["identity_switches"] <= bound["identity_switches"] + 1


def test_covariances_are_honest() -> None:
    """The mean normalised error squared of two dimensions is 2; tracks lean to saying that they know a little less."""
    mean, within = consistency(scene_of(100, 53), run_of(100, 53))
    assert 1.6 < mean < 2.2
    assert 0.93 < within < 0.98


def test_what_comes_late_and_shuffled_makes_the_same_tracks() -> None:
    scene = scene_of(100, 53)
    late = figures(scene, marchwarden(arriving_late(scene, 1)))
    assert late["gospa_m"] == pytest.approx(figures(scene, run_of(100, 53))["gospa_m"], rel=0.05)


def test_a_scene_cut_into_sectors_makes_the_same_tracks() -> None:
    scene = scene_of(100, 53)
    whole, cut = figures(scene, run_of(100, 53)), figures(scene, marchwarden(in_sectors(scene), scene.sectors))
    assert cut["gospa_m"] == pytest.approx(whole["gospa_m"], rel=0.02)
    assert cut["identity_switches"] <= whole["identity_switches"]
