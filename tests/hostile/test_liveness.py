"""The dead must not look alive: who a message really comes from, what a gateway's death means, and what was switched off."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from alerts.equipment import equipment_events
from alerts.wording import text_of
from model.alerts import Alert, EventKind
from model.faults import FaultKind
from model.health import Health
from model.liveness import SensorCondition, sensor_conditions
from model.rejections import Reason
from model.time import NS
from runtime.advance import Outcome, World
from runtime.configuration import load
from runtime.replay import replayed
from runtime.world import world_of
from sensors.health import advance_health, unheard
from sensors.readings import Decoded
from tests.builders import CONFIGS, KEY, T0, decoded, messages, shipped_world
from tests.script import Script
from tests.unit.test_configuration import change, mistakes


def patient(world: World) -> World:
    """One that calls no sensor silent before a quarter of an hour."""
    limits = world.ground.sensors.but(silent_after_s=np.full(len(world.catalogue), LIMIT_S))
    return replace(world, ground=replace(world.ground, sensors=limits))


LIMIT_S = 900.0
WORLD = patient(shipped_world())
CATALOGUE = WORLD.catalogue
CAMERAS = [row for row, sensor in enumerate(CATALOGUE.sensors) if sensor.feed == "frigate"]
CAM = CAMERAS[0]
NAME = CATALOGUE.sensors[CAM].source
UGS = CATALOGUE.row_of_id["ugs-01"]
DEVICE = f"application/1/device/{CATALOGUE.sensors[UGS].source}/event/"

Sent = tuple[float, str, bytes]


def heard(*sent: Sent, retained: bool = False) -> Decoded:
    return decoded(CATALOGUE, messages(*sent, retained=retained))


def health_after(*sent: Sent) -> Health:
    """As it is when each message comes in a step of its own, the first of them a second after all began."""
    health = unheard(len(CATALOGUE), T0)
    for each in sent:
        health = advance_health(CATALOGUE, health, heard(each), ())
    return health


def condition(health: Health, row: int, at_s: float) -> SensorCondition:
    """Of a sensor that was heard at least once."""
    heard = health.but(messages=np.maximum(health.messages, 1))
    return sensor_conditions(heard, WORLD.ground.sensors.silent_after_s, T0 + round(at_s * NS))[row]


def outcomes(world: World, *sent: Sent) -> list[Outcome]:
    return list(replayed(world, [messages(*sent)]))


def told(world: World, *sent: Sent) -> list[Alert]:
    return [alert for outcome in outcomes(world, *sent) for alert in outcome.alerts]


# ── ChirpStack ───────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("event", "payload", "alive"),
    [
        ("up", {"object": {}}, True),
        ("join", {"devAddr": "00189440"}, True),
        ("status", {"margin": 7, "batteryLevelUnavailable": True}, True),
        ("ack", {"queueItemId": "1", "acknowledged": True, "fCntDown": 4}, True),
        ("ack", {"queueItemId": "1", "fCntDown": 4}, False),  # it did not answer in time
        ("txack", {"downlinkId": 4, "gatewayId": "0016c001ff10a235"}, False),
        ("log", {"level": "ERROR", "code": "DOWNLINK_PAYLOAD_SIZE"}, False),
        ("log", {"level": "ERROR", "code": "UPLINK_CODEC"}, False),
        ("log", {}, False),
        ("location", {"location": {"latitude": 31.3}}, False),
        ("integration", {"integrationName": "loracloud"}, False),
    ],
)
def test_what_the_network_server_says_of_a_device_does_not_keep_it_heard(
    event: str, payload: dict[str, Any], alive: bool
) -> None:
    found = heard((500.0, DEVICE + event, json.dumps(payload).encode()))
    health = advance_health(CATALOGUE, unheard(len(CATALOGUE), T0), found, ())
    assert (int(health.heard_ns[UGS]) > T0) == alive
    assert len(found.signs) or len(found.rejections)


@pytest.mark.parametrize("code", ["UPLINK_CODEC", "UPLINK_MIC", "UPLINK_F_CNT_RESET", "OTAA"])
def test_a_codec_or_integrity_error_is_a_fault_of_that_device(code: str) -> None:
    said = {"level": "ERROR", "code": code, "description": "TST0001 <b>free text</b>", "context": {"x": "y"}}
    batch = [(s, DEVICE + "log", json.dumps(said).encode()) for s in (1.0, 20.0, 40.0)]
    found = heard(batch[0])
    assert [(r.reason, r.sensor) for r in found.rejections] == [(Reason.DEVICE_FAULT, "ugs-01")]
    assert [(f.kind, f.about) for f in found.faults] == [(FaultKind.DEVICE_FAULT, "ugs-01")]
    assert "free text" not in found.faults[0].detail + found.rejections[0].detail
    raised = [a for a in told(WORLD, *batch) if a.why == "raised"]
    assert [a.incident.kind for a in raised] == [EventKind.SYSTEM_FAULT]
    assert raised[0].incident.zone == "ugs-01"


def test_a_retransmission_is_no_fault() -> None:
    found = heard((1.0, DEVICE + "log", b'{"level":"WARNING","code":"UPLINK_F_CNT_RETRANSMISSION"}'))
    assert [r.reason for r in found.rejections] == [Reason.NETWORK_EVENT]
    assert found.faults == ()


# ── LoRa gateways ────────────────────────────────────────────────────────────────────────────────

GATEWAY = "0016c001ff10a235"


@pytest.fixture(scope="module")
def lora(tmp_path_factory: pytest.TempPathFactory) -> World:
    """The shipped site, three of whose ground sensors are heard by one gateway only."""
    site = tmp_path_factory.mktemp("lora") / "site"
    shutil.copytree(CONFIGS, site)
    feed = (
        '[[feed]]\nid = "gateways"\nformat = "chirpstack-gateway"\ntopic = "us915/gateway"\n\n[[profile]]\nid = "pir"'
    )
    change(site, "site.toml", '[[profile]]\nid = "pir"', feed)
    header, *rows = (site / "sensors/ground.csv").read_text().splitlines()
    marked = [row + ("," + GATEWAY.upper() if n < 3 else ",") for n, row in enumerate(rows)]
    (site / "sensors/ground.csv").write_text("\n".join([header + ",gateway", *marked]) + "\n")
    return patient(world_of(load(site), KEY))


@pytest.mark.parametrize(
    ("payload", "online"),
    [
        (b'{"gatewayId":"0016c001ff10a235","state":"ONLINE"}', True),
        (b'{"gatewayId":"0016c001ff10a235","state":"OFFLINE"}', False),
        (b'{"gatewayId":"0016c001ff10a235"}', False),  # what is zero is left out
        (b"\x10\x01\x1a\x100016c001ff10a235", True),
        (b"\x0a\x08\x00\x16\xc0\x01\xff\x10\xa2\x35\x10\x01\x1a\x100016c001ff10a235", True),
        (b"\x1a\x100016c001ff10a235", False),
        (b"", False),
    ],
)
def test_a_gateways_state_is_read_in_both_of_its_forms(lora: World, payload: bytes, online: bool) -> None:
    batch = messages((1.0, f"us915/gateway/{GATEWAY}/state/conn", payload), retained=True)
    heard = decoded(lora.catalogue, batch)
    health = advance_health(lora.catalogue, unheard(len(lora.catalogue), T0), heard, ())
    down = [lora.catalogue.sensors[row].id for row in np.flatnonzero(health.gateway_down_ns).tolist()]
    assert down == ([] if online else ["ugs-01", "ugs-02", "ugs-03"])


@pytest.mark.parametrize(
    "payload", [b"online", b"\x10", b"\x10\x02", b"\x1a\xff", b"\xff" * 50, b"{", b'{"state":"X"}']
)
def test_what_is_no_state_of_a_gateway_is_rejected(lora: World, payload: bytes) -> None:
    found = decoded(lora.catalogue, messages((1.0, f"us915/gateway/{GATEWAY}/state/conn", payload)))
    assert len(found.signs) == 0
    assert [r.reason for r in found.rejections] in ([Reason.WRONG_SHAPE], [Reason.NOT_JSON], [Reason.OUT_OF_RANGE])


def test_a_gateway_that_is_down_is_one_incident_that_names_the_sensors_behind_it(lora: World) -> None:
    alerts = told(
        lora,
        (1.0, f"us915/gateway/{GATEWAY}/state/conn", b'{"state":"ONLINE"}'),
        (20.0, f"us915/gateway/{GATEWAY}/state/conn", b""),
        (400.0, f"us915/gateway/{GATEWAY}/state/conn", b'{"state":"ONLINE"}'),
        (420.0, "frigate/stats", b"{}"),
    )
    about = [a for a in alerts if a.incident.kind is EventKind.SILENT_SENSOR]
    assert {a.incident.zone for a in about} == {GATEWAY}
    assert [a.why for a in about] == ["raised", "heard_again"]
    assert [e.sensor for e in about[0].incident.evidence] == ["ugs-01", "ugs-02", "ugs-03"]
    assert "and with it 3 sensors" in about[0].text


# ── Frigate ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("word", [b"offline", b"stopped", b'"offline"'])
def test_frigate_that_goes_is_one_incident_and_not_one_for_each_of_its_cameras(word: bytes) -> None:
    sent = ((1.0, "frigate/available", b"online"), (20.0, "frigate/available", word), (60.0, "frigate/stats", b"{}"))
    all_of_it = outcomes(WORLD, *sent)
    alerts = [a for o in all_of_it for a in o.alerts]
    raised = [a.incident for a in alerts if a.why == "raised"]
    silent = [i for i in raised if i.kind is EventKind.SILENT_SENSOR]
    assert [i.zone for i in silent] == ["frigate"]
    assert {e.sensor for e in silent[0].evidence} == {CATALOGUE.sensors[row].id for row in CAMERAS}
    assert {i.kind for i in raised} <= {EventKind.SILENT_SENSOR, EventKind.COVERAGE_GAP}
    assert len(raised) <= 2  # Frigate; and the line, of which too much is no longer in view
    assert sum(len(o.deliveries) for o in all_of_it) <= 8
    # Each agency is told that has a camera behind it, or one in its area.
    assert {r.agency for r in silent[0].routed} >= {CATALOGUE.sensors[row].owner for row in CAMERAS} - {""}


def test_frigate_that_comes_back_ends_it_and_its_cameras_have_their_time_anew() -> None:
    gone = health_after((1.0, f"frigate/{NAME}/status/detect", b"online"), (20.0, "frigate/available", b"offline"))
    assert condition(gone, CAM, 5_000.0) is SensorCondition.GATEWAY_DOWN
    found = heard((5_000.0, "frigate/available", b"online"))
    back = advance_health(CATALOGUE, gone, found, ())
    assert int(back.heard_ns[CAM]) == T0 + NS  # nothing was heard of the camera itself
    assert condition(back, CAM, 5_001.0) is SensorCondition.WORKING
    assert condition(back, CAM, 5_000.0 + LIMIT_S) is SensorCondition.SILENT


def test_a_camera_that_was_silent_before_frigate_went_is_so_by_itself() -> None:
    health = health_after((LIMIT_S + 100, "frigate/available", b"offline"))
    assert condition(health, CAM, LIMIT_S + 200) is SensorCondition.SILENT
    health = health_after((1.0, f"frigate/{NAME}/status/detect", b"offline"), (2.0, "frigate/available", b"offline"))
    assert condition(health, CAM, 3.0) is SensorCondition.OFFLINE


def test_a_camera_that_is_heard_although_frigate_is_said_to_be_down_is_not_down() -> None:
    event = {"type": "new", "after": {"id": "1", "camera": NAME, "label": "person", "frame_time": T0 / NS + 30}}
    health = health_after((20.0, "frigate/available", b"offline"), (30.0, "frigate/events", json.dumps(event).encode()))
    assert condition(health, CAM, 31.0) is SensorCondition.WORKING
    assert condition(health, CAMERAS[1], 31.0) is SensorCondition.GATEWAY_DOWN


@pytest.mark.parametrize("switch", ["detect", "enabled"])
@pytest.mark.parametrize("retained", [False, True])
def test_a_camera_that_is_switched_off_does_not_look(switch: str, retained: bool) -> None:
    off = heard((10.0, f"frigate/{NAME}/{switch}/state", b"OFF"), retained=retained)
    health = advance_health(CATALOGUE, unheard(len(CATALOGUE), T0), off, ())
    assert condition(health, CAM, 11.0) is SensorCondition.SWITCHED_OFF
    # Its stream runs on, and Frigate goes on telling of what it saw before; neither means that it looks.
    running = heard((12.0, "frigate/reviews", json.dumps({"type": "end", "after": {"camera": NAME}}).encode()))
    health = advance_health(CATALOGUE, health, running, ())
    assert condition(health, CAM, 13.0) is SensorCondition.SWITCHED_OFF
    on = heard((20.0, f"frigate/{NAME}/{switch}/state", b"ON"))
    assert condition(advance_health(CATALOGUE, health, on, ()), CAM, 21.0) is SensorCondition.WORKING


def test_both_switches_must_be_on() -> None:
    state = f"frigate/{NAME}/{{}}/state"
    off = ((1.0, state.format("detect"), b"OFF"), (2.0, state.format("enabled"), b"OFF"))
    half = health_after(*off, (3.0, state.format("enabled"), b"ON"))
    assert condition(half, CAM, 4.0) is SensorCondition.SWITCHED_OFF
    assert condition(health_after(*off, (3.0, f"frigate/{NAME}/status/detect", b"online")), CAM, 4.0) is (
        SensorCondition.SWITCHED_OFF
    )  # a stream that runs shows that the camera is on, and nothing of detection
    whole = health_after(*off, (3.0, state.format("enabled"), b"ON"), (4.0, state.format("detect"), b"ON"))
    assert condition(whole, CAM, 5.0) is SensorCondition.WORKING


def test_a_camera_that_is_switched_off_is_told_of_as_that() -> None:
    alerts = told(WORLD, (1.0, f"frigate/{NAME}/detect/state", b"OFF"), (30.0, "frigate/stats", b"{}"))
    raised = [a for a in alerts if a.why == "raised" and a.incident.kind is EventKind.SILENT_SENSOR]
    assert [a.incident.zone for a in raised] == [CATALOGUE.sensors[CAM].id]
    assert "switched off" in raised[0].text


@pytest.mark.parametrize(
    "rest", ["available", f"{NAME}/status/detect", f"{NAME}/detect/state", f"{NAME}/enabled/state"]
)
def test_a_word_that_frigate_does_not_use_is_rejected_and_none_is_nothing(rest: str) -> None:
    unknown = heard((1.0, f"frigate/{rest}", b"maybe"))
    assert [r.reason for r in unknown.rejections] == [Reason.UNKNOWN_EVENT]
    deleted = heard((1.0, f"frigate/{rest}", b""))
    assert [r.reason for r in deleted.rejections] == [Reason.NO_DETECTION]
    assert len(unknown.signs) == len(deleted.signs) == 0


def test_a_retained_status_is_no_news_of_a_stream() -> None:
    found = heard((1.0, f"frigate/{NAME}/status/detect", b"online"), retained=True)
    assert [r.reason for r in found.rejections] == [Reason.RETAINED]
    assert len(found.signs) == 0


def test_a_gateway_with_thousands_of_sensors_is_told_in_bounded_bytes() -> None:
    many = 5_000
    rows = np.arange(many) % len(CATALOGUE)
    ground = replace(
        WORLD.ground,
        sensors=WORLD.ground.sensors.take(rows),
        sensor_ids=tuple(f"s-{n}" for n in range(many)),
        sensor_names=("",) * many,
        sensor_owners=("",) * many,
        gateways=("big",),
        gateway=np.zeros(many, np.int32),
        rules=tuple(
            replace(r, sensors=tuple(range(many))) for r in WORLD.ground.rules if r.kind is EventKind.SILENT_SENSOR
        ),
    )

    health = unheard(many, T0).but(gateway_down_ns=np.full(many, T0))
    (event,) = equipment_events(ground, health, T0 + NS)
    assert (len(event.evidence), dict(event.detail)["sensors"]) == (200, many)
    script = Script(ground, health=health)
    script.at(1.0)
    assert "with it 5000 sensors" in text_of(ground, script.incident(), "raised")


def test_the_gateway_of_a_sensor_is_checked(tmp_path: Path) -> None:

    shutil.copytree(CONFIGS, tmp_path / "site")
    csv = tmp_path / "site/sensors/ground.csv"
    header, *rows = csv.read_text().splitlines()
    csv.write_text("\n".join([header + ",gateway", rows[0] + f",{GATEWAY}", *(r + "," for r in rows[1:])]))
    assert any("no feed says whether gateways are up" in each for each in mistakes(tmp_path / "site"))
    change(tmp_path / "site", "sensors/native.toml", 'kind = "radar"', f'kind = "radar"\ngateway = "{GATEWAY}"')
    assert any("ChirpStack feed only" in each for each in mistakes(tmp_path / "site"))
