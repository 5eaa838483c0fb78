"""Messages that attackers and broken devices send: nothing is raised, nothing vanishes, and the rest is served."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from model.faults import FaultKind
from model.health import Sign
from model.messages import Messages
from model.rejections import Reason
from model.time import NS, iso_from_ns
from runtime.advance import advance, beginning
from sensors.catalogue import Catalogue, Feed
from sensors.decode import FORMATS, decode
from sensors.health import advance_health, unheard
from sensors.intake import Intake
from sensors.placing import place
from sensors.readings import Decoded
from sensors.repeats import Seen
from tests.builders import T0, decoded, messages, shipped_world

WORLD = shipped_world()
MORE_FEEDS = (
    Feed("tak", "cot", "cot", ("cot/#",), unit_types=("a-f-G-U",)),
    Feed("gateways", "chirpstack-gateway", "eu868/gateway", ()),
)
CATALOGUE = replace(WORLD.catalogue, feeds=(*WORLD.catalogue.feeds, *MORE_FEEDS))
ROW = CATALOGUE.row_of_id
NATIVE = "marchwarden/san-rafael/detections/"
UNITS = "marchwarden/san-rafael/units/"
HEALTH = "marchwarden/san-rafael/health/"
RADAR = NATIVE + "radar-west"
TIME = iso_from_ns(T0)


def read(*sent: tuple[str, Any], catalogue: Catalogue = CATALOGUE) -> Decoded:
    """What messages a second after T0 come to, in one batch."""
    encoded = ((1.0, topic, p if isinstance(p, bytes) else json.dumps(p).encode()) for topic, p in sent)
    return decoded(catalogue, messages(*encoded))


def read_in_turn(*sent: tuple[float, str, Any], catalogue: Catalogue = CATALOGUE) -> list[Decoded]:
    """What messages come to, each in a batch of its own."""
    seen, intake, out = Seen.none(), Intake.initial(len(catalogue)), []
    for at_s, topic, said in sent:
        batch = messages((at_s, topic, json.dumps(said).encode()))
        seen, intake, one = decode(catalogue, seen, intake, batch)
        out.append(one)
    return out


def limited(**limits: int) -> Catalogue:
    return replace(CATALOGUE, limits=replace(CATALOGUE.limits, **limits))


def counts(heard: Decoded) -> dict[Reason, int]:
    out: dict[Reason, int] = {}
    for rejection in heard.rejections:
        out[rejection.reason] = out.get(rejection.reason, 0) + rejection.count
    return out


# ── numbers without a bound ──────────────────────────────────────────────────────────────────────

HUGE = ["1e200", "-1e308", "99999999999999999999999999", "-" + "9" * 400, "1e999", "9" * 5000, "1e-320", "NaN", '"9"']


@pytest.mark.parametrize(
    ("topic", "payload"),
    [
        (RADAR, b'{"plate":"A1","plate_candidates":{"B1":99999999999999999999999999}}'),
        (UNITS + "patrol-7", b'{"lat":31.34,"lon":-110.6,"sigma_m":1e200}'),
        ("cot/tak", b'<?xml version="1.0" encoding="foo"?><event/>'),
        ("cot/tak", b'<?xml version="1.0" encoding="utf-7"?><event/>'),
        ("cot/tak", b'<?xml version="1.0" encoding="utf-16"?><event/>'),
        (
            "cot/tak",
            b'<event uid="u" type="a-f-G-U" stale="2099-01-01T00:00:00Z" time="'
            + TIME.encode()
            + b'"><point lat="nan" lon="1e999" ce="-inf"/></event>',
        ),
    ],
)
def test_a_payload_that_ended_the_service_is_rejected(topic: str, payload: bytes) -> None:
    heard = read((topic, payload))
    assert set(counts(heard)) <= {Reason.OUT_OF_RANGE, Reason.WRONG_SHAPE}
    assert len(heard.rejections) == 1
    assert not heard.units
    assert not len(heard.readings)


@pytest.mark.parametrize("number", HUGE)
@pytest.mark.parametrize(
    ("topic", "said"),
    [
        (RADAR, '{"time":%s}'),
        (RADAR, '{"lat":%s,"lon":-110.6}'),
        (RADAR, '{"lat":31.34,"lon":-110.6,"sigma_m":%s}'),
        (RADAR, '{"lat":31.34,"lon":-110.6,"covariance_m2":[[%s,0],[0,4]]}'),
        (RADAR, '{"lat":31.34,"lon":-110.6,"covariance_m2":[[4,%s],[0,4]]}'),
        (RADAR, '{"bearing_deg":%s,"range_m":100}'),
        (RADAR, '{"bearing_deg":10,"bearing_sigma_deg":%s,"range_m":100}'),
        (RADAR, '{"bearing_deg":10,"range_m":%s}'),
        (RADAR, '{"bearing_deg":10,"range_m":100,"range_sigma_m":%s}'),
        (RADAR, '{"bearing_deg":10,"range_m":100,"course_deg":%s,"speed_mps":1}'),
        (RADAR, '{"bearing_deg":10,"range_m":100,"course_deg":10,"speed_mps":%s}'),
        (NATIVE + "thermal-01", '{"pixel":[%s,200]}'),
        (RADAR, '{"class":{"person":%s}}'),
        (RADAR, '{"class":"person","confidence":%s}'),
        (RADAR, '{"class":"person","source_id":%s}'),
        (RADAR, '{"class":"person","id":%s}'),
        (RADAR, '{"plate":"A1","plate_candidates":{"B1":%s}}'),
        (RADAR, '{"detections":[{"class":"person","time":%s},{"class":"person"}]}'),
        (HEALTH + "radar-west", '{"battery":%s}'),
        (UNITS + "patrol-7", '{"lat":31.34,"lon":-110.6,"time":%s}'),
        (UNITS + "patrol-7", '{"lat":31.34,"lon":-110.6,"course_deg":%s,"speed_mps":2}'),
        (UNITS + "patrol-7", '{"lat":31.34,"lon":-110.6,"course_deg":2,"speed_mps":%s}'),
        ("frigate/events", '{"type":"new","after":{"id":"1","camera":"west_1","frame_time":%s,"box":[1,2,3,4]}}'),
        (
            "frigate/events",
            '{"type":"new","after":{"id":"1","camera":"west_1","frame_time":1795000000,"box":[1,2,3,%s]}}',
        ),
        (
            "frigate/events",
            '{"type":"new","after":{"id":"1","camera":"west_1","frame_time":1795000000,"box":[1,2,3,4],"score":%s}}',
        ),
        (
            "frigate/events",
            '{"type":"new","after":{"id":"1","camera":"west_1","frame_time":1795000000,"box":[1,2,3,4],'
            '"recognized_license_plate":["A1",%s]}}',
        ),
        ("frigate/tracked_object_update", '{"type":"lpr","id":"1","camera":"west_1","plate":"A1","timestamp":%s}'),
        ("openalpr", '{"data_type":"alpr_group","camera_id":%s,"best_plate_number":"A1"}'),
        ("openalpr", '{"data_type":"alpr_group","camera_id":1001,"best_plate_number":"A1","epoch_end":%s}'),
        ("openalpr", '{"data_type":"alpr_group","camera_id":1001,"best_plate_number":"A1","best_confidence":%s}'),
        ("openalpr", '{"data_type":"alpr_group","camera_id":1001,"best_plate":{"plate":"A1","confidence":%s}}'),
        ("openalpr", '{"data_type":"alpr_alert","camera_id":1001,"group":{"best_plate_number":"A1","epoch_end":%s}}'),
        (
            f"application/1/device/{CATALOGUE.sensors[ROW['ugs-01']].source}/event/up",
            '{"object":{"pir":1,"battery":%s}}',
        ),
        (f"application/1/device/{CATALOGUE.sensors[ROW['ugs-01']].source}/event/status", '{"batteryLevel":%s}'),
        (
            f"application/1/device/{CATALOGUE.sensors[ROW['ugs-04']].source}/event/up",
            '{"object":{"seismic":{"energy":%s},"status":{"battery_mv":3600}}}',
        ),
    ],
)
def test_no_number_of_any_field_reaches_a_calculation_unbounded(topic: str, said: str, number: str) -> None:
    state = beginning(WORLD, T0)
    world = replace(WORLD, catalogue=CATALOGUE)
    payload = (said % number).encode()
    for at_s in range(1, 8):  # so that scans close, and what was believed of it is predicted
        batch = messages((at_s - 0.05, topic, payload)) if at_s < 3 else Messages.none()
        state, outcome = advance(world, state, batch, T0 + at_s * NS)
        assert not {Reason.DECODER_FAILED} & {r.reason for r in outcome.rejections}
        for scan in outcome.scans:
            for name, values in scan.tracks.arrays().items():
                assert np.isfinite(values).all() if values.dtype.kind == "f" else True, name


# ── what a decoder did not foresee ───────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "error", [KeyError("x"), ValueError("x"), MemoryError(), RecursionError(), AssertionError(), OverflowError()]
)
@pytest.mark.parametrize("name", sorted(FORMATS))
def test_whatever_a_decoder_raises_only_its_message_is_lost_and_kept_aside(
    name: str, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    feed = next(feed for feed in CATALOGUE.feeds if feed.format == name)
    topic = RADAR if name == "native" else f"{feed.topic}/x"
    good = (NATIVE + "radar-east", {"time": TIME, "bearing_deg": 10, "range_m": 50})

    def failing(feed: Feed, topic: str, payload: bytes, rows: Any) -> None:
        if b"secret" not in payload:
            before(feed, topic, payload, rows)
            return
        rows.detection(0, T0, key=1)  # it fails half-way
        rows.sign(0, Sign.HEARD)
        if isinstance(error, RecursionError):
            raise KeyError from error
        raise error

    before = FORMATS[name].read
    monkeypatch.setattr(FORMATS[name], "read", failing)
    heard = decoded(
        replace(CATALOGUE), messages((1.0, topic, b'{"plate": "secret"}'), (1.0, good[0], json.dumps(good[1]).encode()))
    )
    assert heard.readings.sensor.tolist() == [ROW["radar-east"]]
    assert not len(heard.signs)
    assert counts(heard) == {Reason.DECODER_FAILED: 1}
    assert "secret" not in repr(heard.rejections)
    assert [(fault.kind, fault.about) for fault in heard.faults] == [(FaultKind.DECODER_FAILED, feed.id)]
    (aside,) = heard.aside
    assert (aside.topic, aside.payload) == (topic, b'{"plate": "secret"}')
    assert "Traceback" in aside.error


# ── what vanished ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ({"time": 0, "detections": []}, Reason.TOO_OLD),
        ({"time": iso_from_ns(T0 - 7200 * NS), "detections": []}, Reason.TOO_OLD),
        ({"time": iso_from_ns(T0 + 60 * NS), "detections": []}, Reason.IN_THE_FUTURE),
    ],
)
def test_a_frame_of_nothing_with_a_time_that_cannot_be_is_rejected(said: Any, reason: Reason) -> None:
    heard = read((RADAR, said))
    assert not len(heard.looks)
    assert [(r.reason, r.sensor) for r in heard.rejections] == [(reason, "radar-west")]


def test_frames_beyond_the_registered_looks_are_no_evidence() -> None:
    """radar-west is registered with one look in two seconds."""
    frames = [
        (at_s, RADAR, {"time": iso_from_ns(T0 + round(at_s * NS)), "detections": []})
        for at_s in np.arange(0, 60, 1 / 30)
    ]
    heard = read_in_turn(*frames)
    assert sum(len(one.looks) for one in heard) in (30, 31)
    assert sum(counts(one).get(Reason.SURPLUS_LOOK, 0) for one in heard) == len(frames) - sum(
        len(one.looks) for one in heard
    )


def test_the_same_time_again_and_again_or_times_gone_by_are_no_new_looks() -> None:
    now = [(1.0 + i / 10, RADAR, {"time": TIME, "detections": [], "id": i}) for i in range(20)]
    back = [(4.0 + i / 10, RADAR, {"time": iso_from_ns(T0 - 2 * i * NS), "detections": []}) for i in range(20)]
    assert sum(len(one.looks) for one in read_in_turn(*now, *back)) <= 2


def test_looks_that_waited_at_the_broker_and_come_at_once_are_all_believed() -> None:
    frames = [(100.0, RADAR, {"time": iso_from_ns(T0 + 2 * i * NS), "detections": []}) for i in range(50)]
    assert sum(len(one.looks) for one in read_in_turn(*frames)) == 50


# ── floods ───────────────────────────────────────────────────────────────────────────────────────


def test_empty_members_are_counted_and_cost_no_tracks() -> None:
    heard = read((RADAR, b'{"detections":[' + b"{}," * 19_999 + b"{}]}"))
    assert not len(heard.readings)
    assert counts(heard) == {Reason.WRONG_SHAPE: 1_000, Reason.OVER_LIMIT: 19_000}
    assert len(heard.rejections) == 2
    assert [fault.kind for fault in heard.faults] == [FaultKind.LOAD_SHED]


@pytest.mark.parametrize("odd", ["", ',"lattitude":1', ',"time":"noon"', ',"id":1'])
def test_a_message_has_at_most_so_many_members_whatever_is_wrong_in_them(odd: str) -> None:
    member = '{"bearing_deg":10,"range_m":100%s}'
    members = ",".join([member % "", *[member % odd] * 5_000])
    frame = f'{{"time":"{TIME}","detections":[{members}]}}'
    heard = read((RADAR, frame.encode()), catalogue=limited(members_max=100, sensor_detections_per_s_max=10_000))
    assert 1 <= len(heard.readings) <= 100
    assert counts(heard)[Reason.OVER_LIMIT] == 4_901


def test_a_sensor_has_at_most_so_many_detections_a_second_and_others_are_served() -> None:
    catalogue = limited(sensor_detections_per_s_max=20)
    flood = [(RADAR, {"time": TIME, "bearing_deg": i / 10, "range_m": 100}) for i in range(300)]
    other = (NATIVE + "radar-east", {"time": TIME, "bearing_deg": 1, "range_m": 100})
    heard = read(*flood, other, catalogue=catalogue)
    assert np.bincount(heard.readings.sensor).tolist()[ROW["radar-west"] :] == [20, 1]
    assert [(r.reason, r.sensor, r.count) for r in heard.rejections] == [(Reason.OVER_LIMIT, "radar-west", 280)]
    assert [(f.kind, f.about) for f in heard.faults] == [(FaultKind.LOAD_SHED, "radar-west")]


def test_the_bound_of_a_second_holds_over_batches_and_ends_with_the_second() -> None:
    catalogue = limited(sensor_detections_per_s_max=3)
    sent = [
        (at_s, RADAR, {"time": TIME, "bearing_deg": at_s, "range_m": 100})
        for at_s in (1.1, 1.2, 1.3, 1.4, 1.9, 2.0, 2.1)
    ]
    assert [len(one.readings) for one in read_in_turn(*sent, catalogue=catalogue)] == [1, 1, 1, 0, 0, 1, 1]


def test_all_sensors_together_have_at_most_so_many_detections_a_second() -> None:
    names = ("radar-west", "radar-east", "thermal-01")
    sent = [(NATIVE + name, {"time": TIME, "class": "person", "id": i}) for i in range(20) for name in names]
    heard = read(*sent, catalogue=limited(detections_per_s_max=45))
    assert len(heard.readings) == 45
    assert counts(heard) == {Reason.OVER_LIMIT: 15}


# ── what is no detection ─────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("topic", "said", "words"),
    [
        (RADAR, {}, "lat and lon"),
        (RADAR, {"lat": None}, "lat and lon"),
        (RADAR, {"status": "alive"}, "/health/"),
        (RADAR, {"occupancy": False}, "occupancy"),
        (
            RADAR,
            {"latitude": 31.34, "longitude": -110.6},
            "'latitude' (did you mean 'lat'?), 'longitude' (did you mean 'lon'?)",
        ),
        (RADAR, {"lat": 31.34}, "both lat and lon"),
        (RADAR, {"detections": [{"lon": 3.0}]}, "both lat and lon"),
        (RADAR, {"lat": 31.34, "lon": -110.6, "timestamp": 1}, "`time`"),
        (RADAR, {"detections": [{"lat": 31.34, "lon": -110.6, "timestamp": 1}]}, "`time`"),
        (RADAR, {"detections": [], "ts": 1}, "`time`"),
        (
            UNITS + "patrol-7",
            {"_type": "location", "lat": 31.34, "lon": -110.6, "tst": 1700000000, "acc": 9},
            "OwnTracks",
        ),
        (UNITS + "patrol-7", {"lat": 31.34, "lon": -110.6, "tst": 1700000000}, "`time`"),
        (UNITS + "patrol-7", {"latitude": 31.34, "longitude": -110.6}, "did you mean 'lat'?"),
        ("openalpr", {"camera_id": 1001, "plate": "A1"}, "data_type"),
        ("openalpr", {"results": [{"plate": "ab12", "score": 0.9}], "camera_id": 1001}, "data_type"),
        ("openalpr", {"data_type": "plate", "camera_id": 1001}, "'plate'"),
    ],
)
def test_what_names_nothing_that_the_format_knows_is_rejected_with_a_useful_sentence(
    topic: str, said: Any, words: str
) -> None:
    heard = read((topic, said))
    assert not len(heard.readings)
    assert not heard.units
    assert not heard.plates
    (rejection,) = heard.rejections
    assert rejection.reason in (Reason.WRONG_SHAPE, Reason.UNKNOWN_EVENT)
    assert words in rejection.detail


def test_an_unknown_field_beside_known_ones_is_counted_and_the_rest_is_used() -> None:
    said = {"time": TIME, "bearing_deg": 10, "range_m": 50, "speed": 3, "clas": "person", "zzz": 1}
    heard = read((RADAR, said), (RADAR, {"time": TIME, "detections": [said, said], "frame": 9}))
    assert len(heard.readings) == 3
    assert counts(heard) == {Reason.UNKNOWN_FIELD: 10}
    details = " ".join(r.detail for r in heard.rejections)
    assert "'speed' (did you mean 'speed_mps'?)" in details
    assert "'clas' (did you mean 'class'?)" in details
    assert "'zzz' is unknown" in details
    assert {r.sensor for r in heard.rejections} == {"radar-west"}


@pytest.mark.parametrize("said", ["persn", {"persn": 0.8}])
def test_an_unknown_class_is_told_with_the_nearest_known_one(said: Any) -> None:
    heard = read((RADAR, {"time": TIME, "class": said}), (RADAR, {"time": TIME, "detections": [{"class": said}] * 3}))
    assert len(heard.readings) == 4
    assert counts(heard) == {Reason.UNKNOWN_CLASS: 4}
    assert "'persn' (did you mean 'person'?)" in heard.rejections[0].detail
    assert [(f.kind, f.about) for f in heard.faults] == [(FaultKind.FEED_SUSPECT, "radar-west")]


@pytest.mark.parametrize("label", ["person", "Car", "umbrella", "package", "license_plate"])
def test_a_class_that_cameras_are_known_to_name_is_not_told(label: str) -> None:
    assert not read((RADAR, {"time": TIME, "class": label})).rejections


def test_a_sensors_own_labels_are_known() -> None:
    row = ROW["radar-west"]
    sensor = replace(CATALOGUE.sensors[row], labels=(("mover", "person"),))
    catalogue = replace(CATALOGUE, sensors=(*CATALOGUE.sensors[:row], sensor, *CATALOGUE.sensors[row + 1 :]))
    assert not read((RADAR, {"time": TIME, "class": "mover"}), catalogue=catalogue).rejections


@pytest.mark.parametrize(
    ("north_m", "sigma_m", "reason"),
    [
        (1_400.0, 5.0, None),
        (7_000.0, 5.0, None),
        (9_000.0, 5.0, Reason.OUT_OF_REACH),
        (9_000.0, 600.0, None),
        (40_000.0, 5.0, Reason.OUT_OF_REACH),
    ],
)
def test_a_position_many_times_the_sensors_reach_away_is_rejected(
    north_m: float, sigma_m: float, reason: Reason | None
) -> None:
    """radar-west reaches 1,500 m."""
    lat, lon = CATALOGUE.lat[ROW["radar-west"]], CATALOGUE.lon[ROW["radar-west"]]
    heard = read((RADAR, {"time": TIME, "lat": lat + north_m / 111_000, "lon": lon, "sigma_m": sigma_m}))
    _, rejections = place(CATALOGUE, WORLD.sectors, WORLD.zones, heard.readings)
    assert [r.reason for r in rejections] == ([] if reason is None else [reason])


# ── repeats ──────────────────────────────────────────────────────────────────────────────────────


def test_a_sensor_that_says_the_same_words_without_a_time_is_not_blind() -> None:
    said = {"class": {"person": 0.7}}
    heard = read_in_turn(*((at_s, RADAR, said) for at_s in (1, 3, 5, 60, 61)))
    assert [len(one.readings) for one in heard] == [1] * 5


def test_what_follows_within_the_time_of_a_redelivery_is_a_repeat_however_often() -> None:
    said = {"class": {"person": 0.7}}
    heard = read_in_turn(*((1 + i * 0.2, RADAR, said) for i in range(10)))
    assert [len(one.readings) for one in heard] == [1, 0, 0, 1, 0, 0, 1, 0, 0, 1]


def test_with_an_id_or_a_time_the_same_message_later_is_a_repeat() -> None:
    for said in ({"class": "person", "id": 1}, {"class": "person", "time": TIME}):
        assert [len(one.readings) for one in read_in_turn(*((at_s, RADAR, said) for at_s in (1, 30, 200)))] == [1, 0, 0]


# ── signs of life ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "payload",
    [
        b"{not json",
        b"{}",
        b'{"lat": 200, "lon": 1}',
        b'{"time": "2031-01-01T00:00:00Z", "class": "person"}',
        b'{"time": 0, "detections": []}',
        b" " * 1_000_001,
    ],
)
def test_a_rejected_message_that_names_its_sensor_is_a_sign_of_life(payload: bytes) -> None:
    heard = decoded(CATALOGUE, messages((9.0, RADAR, payload)))
    health = advance_health(CATALOGUE, unheard(len(CATALOGUE), T0), heard, ())
    alive = np.flatnonzero(health.heard_ns > T0)
    assert alive.tolist() == [ROW["radar-west"]]
    assert health.heard_ns[alive[0]] == T0 + 9 * NS


def test_a_repeated_message_is_a_sign_of_life_and_a_retained_one_is_not() -> None:
    said = {"class": "person", "id": 1}
    (_, again) = read_in_turn((1, RADAR, said), (30, RADAR, said))
    health = advance_health(CATALOGUE, unheard(len(CATALOGUE), T0), again, ())
    assert health.heard_ns[ROW["radar-west"]] == T0 + 30 * NS
    kept = decoded(CATALOGUE, messages((40.0, RADAR, b'{"class": "person"}'), retained=True))
    assert advance_health(CATALOGUE, health, kept, ()).heard_ns[ROW["radar-west"]] == T0 + 30 * NS
