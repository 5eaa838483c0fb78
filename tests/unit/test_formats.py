"""The decoders, on payloads written after each vendor's documents.

Frigate: "MQTT"; ChirpStack: "Event types" and integration.proto; Rekor Scout: "JSON plate, group results, heartbeat".
"""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from model.classes import CLASS_INDEX, CLASSES
from model.detections import Kind
from model.health import Sign
from model.messages import TOO_LARGE_MARK, Messages
from model.rejections import BENIGN, Reason
from model.time import NS, iso_from_ns, ns_from_iso
from sensors.catalogue import Feed
from sensors.decode import decode
from sensors.intake import Intake
from sensors.placing import place
from sensors.plates import token
from sensors.readings import Decoded, Place
from sensors.repeats import Seen
from tests.builders import KEY, T0, messages, shipped_world
from tests.builders import decoded as decoded_alone

SHIPPED = shipped_world().catalogue
CATALOGUE = replace(
    SHIPPED,
    feeds=(*SHIPPED.feeds, Feed("tak", "cot", "cot", ("cot/#",), unit_types=("a-f-G-U",))),
    unit_of=SHIPPED.unit_of | {("tak", "ANDROID-1"): "ranger-3"},
)
ROW = CATALOGUE.row_of_id
EPOCH_S = T0 / NS
NATIVE = "marchwarden/san-rafael/detections/"
EUI = next(s.source for s in CATALOGUE.sensors if s.id == "ugs-01")
SEISMIC = next(s.source for s in CATALOGUE.sensors if s.id == "ugs-04")
UP = f"application/17c82e96/device/{EUI}/event/"


def read(*sent: tuple[str, Any], retained: bool = False) -> Decoded:
    """What messages a second after T0 come to, in one batch."""
    batch = messages(*((1.0, topic, p if isinstance(p, bytes) else json.dumps(p).encode()) for topic, p in sent))
    batch = Messages(batch.received_ns, batch.topics, batch.payloads, np.full(len(batch), retained))
    return decoded_alone(CATALOGUE, batch)


def read_in_turn(*sent: tuple[float, str, bytes]) -> list[Decoded]:
    """What messages come to, each in a batch of its own."""
    seen, intake, out = Seen.none(), Intake.initial(len(CATALOGUE)), []
    for message in sent:
        seen, intake, one = decode(CATALOGUE, seen, intake, messages(message))
        out.append(one)
    return out


def reasons(decoded: Decoded) -> list[Reason]:
    return [r.reason for r in decoded.rejections]


# ── native ───────────────────────────────────────────────────────────────────────────────────────


def test_a_native_detection_is_read_field_by_field() -> None:
    said = {
        "time": iso_from_ns(T0),
        "id": "x",
        "lat": 31.34,
        "lon": -110.6,
        "covariance_m2": [[4, 1], [1, 9]],
        "class": {"person": 0.8, "animal": 0.1},
        "confidence": 0.9,
        "source_id": 17,
    }
    readings = read((NATIVE + "radar-west", said)).readings
    assert readings.observed_ns[0] == T0
    assert readings.place[0] == Place.WGS84
    assert readings.where[0].tolist() == [31.34, -110.6]
    assert readings.spread[0].tolist() == [4, 1, 9]
    assert readings.class_likelihood[0, CLASS_INDEX["person"]] == pytest.approx(0.8 + 0.1 / 6)
    assert readings.source[0] != 0


@pytest.mark.parametrize(
    ("said", "velocity", "sigma"),
    [
        ({}, [0.0, 0.0], 0.0),
        ({"course_deg": 90}, [1.0, 0.0], np.inf),
        ({"course_deg": 0, "speed_mps": 4}, [0.0, 4.0], 0.9),
        ({"course_deg": 180, "speed_mps": -1}, [0.0, -1.0], np.inf),
        ({"speed_mps": 4}, [0.0, 0.0], 0.0),
    ],
)
def test_a_course_and_a_speed_become_a_velocity(said: dict[str, Any], velocity: list[float], sigma: float) -> None:
    world = shipped_world()
    decoded = read((NATIVE + "radar-west", {"time": iso_from_ns(T0), "lat": 31.34, "lon": -110.6} | said))
    placed, _ = place(world.catalogue, world.sectors, world.zones, decoded.readings)
    assert placed.velocity[0] == pytest.approx(velocity, abs=0.01)  # the plane's north is off by a thousandth here
    assert placed.velocity_sigma_mps[0] == pytest.approx(sigma)


def test_candidates_of_a_plate_become_tokens_and_only_the_best_is_sealed() -> None:
    said = {"plate": "ABC 123", "plate_candidates": {"ABC123": 60, "A8C123": 30, "": 5, "ABC128": -1}}
    decoded = read((NATIVE + "radar-west", {"time": iso_from_ns(T0)} | said))
    tokens = [token(CATALOGUE.plate_key, text) for text in ("ABC123", "A8C123")]
    assert decoded.readings.plate[0] == tokens[0]
    assert decoded.readings.plates[0].tolist() == [*tokens, 0, 0]
    assert decoded.readings.plate_share[0] == pytest.approx([0.95 * 2 / 3, 0.95 / 3, 0, 0])
    assert [plate.text for plate in decoded.plates] == ["ABC123"]


def test_what_a_sensor_often_confuses_is_believed_less() -> None:
    """Of animals it calls a fifth persons, so that a person it speaks of may be an animal."""
    row = ROW["radar-west"]
    shares = np.eye(len(CLASSES))
    shares[CLASS_INDEX["animal"], [CLASS_INDEX["animal"], CLASS_INDEX["person"]]] = [0.8, 0.2]
    sensor = replace(CATALOGUE.sensors[row], confusion=tuple(map(tuple, shares.tolist())))
    confused = replace(CATALOGUE, sensors=(*CATALOGUE.sensors[:row], sensor, *CATALOGUE.sensors[row + 1 :]))
    batch = messages((1.0, NATIVE + "radar-west", b'{"class": {"person": 1.0}}'))
    likelihood = decoded_alone(confused, batch).readings.class_likelihood[0]
    assert likelihood[CLASS_INDEX["animal"]] / likelihood[CLASS_INDEX["person"]] == pytest.approx(0.2)
    assert likelihood.sum() == pytest.approx(1.0)


def test_a_fence_between_two_posts_says_where_along_it_something_crossed() -> None:
    world, row = shipped_world(), ROW["radar-west"]
    line = np.zeros((len(CATALOGUE), 2))
    line[row] = [120.0, 0.0]
    catalogue = replace(world.catalogue, columns=world.catalogue.columns.but(line_m=line))
    decoded = read((NATIVE + "radar-west", {"time": iso_from_ns(T0), "course_deg": 0}))
    placed, _ = place(catalogue, world.sectors, world.zones, decoded.readings)
    assert placed.kind[0] == Kind.CROSSING
    assert placed.position[0] == pytest.approx(catalogue.columns.position[row] + [60.0, 0.0])
    accuracy = catalogue.columns.accuracy_m[row]
    assert np.sqrt(placed.covariance[0, 0, 0]) == pytest.approx(np.hypot(120 / np.sqrt(12), accuracy))
    assert np.sqrt(placed.covariance[0, 1, 1]) == pytest.approx(accuracy)


def test_members_of_a_frame_inherit_its_time_and_an_empty_frame_is_a_look() -> None:
    frame = {
        "time": T0 // 1_000_000,
        "detections": [{"bearing_deg": 10, "range_m": 50}, {"pixel": [1, 2]}, {"bearing_deg": 3}],
    }
    decoded = read((NATIVE + "radar-west", frame), (NATIVE + "radar-east", {"time": iso_from_ns(T0), "detections": []}))
    assert decoded.readings.observed_ns.tolist() == [T0 // 1_000_000 * 1_000_000] * 3
    assert decoded.readings.place.tolist() == [Place.RANGE, Place.PIXEL, Place.BEARING]
    assert decoded.looks.sensor.tolist() == [ROW["radar-west"], ROW["radar-east"]]
    assert not decoded.rejections


def test_one_bad_member_of_a_frame_is_rejected_and_the_others_stand() -> None:
    frame = {
        "time": iso_from_ns(T0),
        "detections": [{"lat": 31.34, "lon": -110.6}, {"lat": "north"}, {"time": "noon"}, {}],
    }
    decoded = read((NATIVE + "radar-west", frame))
    assert len(decoded.readings) == 1
    assert reasons(decoded) == [Reason.WRONG_SHAPE] * 3


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"{not json", Reason.NOT_JSON),
        (b"[1, 2]", Reason.WRONG_SHAPE),
        (b'{"lat": NaN, "lon": 1}', Reason.NOT_FINITE),
        (b'{"lat": 1e999, "lon": 1}', Reason.OUT_OF_RANGE),
        (b'{"lat": 200, "lon": 1}', Reason.OUT_OF_RANGE),
        (b'{"lat": 31.3, "lon": -110.6, "sigma_m": 0}', Reason.OUT_OF_RANGE),
        (b'{"lat": 31.3, "lon": -110.6, "covariance_m2": [[1, 5], [5, 1]]}', Reason.OUT_OF_RANGE),
        (b'{"lat": 31.3, "lon": -110.6, "confidence": 80}', Reason.OUT_OF_RANGE),
        (b'{"bearing_deg": 10, "range_m": -5}', Reason.OUT_OF_RANGE),
        (b'{"time": "2031-01-01T00:00:00Z"}', Reason.IN_THE_FUTURE),
        (b'{"time": "2025-01-01T00:00:00Z"}', Reason.TOO_OLD),
        (b'{"time": "yesterday"}', Reason.WRONG_SHAPE),
        (b'{"time": 1e300}', Reason.OUT_OF_RANGE),
        (b'{"detections": ' + b"[" * 100_000, Reason.NOT_JSON),
        (b"\xff\xfe", Reason.NOT_JSON),
        (b" " * 2_000_000, Reason.TOO_LARGE),
        (TOO_LARGE_MARK + b"10000000", Reason.TOO_LARGE),
    ],
)
def test_what_cannot_be_used_is_rejected_with_its_reason(payload: bytes, reason: Reason) -> None:
    decoded = read((NATIVE + "radar-west", payload))
    assert reasons(decoded) == [reason]
    assert len(decoded.readings) == 0


def test_an_unknown_sensor_and_an_unknown_topic_are_named() -> None:
    decoded = read((NATIVE + "radar-9", {}), ("weather/today", {}))
    assert reasons(decoded) == [Reason.UNKNOWN_SENSOR, Reason.UNKNOWN_TOPIC]
    assert "radar-9" in decoded.rejections[0].detail
    assert "weather/today" in decoded.rejections[1].detail


def test_the_same_message_again_and_a_retained_one_are_set_aside() -> None:
    said = (NATIVE + "radar-west", {"time": iso_from_ns(T0), "lat": 31.34, "lon": -110.6})
    assert reasons(read(said, said)) == [Reason.REPEATED]
    assert reasons(read(said, retained=True)) == [Reason.RETAINED]


def test_a_repeat_is_recognised_in_a_later_batch_and_forgotten_after_its_time() -> None:
    said = json.dumps({"time": None, "lat": 31.34, "lon": -110.6, "id": "a"}).encode()
    first, second, third = read_in_turn(*((at_s, NATIVE + "radar-west", said) for at_s in (0, 60, 3000)))
    assert [len(d.readings) for d in (first, second, third)] == [1, 0, 1]


# ── Frigate ──────────────────────────────────────────────────────────────────────────────────────


def frigate(kind: str = "update", **after: Any) -> tuple[str, Any]:
    seen = {
        "id": "1794.1-abc",
        "camera": "west_1",
        "frame_time": EPOCH_S,
        "label": "person",
        "sub_label": None,
        "top_score": 0.9,
        "false_positive": False,
        "score": 0.8,
        "box": [600, 300, 640, 400],
        "stationary": False,
        "motionless_count": 0,
        "snapshot": {"frame_time": EPOCH_S, "box": [1, 2, 3, 4], "attributes": []},
        "path_data": [[[0.5, 0.5], EPOCH_S]],
    } | after
    return "frigate/events", {"type": kind, "before": seen, "after": seen}


def test_a_frigate_object_stands_at_the_middle_of_the_lower_edge_of_its_box() -> None:
    readings = read(frigate()).readings
    assert readings.where[0].tolist() == [620.0, 400.0]
    assert readings.place[0] == Place.PIXEL
    assert abs(int(readings.observed_ns[0]) - T0) <= 1000
    assert readings.confidence[0] == 0.8


def test_the_end_of_an_event_repeats_its_last_frame_and_a_new_frame_does_not() -> None:
    decoded = read(frigate("new"), frigate("end", end_time=EPOCH_S), frigate(frame_time=EPOCH_S + 0.2))
    assert len(decoded.readings) == 2
    assert reasons(decoded) == [Reason.REPEATED]


@pytest.mark.parametrize("time", [1e18, 10**30, -(10**30)])
def test_a_time_that_no_clock_has_is_rejected_and_its_plate_is_not_kept(time: float) -> None:
    decoded = read(frigate(frame_time=time, recognized_license_plate="TST0001"))
    assert reasons(decoded) == [Reason.OUT_OF_RANGE]
    assert decoded.plates == ()


def test_what_frigate_calls_a_false_positive_is_none_of_ours() -> None:
    assert reasons(read(frigate(false_positive=True))) == [Reason.FALSE_POSITIVE]


@pytest.mark.parametrize("sub_label", [None, "delivery", ["delivery", 0.8]])
def test_every_form_of_sub_label_is_understood(sub_label: Any) -> None:
    assert not read(frigate(sub_label=sub_label)).rejections


@pytest.mark.parametrize(
    "missing", ["sub_label", "top_score", "false_positive", "score", "path_data", "stationary", "snapshot"]
)
def test_a_field_that_older_versions_lack_is_not_missed(missing: str) -> None:
    topic, said = frigate()
    del said["after"][missing]
    decoded = read((topic, said))
    assert len(decoded.readings) == 1
    assert not decoded.rejections


@pytest.mark.parametrize(
    "form",
    [
        {"recognized_license_plate": "TST-0001", "recognized_license_plate_score": 0.9},
        {"recognized_license_plate": ["TST0001", 0.9]},
    ],
)
def test_a_plate_leaves_the_decoder_as_a_token_only(form: dict[str, Any]) -> None:
    decoded = read(frigate(label="car", **form))
    assert decoded.readings.plate[0] == token(KEY, "tst 0001")
    assert [p.text for p in decoded.plates] == ["TST0001"]
    assert "TST0001" not in repr(decoded.plates) + repr(decoded.rejections)


def test_a_plate_that_comes_later_is_joined_on_the_object() -> None:
    update = {
        "type": "lpr",
        "id": "1794.1-abc",
        "name": None,
        "plate": "TST0001",
        "score": 0.95,
        "camera": "west_1",
        "timestamp": EPOCH_S,
    }
    readings = read(frigate(label="car"), ("frigate/tracked_object_update", update)).readings
    assert readings.source[0] == readings.source[1] != 0
    assert readings.plate.tolist() == [0, token(KEY, "TST0001")]


def test_frigates_other_messages_are_understood_and_say_nothing_to_detect() -> None:
    review = {
        "type": "new",
        "before": {},
        "after": {"id": "1", "camera": "west_1", "severity": "alert", "data": {"detections": []}},
    }
    decoded = read(
        ("frigate/reviews", review),
        ("frigate/tracked_object_update", {"type": "description", "id": "1", "description": "."}),
        ("frigate/stats", {"service": {}}),
        ("frigate/west_1/person", b"2"),
    )
    assert len(decoded.readings) == 0
    assert set(reasons(decoded)) <= BENIGN
    assert decoded.signs.sign.tolist() == [Sign.HEARD]


def test_availability_counts_even_when_it_is_retained() -> None:
    decoded = read(("frigate/available", b"offline"), ("frigate/west_1/detect/state", b'"OFF"'), retained=True)
    cameras = [i for i, s in enumerate(CATALOGUE.sensors) if s.feed == "frigate"]
    assert decoded.signs.sensor.tolist() == [*cameras, ROW["cam-01"]]
    assert decoded.signs.sign.tolist() == [Sign.GATEWAY_DOWN] * len(cameras) + [Sign.SWITCHED_OFF]


# ── ChirpStack ───────────────────────────────────────────────────────────────────────────────────


def uplink(said: Any, dedup: str = "d1", **more: Any) -> tuple[str, Any]:
    return UP + "up", {
        "deduplicationId": dedup,
        "time": iso_from_ns(T0)[:-1] + "789+00:00",
        "deviceInfo": {"devEui": EUI, "tags": {}},
        "fCnt": 7,
        "fPort": 85,
        "data": "AQ==",
        "object": said,
        "rxInfo": [{"gatewayId": "1", "rssi": -80}],
    } | more


@pytest.mark.parametrize("said", [{"pir": "trigger"}, {"pir": 1}, {"pir": "trigger", "battery": 50}])
def test_an_uplink_that_the_profile_calls_a_detection_is_one_at_the_sensors_place(said: Any) -> None:
    decoded = read(uplink(said))
    assert decoded.readings.place.tolist() == [Place.OWN]
    assert decoded.readings.observed_ns[0] == ns_from_iso(iso_from_ns(T0)[:-1] + "789Z")
    assert decoded.readings.class_likelihood[0].argmax() == CLASS_INDEX["person"]


@pytest.mark.parametrize("said", [{"pir": "normal"}, {}, {"battery": 12}])
def test_an_uplink_without_a_hit_is_a_sign_of_life(said: Any) -> None:
    decoded = read(uplink(said))
    assert len(decoded.readings) == 0
    assert Sign.HEARD in decoded.signs.sign.tolist()
    assert not decoded.rejections


def test_a_number_in_a_nested_object_is_held_against_its_threshold_and_tampering_is_told() -> None:
    topic = UP.replace(EUI, SEISMIC.upper()) + "up"
    loud = uplink({"seismic": {"energy": 55.5}, "status": {"battery_mv": 1800, "lid_open": True}})[1]
    quiet = uplink({"seismic": {"energy": 12}}, "d2")[1]
    decoded = read((topic, loud), (topic, quiet))
    assert len(decoded.readings) == 1
    signs = dict(zip(decoded.signs.sign.tolist(), decoded.signs.value.tolist(), strict=True))
    assert signs[Sign.BATTERY] == pytest.approx(0.5)
    assert Sign.TAMPERED in signs


def test_a_second_gateways_copy_is_a_repeat() -> None:
    again = uplink({"pir": 1}, rxInfo=[{"gatewayId": "2"}])
    assert reasons(read(uplink({"pir": 1}), again)) == [Reason.REPEATED]


def test_status_gives_the_battery_and_a_left_out_level_is_zero() -> None:
    decoded = read(
        (UP + "status", {"batteryLevel": 87.5}), (UP + "status", {}), (UP + "status", {"batteryLevelUnavailable": True})
    )
    levels = decoded.signs.value[decoded.signs.sign == Sign.BATTERY]
    assert levels.tolist() == [0.875, 0.0]


def test_what_a_device_itself_sends_is_a_sign_of_life_and_a_missing_codec_is_explained() -> None:
    decoded = read(*((UP + event, {}) for event in ("join", "ack", "txack", "log", "location")), uplink(None))
    assert (decoded.signs.sign == Sign.HEARD).sum() == 2  # join and up; the others come from the network
    assert reasons(decoded) == [Reason.NETWORK_EVENT] * 4 + [Reason.WRONG_SHAPE]
    assert "codec" in decoded.rejections[-1].detail


# ── OpenALPR ─────────────────────────────────────────────────────────────────────────────────────


def group(**more: Any) -> tuple[str, Any]:
    return "openalpr", {
        "data_type": "alpr_group",
        "version": 2,
        "epoch_start": T0 // 1_000_000 - 900,
        "epoch_end": T0 // 1_000_000,
        "camera_id": 1001,
        "agent_uid": "AGENT",
        "uuids": ["u1", "u2"],
        "best_uuid": "u1",
        "best_confidence": 92.5,
        "best_plate_number": "TST0002",
        "best_plate": {"plate": "TST0002", "confidence": 92.5, "coordinates": []},
        "candidates": [{"plate": "TST0O02", "confidence": 80.0}],
        "vehicle": {"color": [{"name": "white"}]},
    } | more


def test_a_group_is_one_vehicle_at_its_reader_with_confidence_as_a_share() -> None:
    readings = read(group()).readings
    assert readings.sensor.tolist() == [ROW["alpr-01"]]
    assert readings.confidence[0] == pytest.approx(0.925)
    assert readings.plate[0] == token(KEY, "tst-0002")
    assert readings.class_likelihood[0].argmax() == CLASS_INDEX["vehicle"]


def test_the_first_version_of_groups_has_no_agent_and_no_best_plate_number() -> None:
    topic, said = group(version=1)
    for name in ("agent_uid", "best_plate_number", "best_confidence", "best_uuid", "vehicle"):
        del said[name]
    readings = read((topic, said)).readings
    assert readings.plate[0] == token(KEY, "TST0002")
    assert readings.confidence[0] == pytest.approx(0.925)


def test_every_plate_of_a_frame_is_a_reading_and_an_empty_frame_is_a_look() -> None:
    def results(*plates: str) -> dict[str, Any]:
        return {
            "data_type": "alpr_results",
            "version": 2,
            "epoch_time": T0 // 1_000_000,
            "camera_id": 1002,
            "uuid": "-".join(plates),
            "results": [{"plate": p, "confidence": 88, "candidates": []} for p in plates],
        }

    decoded = read(("openalpr/site", results("AAA111", "BBB222")), ("openalpr/site", results()))
    assert len(decoded.readings) == 2
    assert len(decoded.looks) == 2


def test_an_alert_carries_the_group_that_came_by_itself() -> None:
    inner = group()[1]
    alert = {"data_type": "alpr_alert", "version": 1, "camera_number": 1001, "plate_number": "TST0002", "group": inner}
    decoded = read(group(), ("openalpr", alert))
    assert len(decoded.readings) == 1
    assert reasons(decoded) == [Reason.REPEATED]
    bare = {k: v for k, v in inner.items() if k not in ("camera_id", "data_type")}
    assert len(read(("openalpr", alert | {"group": bare})).readings) == 1


def test_a_heartbeat_says_which_cameras_stream() -> None:
    beat = {
        "data_type": "heartbeat",
        "agent_uid": "AGENT",
        "timestamp": T0 // 1_000_000,
        "video_streams": [
            {"camera_id": 1001, "is_streaming": True},
            {"camera_id": 1002, "is_streaming": 0},
            {"camera_id": 5, "is_streaming": True},
        ],
    }
    assert read(("openalpr", beat)).signs.sign.tolist() == [Sign.ONLINE, Sign.OFFLINE]


def test_a_reader_may_be_registered_by_agent_and_camera() -> None:
    index = CATALOGUE.index_of | {("alpr", "OTHER/1001"): ROW["alpr-05"]}
    catalogue = replace(CATALOGUE, index_of=index)
    payload = json.dumps(group(agent_uid="OTHER")[1]).encode()
    decoded = decoded_alone(catalogue, messages((1, "openalpr", payload)))
    assert decoded.readings.sensor.tolist() == [ROW["alpr-05"]]


# ── what gear says of itself, and units of ours ──────────────────────────────────────────────────

HEALTH = "marchwarden/san-rafael/health/"
UNITS = "marchwarden/san-rafael/units/"


def test_native_gear_says_how_it_is() -> None:
    signs = read((HEALTH + "radar-west", {"online": False, "battery": 0.4, "tampered": True})).signs
    assert signs.sign.tolist() == [Sign.OFFLINE, Sign.BATTERY, Sign.TAMPERED]
    assert reasons(read((HEALTH + "radar-north", {"online": True}))) == [Reason.UNKNOWN_SENSOR]
    assert reasons(read((HEALTH + "radar-west", {"online": "maybe"}))) == [Reason.WRONG_SHAPE]


def test_a_unit_says_where_it_is() -> None:
    said = {
        "time": iso_from_ns(T0),
        "lat": 31.34,
        "lon": -110.6,
        "name": "Ranger 2",
        "course_deg": 90,
        "speed_mps": 1.5,
    }
    (unit,) = read((UNITS + "ranger-2", said)).units
    assert (unit.unit, unit.name, unit.observed_ns, unit.sigma_m, unit.course_deg) == (
        "ranger-2",
        "Ranger 2",
        T0,
        10.0,
        90.0,
    )


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"lat": 131.0}, Reason.OUT_OF_RANGE),
        ({"sigma_m": 0}, Reason.OUT_OF_RANGE),
        ({"time": iso_from_ns(T0 + 3600 * NS)}, Reason.IN_THE_FUTURE),
        ({"time": iso_from_ns(T0 - 90_000 * NS)}, Reason.TOO_OLD),
        ({"lon": None}, Reason.WRONG_SHAPE),
    ],
)
def test_a_unit_that_says_what_cannot_be_is_rejected(change: dict[str, Any], reason: Reason) -> None:
    decoded = read((UNITS + "ranger-2", {"time": iso_from_ns(T0), "lat": 31.34, "lon": -110.6} | change))
    assert (decoded.units, reasons(decoded)) == ((), [reason])


def cot(kind: str = "a-f-G-U-C", time_ns: int = T0, ce: str = "4.5", more: str = "") -> bytes:
    return (
        f'<?xml version="1.0"?>{more}<event version="2.0" uid="ANDROID-1" type="{kind}" time="{iso_from_ns(time_ns)}" '
        f'start="{iso_from_ns(time_ns)}" stale="{iso_from_ns(time_ns + 75 * NS)}" how="m-g">'
        f'<point lat="31.34" lon="-110.6" hae="9999999.0" ce="{ce}" le="9999999.0"/>'
        '<detail><contact callsign="BRAVO 6"/><track course="270.0" speed="2.5"/></detail></event>'
    ).encode()


def test_cursor_on_target_says_where_friends_are() -> None:
    (unit,) = read(("cot/tak", cot())).units
    assert (unit.unit, unit.name, unit.sigma_m, unit.course_deg, unit.speed_mps) == (
        "ranger-3",
        "BRAVO 6",
        4.5,
        270.0,
        2.5,
    )
    (unknown,) = read(("cot/tak", cot(ce="9999999.0"))).units
    assert unknown.sigma_m == 10.0


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (cot(kind="a-h-G"), Reason.NO_DETECTION),
        (cot(kind="b-m-p-s-m"), Reason.NO_DETECTION),
        (b"<event", Reason.WRONG_SHAPE),
        (b"<event/>", Reason.WRONG_SHAPE),
        (cot(ce="much"), Reason.WRONG_SHAPE),
        (cot(more='<!DOCTYPE event [<!ENTITY a "b">]>'), Reason.WRONG_SHAPE),
        (cot(time_ns=T0 + 3600 * NS), Reason.IN_THE_FUTURE),
        (b"\xff\xfe", Reason.WRONG_SHAPE),
    ],
)
def test_other_cursor_on_target_is_counted_and_used_for_nothing(payload: bytes, reason: Reason) -> None:
    decoded = read(("cot/tak", payload))
    assert (decoded.units, reasons(decoded)) == ((), [reason])
