"""The live service against a real Mosquitto: bad input, people's actions, a broker that goes away, and the demonstration."""

import json
import os
import signal
import time
from pathlib import Path

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from alerts.outbox import Outbox
from model.time import NS, iso_from_ns
from runtime.broker import broker
from tests.site import DEADLINE_S, marchwarden, service, site_at, until

PREFIX = "marchwarden/san-rafael/detections/"


class Sender:
    def __init__(self, port: int, user: str = "", password: str = "") -> None:
        self.client = mqtt.Client(CallbackAPIVersion.VERSION2)
        if user:
            self.client.username_pw_set(user, password)
        self.client.connect("127.0.0.1", port)
        self.client.loop_start()

    def send(self, topic: str, payload: bytes | dict[str, object]) -> None:
        body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        self.client.publish(topic, body, qos=1).wait_for_publish(DEADLINE_S)

    def walk_over_the_line(self, seconds: int = 12) -> None:
        """A walker seen by a radar, as if over the last seconds."""
        now_ns = time.time_ns()
        for n in range(seconds):
            at_ns = now_ns - (seconds - n) * NS
            self.send(
                PREFIX + "radar-west",
                {
                    "time": iso_from_ns(at_ns),
                    "lat": 31.33241 + (n - 5) * 4e-5,
                    "lon": -110.6,
                    "sigma_m": 2.0,
                    "class": {"person": 0.95},
                },
            )

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()


def connected(log: Path, times: int = 1) -> bool:
    return log.exists() and log.read_text().count("Connected to the broker") >= times


def rejections(site: Path) -> dict[str, int]:
    counted: dict[str, int] = {}
    for each in Outbox(site / "state" / "marchwarden.db").rejections():
        counted[each["reason"]] = counted.get(each["reason"], 0) + each["count"]
    return counted


def test_bad_input_is_counted_and_shown_and_alerts_and_actions_still_pass(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with broker() as running:
        site = site_at(tmp_path, running.port)
        with service(site, log):
            until(lambda: connected(log), "the service connected")
            sender, future = Sender(running.port), iso_from_ns(time.time_ns() + 3600 * NS)
            for topic, payload in (
                ("radar-west", b"{"),
                ("radar-west", b'{"lat": "x"}'),
                ("radar-west", b'{"lat": NaN}'),
                ("radar-west", b'{"lat": 99, "lon": 0}'),
                ("radar-west", json.dumps({"time": future}).encode()),
                ("radar-west", b'{"time": "2020-01-01T00:00:00Z"}'),
                ("radar-west", b"x" * 10_000_000),
                ("nobody", b"{}"),
            ):
                sender.send(PREFIX + topic, payload)
            wanted = {
                "not_json": 1,
                "wrong_shape": 1,
                "not_finite": 1,
                "out_of_range": 1,
                "in_the_future": 1,
                "too_old": 1,
                "too_large": 1,
                "unknown_sensor": 1,
            }
            until(lambda: rejections(site).keys() >= wanted.keys(), "each was counted")
            assert {k: n for k, n in rejections(site).items() if n != 1} == {}, log.read_text()
            assert "too_large" in marchwarden("status", site).stdout
            sender.walk_over_the_line()
            outbox = Outbox(site / "state" / "marchwarden.db")
            raised = until(
                lambda: [i for i in outbox.incidents() if i["rule"] == "inbound-crossing"], "the crossing was raised"
            )
            key = raised[0]["alert"]
            done = marchwarden("alerts", "ack", site, key[:8], "--by", "desk-2")
            assert (done.returncode, "acknowledged by desk-2" in done.stderr) == (0, True)
            listed = json.loads(marchwarden("alerts", "list", site, "--json").stdout)
            assert {i["alert"]: i["acknowledged_by"] for i in listed}[key] == "desk-2"
            shown = marchwarden("alerts", "show", site, key, "--reason", "test").stdout
            assert "agreement:mou-1" in shown
            assert "radar-west" in shown
            until(lambda: "delivered" in marchwarden("alerts", "show", site, key).stdout, "it was delivered")
            tracks = marchwarden("history", site, "tracks", "--json", "--reason", "test").stdout.splitlines()
            assert json.loads(tracks[0])["sensors"] == "radar-west"
            header = marchwarden("history", site, "detections", "--csv", "--sensor", "radar-west").stdout.splitlines()[
                0
            ]
            assert header.startswith("time,received,sensor")
            change = (site / "rules.toml").read_text().replace('line = "border"', 'line = "boarder"')
            (site / "rules.toml").write_text(change)
            os.kill(int(outbox.status()["service"]["pid"]), signal.SIGHUP)
            until(lambda: "the old one stays in use" in log.read_text(), "the bad configuration was refused")
            assert "Did you mean 'border'?" in log.read_text()
            sender.close()
        (site / "rules.toml").write_text(change.replace("boarder", "border"))
        assert marchwarden("audit", "verify", site).returncode == 0
        recorded = marchwarden("record", site, "--out", tmp_path / "kept.ndjson", "--reason", "test")
        assert recorded.returncode == 0, recorded.stderr
        replayed = marchwarden("replay", site, tmp_path / "kept.ndjson", "--alerts", tmp_path / "again.ndjson")
        assert replayed.returncode == 0, replayed.stderr
        again = {
            (r["alert"], r["revision"]) for r in map(json.loads, (tmp_path / "again.ndjson").read_text().splitlines())
        }
        assert (key, 2) in again


def test_a_broker_that_goes_away_is_waited_for_and_nothing_acknowledged_is_lost(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with broker() as running:
        site = site_at(tmp_path, running.port)
        with service(site, log):
            until(lambda: connected(log), "the service connected")
            running.stop()
            until(lambda: "The broker is gone" in log.read_text(), "the service said so")
            running.start()
            until(lambda: connected(log, 2), "the service came back")
            sender = Sender(running.port)
            sender.walk_over_the_line()
            outbox = Outbox(site / "state" / "marchwarden.db")
            until(lambda: [i for i in outbox.incidents() if i["rule"] == "inbound-crossing"], "the crossing was raised")
            sender.close()


def test_what_waited_at_a_broker_that_came_up_long_after_the_service_is_tracked(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with broker() as running:
        site = site_at(tmp_path, running.port)
        said = (site / "site.toml").read_text()
        (site / "site.toml").write_text(said.replace("[fusion]", "[fusion]\nlateness_s = 2.0\nidle_s = 0.5"))
        outbox = Outbox(site / "state" / "marchwarden.db")
        with service(site, log):
            until(lambda: connected(log), "the service connected")
            sender = Sender(running.port)
            before = iso_from_ns(time.time_ns() - 20 * NS)
            sender.send(PREFIX + "radar-west", {"time": before, "lat": 31.34, "lon": -110.61})
            until(outbox.now_ns, "the service has taken it in")
        sender.walk_over_the_line()
        sender.close()
        running.stop()
        with service(site, log):
            until(lambda: log.read_text().count("No connection to the broker") > 3, "the service misses its broker")
            running.start()
            until(lambda: [i for i in outbox.incidents() if i["rule"] == "inbound-crossing"], "the crossing was raised")
        assert "too_late" not in rejections(site)


def test_a_second_service_on_the_same_state_is_refused(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with broker() as running:
        site = site_at(tmp_path, running.port)
        with service(site, log):
            until(lambda: connected(log), "the service connected")
            second = marchwarden("run", site)
            assert (second.returncode, "Another service" in second.stderr) == (1, True)


@pytest.mark.parametrize("options", [[], ["--embedded"]])
def test_the_demonstration_ends_by_itself_with_alerts_at_agencies(options: list[str]) -> None:
    done = marchwarden("demo", "--seconds", "25", *options)
    assert done.returncode == 0, done.stderr
    assert "crossed the border line inbound" in done.stdout
    assert "border-patrol:" in done.stderr
    assert "The console is at http://127.0.0.1:" in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["check", "nowhere"],
        ["replay", "configs", "nothing.ndjson"],
        ["simulate", "configs", "demo"],
        ["score", "a", "b"],
        ["frobnicate"],
    ],
)
def test_wrong_arguments_exit_with_2_and_no_traceback(arguments: list[str]) -> None:
    done = marchwarden(*arguments)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
