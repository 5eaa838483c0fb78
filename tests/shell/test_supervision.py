"""Processes that end are told of and started again, and what the command, the page and the probes say is of now."""

import json
import os
import signal
from pathlib import Path
from typing import Any

import httpx

from alerts.outbox import Outbox
from runtime.broker import broker
from runtime.places import Places
from tests.shell.test_accepted import child, console_answers
from tests.shell.test_live import connected
from tests.site import marchwarden, service, site_at, until


def probe(site: Path, name: str) -> tuple[int, str]:
    answer = httpx.get(Places(site / "state").console.read_text().strip() + name)
    return answer.status_code, answer.text


def part(site: Path, name: str) -> dict[str, Any]:
    status = json.loads(marchwarden("status", site, "--json").stdout)
    return next(p for process in status["processes"] for p in process["parts"] if p["name"] == name)


def test_a_process_that_is_killed_fails_the_probe_and_comes_back_counted_and_a_stopped_service_says_so(
    tmp_path: Path,
) -> None:
    log = tmp_path / "log"
    never = site_at(tmp_path / "never")
    done = marchwarden("status", never)
    assert (done.returncode, "has not run yet" in done.stdout) == (1, True)
    with broker() as running:
        site = site_at(tmp_path, running.port)
        with service(site, log):
            until(lambda: connected(log), "the service connected")
            until(lambda: console_answers(site), "the console answers")
            until(lambda: probe(site, "ready")[0] == 200, "it is ready")
            done = marchwarden("status", site)
            assert (done.returncode, "The service runs." in done.stdout) == (0, True), done.stdout
            assert part(site, "ingest process")["starts"] == 1
            os.kill(child(site, "ingest"), signal.SIGKILL)
            until(lambda: "ingest process" in probe(site, "live")[1], "the probe names what is down")
            until(lambda: connected(log, 2), "the ingest came back")
            until(lambda: probe(site, "live")[0] == 200, "the probe is well again")
            assert part(site, "ingest process")["starts"] == 2
            assert "code -9" in part(site, "ingest process")["error"]
            assert "The ingest process is down" in log.read_text()
            outbox = Outbox(site / "state" / "marchwarden.db")
            until(
                lambda: [i for i in outbox.incidents() if "part_failed:ingest process" in i["subjects"]],
                "technicians are alerted",
            )
    done = marchwarden("status", site)
    assert (done.returncode, "The service was stopped" in done.stdout) == (1, True)
    status = json.loads(marchwarden("status", site, "--json").stdout)
    assert status["service"]["connected"] is False
    assert {s["condition"] for s in status["sensors"]} == {"unknown"}
