"""A seeded fuzz of every format: each message leaves a trace, none makes a decoder or a step fail, all values are bounded."""

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.faults import busy
from benchmarks.hostile import ATTACKERS, Word, first_words, hostile_site, unmatched
from benchmarks.message_cost import catalogue_of_all_formats, searched
from model.messages import Messages
from model.rejections import Reason
from model.time import NS
from model.units import RegisteredUnit
from runtime.advance import World
from runtime.broker import Broker
from runtime.configuration import load
from runtime.replay import replayed
from runtime.simulator.exercise import read_exercise
from runtime.simulator.seeing import simulated
from runtime.world import world_of
from sensors.catalogue import Feed
from sensors.decode import decode
from sensors.formats.common import FAR_NS, TOPIC_LONGEST
from sensors.intake import Intake
from sensors.readings import Decoded, Place
from sensors.repeats import Seen
from tests.builders import KEY, T0, decoded, shipped_world
from tests.hostile.payloads import Fuzz

COUNT = 4_000
SHIPPED = shipped_world()
NATIVE_UNITS, COT_UNITS = [f"fuzz-{n}" for n in range(40)], [f"FUZZ-{n}" for n in range(40)]  # the fuzz names ten more
CATALOGUE = replace(
    SHIPPED.catalogue,
    feeds=(
        *SHIPPED.catalogue.feeds,
        Feed("tak", "cot", "cot", ("cot/#",), unit_types=("a-f-G-U",)),
        Feed("gateways", "chirpstack-gateway", "us915/gateway", ()),
    ),
    unit_of={("native", id): id for id in NATIVE_UNITS} | {("tak", id): id for id in COT_UNITS},
)
UNITS = {id: RegisteredUnit(id, "", 4) for id in (*NATIVE_UNITS, *COT_UNITS)}
WORLD = replace(SHIPPED, ground=replace(SHIPPED.ground, units=UNITS))
FAILURES = {Reason.DECODER_FAILED, Reason.STEP_FAILED}
REACH = {  # by place: the largest magnitude of its two numbers
    Place.OWN: (0, 0),
    Place.WGS84: (90, 180),
    Place.PIXEL: (1e6, 1e6),
    Place.RANGE: (720, 1e6),
    Place.BEARING: (720, 0),
}


def fuzzed(fuzz: Fuzz, count: int, start_ns: int) -> Messages:
    """Messages of a fuzz, a hundred a second."""
    times = start_ns + np.arange(count, dtype=np.int64) * (NS // 100)
    sent = [fuzz.message(number, int(times[number])) for number in range(count)]
    return Messages(
        times,
        tuple(s.topic for s in sent),
        tuple(s.payload for s in sent),
        np.array([s.retained for s in sent], np.bool_),
    )


def assert_bounded(heard: Decoded) -> None:
    """Every value that a decoder gives is finite, where it is stated, and within what it can be."""
    readings = heard.readings
    for place, reach in REACH.items():
        where = readings.where[readings.place == place]
        assert (np.nan_to_num(np.abs(where)) <= reach).all()
    for numbers, largest in ((readings.spread, 1e10), (readings.motion, 1e5), (heard.signs.value, 1e12)):
        assert (np.nan_to_num(np.abs(numbers), posinf=np.inf) <= largest).all()
    assert ((readings.confidence >= 0) & (readings.confidence <= 1)).all()
    assert ((readings.class_likelihood >= 0) & (readings.class_likelihood <= 1)).all()
    assert (readings.plate_share.sum(axis=1) <= 1).all()
    assert (np.abs(readings.observed_ns) <= FAR_NS).all()
    for unit in heard.units:
        assert abs(unit.lat) <= 90 and abs(unit.lon) <= 180 and 0 < unit.sigma_m <= 1e5
    for rejection in heard.rejections:
        assert rejection.detail and rejection.count > 0 and len(rejection.detail) < 500
        assert len(rejection.topic) <= TOPIC_LONGEST


@pytest.fixture(scope="module")
def batch() -> Messages:
    return fuzzed(Fuzz(CATALOGUE, 7), COUNT, T0 + NS)


def test_each_message_alone_leaves_a_trace_fails_no_decoder_and_gives_bounded_values(batch: Messages) -> None:
    kinds: Counter[str] = Counter()
    for number in range(COUNT):
        if batch.topics[number].startswith("$"):
            continue
        heard = decoded(CATALOGUE, batch.between(number, number + 1))
        parts = (
            heard.readings,
            heard.looks,
            heard.signs,
            heard.rejections,
            heard.units,
            heard.pictures,
        )
        assert any(map(len, parts)), batch.payloads[number][:300]
        assert not FAILURES & {r.reason for r in heard.rejections}, heard.aside
        assert_bounded(heard)
        kinds.update(r.reason for r in heard.rejections)
        kinds.update(
            name for name, part in zip(("row", "look", "sign", "", "unit", "picture"), parts, strict=True) if len(part)
        )
    assert len(kinds) > 20


def test_a_fuzz_comes_to_the_same_in_other_batches(batch: Messages) -> None:
    def totals(size: int) -> tuple[int, int, int, Counter[tuple[str, str]]]:
        seen, intake, readings, looks, signs = Seen.none(), Intake.initial(len(CATALOGUE)), 0, 0, 0
        rejected: Counter[tuple[str, str]] = Counter()
        for first in range(0, COUNT, size):
            seen, intake, heard = decode(CATALOGUE, seen, intake, batch.between(first, first + size))
            readings, looks, signs = readings + len(heard.readings), looks + len(heard.looks), signs + len(heard.signs)
            for r in heard.rejections:
                rejected[r.reason, r.sensor] += r.count
        return readings, looks, signs, rejected

    assert totals(1) == totals(10)


def test_a_fuzz_of_bytes_that_follows_new_answers_finds_none_that_vanishes_or_fails_a_decoder() -> None:
    found = searched(catalogue_of_all_formats(), 2_000, 5)
    assert (found.vanished, found.failed) == ((), ())
    assert found.kinds_of_answer > 100


def test_a_fuzz_of_all_sensors_and_of_registered_units_fails_no_step(batch: Messages) -> None:
    outcomes = list(replayed(replace(WORLD, catalogue=CATALOGUE), [batch.between(0, 300)]))
    rejected = Counter(r.reason for outcome in outcomes for r in outcome.rejections)
    assert not FAILURES & rejected.keys(), [outcome.aside for outcome in outcomes if outcome.aside][:1]
    assert len(rejected) > 10


def test_every_alert_of_an_exercise_is_delivered_beside_a_fuzz(tmp_path: Path) -> None:
    site = hostile_site(tmp_path, Broker("none", 1, tmp_path), lambda name: f"http://127.0.0.1:9/{name}")
    world = world_of(load(site), KEY)
    exercise, _ = simulated(world, busy(read_exercise(site / "exercises" / "demo.toml"), 32), T0)
    fuzz = fuzzed(Fuzz(world.catalogue, 1, list(ATTACKERS)), 600, T0 + 2 * NS)
    alone, beside = words_of(world, exercise), words_of(world, by_time(exercise, fuzz))
    assert len(alone) >= 10
    assert unmatched(alone, beside) == []


def words_of(world: World, messages: Messages) -> list[Word]:
    """First words to agencies of what moves."""
    deliveries = (d for outcome in replayed(world, [messages]) for d in outcome.deliveries)
    return first_words(((d.channel, json.loads(d.body)) for d in deliveries if d.channel.startswith("hook-")), 0)


def by_time(first: Messages, second: Messages) -> Messages:
    """Both, in order of receipt, without what no broker can send."""
    both = Messages.joined([first, second])
    order = [i for i in np.argsort(both.received_ns, kind="stable").tolist() if not both.topics[i].startswith("$")]
    return Messages(
        both.received_ns[order],
        tuple(both.topics[i] for i in order),
        tuple(both.payloads[i] for i in order),
        both.retained[order],
    )
