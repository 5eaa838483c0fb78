"""The configuration in use is the accepted one, in every process, whatever the site folder holds; against a real Mosquitto."""

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from alerts.outbox import Outbox
from runtime.broker import Broker, free_port
from runtime.places import Places
from tests.receivers import Certificates
from tests.shell.test_console import archive
from tests.shell.test_live import Sender, connected
from tests.site import marchwarden, service, site_at, until

PASSWORD = "a password that the broker asks for"


class LockedBroker(Broker):
    """A Mosquitto that wants a password of everybody."""

    def _command(self) -> list[str]:
        command = super()._command()
        passwords = self.folder / "passwords"
        subprocess.run(["mosquitto_passwd", "-b", "-c", passwords, "marchwarden", PASSWORD], check=True)
        passwords.chmod(0o644)
        file = self.folder / "mosquitto.conf"
        text = file.read_text().replace("allow_anonymous true", f"allow_anonymous false\npassword_file {passwords}")
        file.write_text(text)
        return command


@contextmanager
def locked_broker(folder: Path) -> Iterator[Broker]:
    folder.mkdir()
    folder.chmod(0o755)
    running = LockedBroker("mosquitto", free_port(), folder)
    running.start()
    try:
        yield running
    finally:
        running.stop()


def child(site: Path, name: str) -> int:
    """The pid of a running service's process; 0 where there is none."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().decode().split("\0")
        except OSError:
            continue
        if f"runtime.{name}_process" in words and str(site) in words:
            return int(path.parent.name)
    return 0


def console_answers(site: Path) -> bool:
    try:
        return httpx.get(Places(site / "state").console.read_text().strip() + "live").status_code == 200
    except (OSError, httpx.HTTPError):
        return False


def crossings(site: Path) -> int:
    return sum(i["rule"] == "inbound-crossing" for i in Outbox(site / "state" / "marchwarden.db").incidents())


def service_pid(site: Path) -> int:
    return int(json.loads((site / "state" / "processes" / "service.json").read_text())["pid"])


def with_files_of_its_own(site: Path, folder: Path) -> None:
    """A site that names a password file, an authority, a certificate and a base map by relative paths."""
    certificates = Certificates(folder / "made")
    shutil.copy(certificates.authority, site / "authority.pem")
    shutil.copy(certificates.server, site / "console.pem")
    (site / "mqtt-password").write_text(PASSWORD + "\n")
    (site / "mqtt-password").chmod(0o600)
    archive(site / "valley.pmtiles")
    text = (site / "site.toml").read_text()
    text = text.replace("[mqtt]\n", '[mqtt]\nusername = "marchwarden"\npassword_file = "mqtt-password"\n')
    (site / "site.toml").write_text(text + 'base_map = "valley.pmtiles"\n')


BROKEN = {
    "a rule's line": lambda site: _replace(site / "rules.toml", 'line = "border"', 'line = "boarder"'),
    "site.toml is no TOML": lambda site: _replace(site / "site.toml", "[mqtt]", "[mqtt"),
    "site.toml is gone": lambda site: (site / "site.toml").unlink(),
    "the password file is gone": lambda site: (site / "mqtt-password").unlink(),
    "a map is cut off": lambda site: (site / "zones.geojson").write_bytes((site / "zones.geojson").read_bytes()[:99]),
    "a table in Latin-1": lambda site: (site / "sensors" / "more.csv").write_bytes(b"id,name\nugs-9,T\xfcr\n"),
    "the base map is none": lambda site: (site / "valley.pmtiles").write_bytes(b"no archive"),
    "the state is elsewhere": lambda site: (site / "site.toml").write_text(
        (site / "site.toml").read_text() + '[files]\nstate = "elsewhere"\n'
    ),
}


def _replace(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def restore(whole: Path, site: Path) -> None:
    for path in site.iterdir():
        if path.name != "state":
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    shutil.copytree(whole, site, dirs_exist_ok=True)


@contextmanager
def guarded_site(tmp_path: Path) -> Iterator[tuple[Path, Path, Broker]]:
    """A site with files of its own, a copy of it as it should be, and a broker that asks for its password."""
    with locked_broker(tmp_path / "broker") as running:
        site, whole = site_at(tmp_path, running.port), tmp_path / "whole"
        with_files_of_its_own(site, tmp_path)
        shutil.copytree(site, whole)
        yield site, whole, running


def test_whatever_is_wrong_with_the_folder_a_hup_leaves_every_process_as_it_is(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with guarded_site(tmp_path) as (site, whole, _), service(site, log):
        until(lambda: connected(log), "the service connected")
        until(lambda: console_answers(site), "the console answers")
        before = {name: child(site, name) for name in ("ingest", "console")}
        for number, (what, spoil) in enumerate(BROKEN.items(), 1):
            spoil(site)
            os.kill(service_pid(site), signal.SIGHUP)
            until(lambda n=number: log.read_text().count("the old one stays in use") == n, f"the refusal: {what}")
            restore(whole, site)
        assert {name: child(site, name) for name in before} == before
        os.kill(service_pid(site), signal.SIGHUP)
        until(lambda: "The new configuration is in use." in log.read_text(), "the folder is taken once it is whole")
        until(lambda: connected(log, 2), "the ingest came back")
    assert "Traceback" not in log.read_text()


def test_over_a_wrecked_folder_processes_and_the_service_come_back_with_the_accepted_configuration(
    tmp_path: Path,
) -> None:
    log = tmp_path / "log"
    with guarded_site(tmp_path) as (site, whole, running):
        sender = Sender(running.port, "marchwarden", PASSWORD)
        with service(site, log):
            until(lambda: connected(log), "the service connected")
            until(lambda: console_answers(site), "the console answers")
            before = {name: child(site, name) for name in ("ingest", "console")}
            for path in site.iterdir():
                if path.name != "state":
                    shutil.rmtree(path) if path.is_dir() else path.unlink()
            for pid in before.values():
                os.kill(pid, signal.SIGKILL)
            until(lambda: connected(log, 2), "the ingest came back")
            until(lambda: child(site, "console") not in (0, before["console"]), "the console was started")
            until(lambda: console_answers(site), "the console answers again")
            sender.walk_over_the_line()
            until(lambda: crossings(site) == 1, "the crossing was raised")
            for command in (["status", site], ["alerts", "list", site], ["history", site, "tracks"]):
                done = marchwarden(*command)
                assert done.returncode == 0, done.stderr
            assert "Traceback" not in log.read_text()
        (site / "site.toml").write_text("[site\n")
        with service(site, log):
            until(lambda: "THE LAST ACCEPTED ONE IS IN USE" in log.read_text(), "it says so")
            until(lambda: connected(log, 3), "the service connected")
            status = json.loads(marchwarden("status", site, "--json").stdout)
            (own,) = (p["configuration"] for p in status["processes"] if p["process"] == "service")
            assert "is not TOML" in own["refused"]["mistakes"][0]
            assert "IT IS NOT WHAT THE FOLDER HOLDS" in marchwarden("status", site).stdout
            sender.walk_over_the_line()
            outbox = Outbox(site / "state" / "marchwarden.db")
            until(
                lambda: [i for i in outbox.incidents() if "configuration_refused:site folder" in i["subjects"]],
                "technicians are alerted",
            )
            until(lambda: outbox.status()["service"]["detections"] >= 12, "they were taken in")
            restore(whole, site)
            os.kill(service_pid(site), signal.SIGHUP)
            until(lambda: "The new configuration is in use." in log.read_text(), "the folder is taken once it is whole")
            assert "IT IS NOT WHAT" not in marchwarden("status", site).stdout
        sender.close()
    assert "Traceback" not in log.read_text()


def test_a_folder_with_a_mistake_from_which_nothing_was_ever_accepted_starts_no_service(tmp_path: Path) -> None:
    site = site_at(tmp_path)
    _replace(site / "rules.toml", 'line = "border"', 'line = "boarder"')
    done = marchwarden("run", site)
    assert (done.returncode, "Did you mean 'border'?" in done.stderr) == (2, True)
    assert "Traceback" not in done.stderr
