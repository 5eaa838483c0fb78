"""The pipeline as it reads the journal: what is in it is taken in, wherever a round of reading happens to end."""

import time
from pathlib import Path

import msgspec
import numpy as np

from model.messages import SERVICE_TOPIC, Messages
from model.time import MS, NS, iso_from_ns
from runtime.configuration import load
from runtime.service import Pipeline
from sensors.journal import Writer
from tests.site import site_at

RADAR = "marchwarden/san-rafael/detections/radar-west"


def test_what_comes_in_the_first_step_of_a_services_life_counts_however_it_is_read(tmp_path: Path) -> None:
    pipeline = Pipeline(load(site_at(tmp_path)), lambda _: None)
    places = pipeline._places
    with Writer(places.journal, places.journal_keys()) as journal:
        second_ns = time.time_ns() // NS * NS  # retention works by the real clock
        begun_ns = second_ns + 10 * MS
        _append(journal, begun_ns, SERVICE_TOPIC, {"event": "connected"})
        pipeline.turn()
        for n in range(5):
            _append(
                journal, begun_ns + n * MS, RADAR, {"time": iso_from_ns(begun_ns + n * MS), "lat": 31.34, "lon": -110.6}
            )
        pipeline.turn()
        later_ns = second_ns + 10 * NS
        _append(journal, later_ns, RADAR, {"time": iso_from_ns(later_ns), "lat": 31.34, "lon": -110.6})
        _append(journal, second_ns + 20 * NS, SERVICE_TOPIC, {"event": "connected"})
        pipeline.turn()
    assert pipeline.tallies.detections == 6
    pipeline.close()


def _append(journal: Writer, received_ns: int, topic: str, said: object) -> None:
    journal.append(Messages(np.array([received_ns]), (topic,), (msgspec.json.encode(said),), np.zeros(1, np.bool_)))
    journal.sync()
