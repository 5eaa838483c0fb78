"""Whatever comes in, nothing is raised and no message vanishes."""

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.builders import decoded as decoded_alone
from tests.builders import messages, shipped_world
from tests.unit.test_formats import EPOCH_S, EUI, NATIVE, UP, frigate, group, uplink

CATALOGUE = shipped_world().catalogue
TOPICS = st.sampled_from(
    [
        NATIVE + "radar-west",
        NATIVE + "cam-01",
        "frigate/events",
        "frigate/reviews",
        "frigate/tracked_object_update",
        "frigate/available",
        "frigate/west_1/status/detect",
        UP + "up",
        UP + "status",
        f"application/1/device/{EUI}",
        "openalpr",
        "openalpr/1001",
        "nobody/knows",
        "frigate",
        "application",
    ]
)
LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.just(EPOCH_S)
JSON: st.SearchStrategy[Any] = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=8,
)
VALID = st.sampled_from(
    [
        (
            NATIVE + "radar-west",
            {"time": 1795000000000, "detections": [{"lat": 31.3, "lon": -110.6, "sigma_m": 3, "class": "person"}]},
        ),
        frigate(),
        frigate(recognized_license_plate=["TST0001", 0.9]),
        uplink({"pir": 1}),
        group(),
        ("openalpr", {"data_type": "alpr_results", "camera_id": 1001, "results": [{"plate": "A", "confidence": 1}]}),
    ]
)


def left_a_trace(topic: str, payload: bytes) -> bool:
    decoded = decoded_alone(CATALOGUE, messages((1.0, topic, payload)))
    return bool(len(decoded.readings) + len(decoded.looks) + len(decoded.signs) + len(decoded.rejections))


@settings(deadline=None)
@given(TOPICS, st.binary(max_size=200))
def test_random_bytes_leave_a_trace(topic: str, payload: bytes) -> None:
    assert left_a_trace(topic, payload)


@settings(deadline=None, max_examples=300)
@given(TOPICS, JSON)
def test_random_json_leaves_a_trace(topic: str, said: Any) -> None:
    assert left_a_trace(topic, json.dumps(said).encode())


def mutated(said: Any, path: list[int], change: Any) -> Any:
    """`said` with one value somewhere inside exchanged."""
    if isinstance(said, dict) and said and path:
        key = sorted(said)[path[0] % len(said)]
        return said | {key: mutated(said[key], path[1:], change)}
    if isinstance(said, list) and said and path:
        at = path[0] % len(said)
        return [*said[:at], mutated(said[at], path[1:], change), *said[at + 1 :]]
    return change


@settings(deadline=None, max_examples=500)
@given(VALID, st.lists(st.integers(0, 20), min_size=1, max_size=4), JSON)
def test_a_valid_message_with_one_wrong_value_leaves_a_trace(
    valid: tuple[str, Any], path: list[int], change: Any
) -> None:
    topic, said = valid
    assert left_a_trace(topic, json.dumps(mutated(said, path, change)).encode())
