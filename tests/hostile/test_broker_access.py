"""Who may publish and read what at a real Mosquitto with the access list that `marchwarden acl` prints."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from alerts.outbox import Outbox
from model.messages import Messages
from model.rejections import Reason
from model.time import NS, iso_from_ns
from runtime.broker import free_port
from runtime.broker_access import mosquitto_acl
from runtime.configuration import load
from runtime.mistakes import Mistakes
from runtime.world import world_of
from sensors.decode import decode
from sensors.intake import Intake
from sensors.repeats import Seen
from tests.builders import KEY
from tests.hostile.broker import Client, GuardedBroker, guarded_broker, password, try_to_publish
from tests.site import marchwarden, service, site_at, until

SITE = "marchwarden/san-rafael"
AGENCY = f"{SITE}/agencies/border-patrol"
SILENCE = b'{"action":"silence","by":"x","note":"x","matchers":{"rule":"*"},"until":"2030-01-01T00:00:00Z"}'
FORGED = b'{"alert":"A0","phase":"cleared"}'


def site_with_users(folder: Path) -> Path:
    """The shipped site with a user name at its broker; its port is the broker's inner one."""
    site = site_at(folder, free_port())
    change(site, "site.toml", "# username", "username")
    change(site, "site.toml", "# password_file", "password_file")
    (site / "mqtt-password").write_text(password("marchwarden"))
    (site / "mqtt-password").chmod(0o600)
    return site


def change(site: Path, file: str, old: str, new: str) -> None:
    text = (site / file).read_text()
    assert old in text
    (site / file).write_text(text.replace(old, new, 1))


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[GuardedBroker]:
    site = site_with_users(tmp_path)
    with guarded_broker(tmp_path / "broker", site, load(site).site.mqtt.port) as running:
        yield running


def border_patrol(broker: GuardedBroker) -> Client:
    """The agency's own client: all that reaches the agency."""
    return Client("agency-border-patrol", broker.outer, (AGENCY,))


@pytest.mark.parametrize("user", ["sensor-radar-west", "feed-frigate", "unit-ranger-2", "agency-sheriff-cochise"])
def test_nobody_but_the_service_can_forge_an_alert(broker: GuardedBroker, user: str) -> None:
    with border_patrol(broker) as agency:
        for topic, retain in ((AGENCY, False), (AGENCY, True), (f"{AGENCY}/supervisor", False)):
            try_to_publish(broker, user, topic, FORGED, retain=retain)
        with Client("marchwarden", broker.inner) as ours:
            ours.publish(AGENCY, b'{"alert":"A1"}')
            until(lambda: agency.got, "the service's own alert arrived")
        assert agency.got == [(AGENCY, b'{"alert":"A1"}')]
    with border_patrol(broker) as later, Client("marchwarden", broker.inner) as ours:
        ours.publish(AGENCY, b"{}")
        until(lambda: later.got, "what came later arrived")
        assert later.got == [(AGENCY, b"{}")], "no forged message was retained"


def test_a_forged_alert_as_a_last_will_is_refused(broker: GuardedBroker) -> None:
    with border_patrol(broker) as agency:
        with Client("sensor-radar-west", broker.outer, will=(AGENCY, FORGED)) as hostile:
            until(lambda: hostile.refused or hostile.connected.is_set(), "the broker answered")
            if hostile.connected.is_set():
                hostile.vanish()
        with Client("marchwarden", broker.inner) as ours:
            until(lambda: "sensor-radar-west" in broker.log, "the broker noticed")
            ours.publish(AGENCY, b"{}")
            until(lambda: agency.got, "the service's own alert arrived")
        assert agency.got == [(AGENCY, b"{}")]


def test_a_sensor_speaks_for_itself_alone(broker: GuardedBroker) -> None:
    topics = (f"{SITE}/detections/+", f"{SITE}/health/+", f"{SITE}/units/+")
    with Client("marchwarden", broker.inner, reads=topics) as ours:
        for kind, name in (("detections", "radar-east"), ("health", "radar-east"), ("units", "ranger-2")):
            try_to_publish(broker, "sensor-radar-west", f"{SITE}/{kind}/{name}", b"{}")
        try_to_publish(broker, "sensor-radar-west", "frigate/events", b"{}")
        with Client("sensor-radar-west", broker.outer) as sensor:
            sensor.publish(f"{SITE}/detections/radar-west", b"own")
        until(lambda: ours.got, "its own message arrived")
        assert ours.got == [(f"{SITE}/detections/radar-west", b"own")]


def test_a_unit_speaks_for_itself_alone(broker: GuardedBroker) -> None:
    with Client("marchwarden", broker.inner, reads=(f"{SITE}/units/+", f"{SITE}/detections/+")) as ours:
        for topic in (f"{SITE}/units/ranger-3", f"{SITE}/units/ranger-2/x", f"{SITE}/detections/radar-west"):
            try_to_publish(broker, "unit-ranger-2", topic, b"{}")
        with Client("unit-ranger-2", broker.outer) as unit:
            unit.publish(f"{SITE}/units/ranger-2", b"own")
        until(lambda: ours.got, "its own message arrived")
        assert ours.got == [(f"{SITE}/units/ranger-2", b"own")]


def test_who_listens_to_everything_hears_only_what_is_his(broker: GuardedBroker) -> None:
    everything = ("#", "$SYS/#", "+/#", f"$share/all/{SITE}/agencies/#", f"{SITE}/agencies/border-patrol")
    with (
        Client(
            "agency-sheriff-cochise",
            broker.outer,
            reads=(
                *everything,
                f"{SITE}/agencies/sheriff-cochise",
            ),
        ) as agency,
        Client("sensor-radar-west", broker.outer, reads=(*everything,)) as sensor,
        Client("marchwarden", broker.inner) as ours,
        Client("feed-frigate", broker.outer) as frigate,
    ):
        frigate.publish("frigate/events", b"a picture of somebody")
        ours.publish(AGENCY, b"of border patrol")
        ours.publish(f"{SITE}/agencies/sheriff-cochise", b"of the sheriff")
        until(lambda: agency.got, "the sheriff's own alert arrived")
        assert {payload for _, payload in agency.got} == {b"of the sheriff"}
        assert sensor.got == []


def test_what_the_service_may_is_no_more_than_it_needs(broker: GuardedBroker) -> None:
    with (
        Client(
            "marchwarden",
            broker.inner,
            reads=(
                "#",
                f"{SITE}/agencies/#",
            ),
        ) as ours,
        Client("feed-frigate", broker.outer) as frigate,
        border_patrol(broker) as agency,
    ):
        frigate.publish("frigate/stats", b"not read by any decoder")
        switch = Client("marchwarden", broker.inner, client_id="another")
        with switch:
            assert switch.connected.wait(20)
            switch.mqtt.publish("frigate/cam-01/detect/set", b"OFF", qos=1)
            until(lambda: "Denied PUBLISH from another " in broker.log, "the service's own switching was denied")
        ours.publish(AGENCY, b"{}")
        frigate.publish("frigate/events", b"{}")
        until(lambda: agency.got and ours.got, "what is allowed arrived")
        assert ours.got == [("frigate/events", b"{}")]


def test_nobody_takes_the_session_of_the_service(broker: GuardedBroker) -> None:
    """A client id is free to choose, and the second client of an id ends the first and has its session."""
    id = "marchwarden-san-rafael"
    with Client("marchwarden", broker.inner, client_id=id, clean=False, reads=("frigate/events",)) as ours:
        for clean in (True, False):
            with Client("sensor-radar-west", broker.outer, client_id=id, clean=clean) as hostile:
                hostile.publish(f"{SITE}/detections/radar-west", b"{}")
        with Client("feed-frigate", broker.outer) as frigate:
            frigate.publish("frigate/events", b"{}")
        until(lambda: ours.got, "the service still hears")
        assert ours.disconnects == 0


def test_without_a_password_nobody_may_do_anything(broker: GuardedBroker) -> None:
    with Client("nobody", broker.outer) as nobody:
        until(lambda: nobody.refused, "the broker refused the connection")
        assert not nobody.connected.is_set()


def test_the_service_lives_with_this_access_list_and_a_forged_end_reaches_no_agency(tmp_path: Path) -> None:
    """The whole way: a sensor's walker, the service's alert, and the sensor's own forged `cleared`, which goes nowhere."""
    site, log = site_with_users(tmp_path), tmp_path / "log"
    with guarded_broker(tmp_path / "broker", site, load(site).site.mqtt.port) as broker, service(site, log):
        until(lambda: log.exists() and "Connected to the broker" in log.read_text(), "the service connected")
        assert "refuses us" not in log.read_text()
        with (
            border_patrol(broker) as agency,
            Client("sensor-radar-west", broker.outer) as sensor,
        ):
            for payload in walk_over_the_line():
                sensor.publish(f"{SITE}/detections/radar-west", payload)
            until(lambda: agency.got, "the alert reached the agency")
            first = json.loads(agency.got[0][1])
            forged = json.dumps(first | {"phase": "cleared", "revision": 2}).encode()
            try_to_publish(broker, "sensor-radar-east", AGENCY, forged)
            try_to_publish(broker, "sensor-radar-east", "$marchwarden/action", SILENCE)
            assert marchwarden("alerts", "ack", site, first["alert"], "--by", "desk").returncode == 0
            until(lambda: len(agency.got) >= 2 and b"acknowledged" in agency.got[-1][1], "the next revision arrived")
            assert {json.loads(body)["phase"] for _, body in agency.got} == {"raised", "updated"}
        assert not Outbox(site / "state" / "marchwarden.db").status().get("silences")


def walk_over_the_line() -> list[bytes]:
    """A walker seen by a radar, as if over the last seconds."""
    now_ns, seconds = time.time_ns(), 12
    return [
        json.dumps(
            {
                "time": iso_from_ns(now_ns - (seconds - n) * NS),
                "lat": 31.33241 + (n - 5) * 4e-5,
                "lon": -110.6,
                "sigma_m": 2.0,
                "class": {"person": 0.95},
            }
        ).encode()
        for n in range(seconds)
    ]


# ── a topic per device ───────────────────────────────────────────────────────────────────────────


def mistakes(site: Path) -> list[str]:
    with pytest.raises(Mistakes) as found:
        load(site)
    return [str(mistake) for mistake in found.value.found]


def test_a_message_on_a_topic_of_its_own_counts_only_for_that_sensor(tmp_path: Path) -> None:
    site = site_with_users(tmp_path)
    change(site, "sensors/plate-readers.toml", 'source = "1001"', 'source = "1001"\ntopic = "plates/lochiel-west"')
    c = load(site)
    catalogue = world_of(c, KEY).catalogue
    own, shared = "plates/lochiel-west", "openalpr"
    group = b'{"data_type":"alpr_group","camera_id":%d,"best_plate":{"plate":"TST1"},"best_uuid":"%d"}'
    sent = [
        (own, group % (1001, 1)),
        (own, group % (1002, 2)),
        (shared, group % (1001, 3)),
        (shared, group % (1002, 4)),
    ]
    now = np.full(len(sent), 1_800_000_000 * NS, np.int64)
    messages = Messages(now, tuple(t for t, _ in sent), tuple(p for _, p in sent), np.zeros(len(sent), np.bool_))
    _, _, decoded = decode(catalogue, Seen.none(), Intake.initial(len(catalogue)), messages)
    assert [catalogue.sensors[row].id for row in decoded.readings.sensor] == ["alpr-01", "alpr-02"]
    assert [(r.topic, r.reason) for r in decoded.rejections] == [
        (own, Reason.UNKNOWN_SENSOR),
        (shared, Reason.UNKNOWN_SENSOR),
    ]
    acl = mosquitto_acl(c)
    assert "user sensor-alpr-01\ntopic write plates/lochiel-west\ntopic write plates/lochiel-west/#\n" in acl
    assert "topic read plates/lochiel-west\n" in acl
    shared_by = next(line for line in acl.splitlines() if line.startswith("# Feed alpr"))
    assert "alpr-01" not in shared_by
    assert "can speak for each of alpr-02" in shared_by


@pytest.mark.parametrize(
    ("file", "old", "new", "wrong"),
    [
        ("agencies.toml", f'topic = "{AGENCY}"', 'topic = "frigate/alerts"', "alerts could be forged there"),
        ("agencies.toml", f'topic = "{AGENCY}"', f'topic = "{SITE}/units/ranger-2"', "alerts could be forged there"),
        ("agencies.toml", f'topic = "{AGENCY}"', 'topic = "a\\ntopic readwrite #"', "a line break"),
        ("agencies.toml", f'topic = "{AGENCY}"', 'topic = "$marchwarden/action"', "the broker's own"),
        ("site.toml", 'topic = "openalpr"', 'topic = "$marchwarden"', "the broker's own"),
        ("site.toml", 'topic = "openalpr"', 'topic = "openalpr"\nbroker_user = "marchwarden"', "user of mqtt as well"),
        ("agencies.toml", "plates = true", 'plates = true\nbroker_user = "sensor-radar-west"', "as well"),
        ("agencies.toml", "plates = true", 'plates = true\nbroker_user = "agency-sheriff-cochise"', "as well"),
        ("sensors/plate-readers.toml", 'feed = "alpr"', 'feed = "alpr"\ntopic = "openalpr/one"', "lies under feed"),
        ("sensors/native.toml", 'kind = "radar"', 'kind = "radar"\ntopic = "radar"', "a topic for each sensor already"),
    ],
)
def test_what_would_open_a_way_round_the_access_list_is_a_mistake(
    tmp_path: Path, file: str, old: str, new: str, wrong: str
) -> None:
    site = site_with_users(tmp_path)
    change(site, file, old, new)
    assert any(wrong in mistake for mistake in mistakes(site)), mistakes(site)


def test_an_access_list_needs_a_user_for_the_service(tmp_path: Path) -> None:
    done = marchwarden("acl", site_at(tmp_path))
    assert (done.returncode, done.stdout, "username is missing" in done.stderr) == (2, "", True)
