"""The page under load: `python -m benchmarks.console [TRACKS] [SECONDS]` (2,000 tracks, 600 s).

The console's own process serves a picture of so many tracks, all of them moving, once a second, to Chromium that draws in
software. Printed each minute: frames a second that the page draws at rest and while the map is dragged, the page's heap after a
collection, and the processor's time of the page and of the server.
"""

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
from playwright.sync_api import CDPSession, Page, sync_playwright

from model.stored import with_checksum
from runtime.configuration import load
from runtime.places import Places
from tests.browser.desk import browser
from tests.site import site_at, until

DRAWN = "import('/static/map.js').then(map => map.drawn.tracks)"
FRAMES = """ms => new Promise(done => {
    let n = 0;
    const end = performance.now() + ms;
    const step = () => { n++; performance.now() < end ? requestAnimationFrame(step) : done(n * 1000 / ms); };
    requestAnimationFrame(step);
})"""


def main(tracks: int, seconds: int) -> None:
    with tempfile.TemporaryDirectory(prefix="marchwarden-console-") as folder:
        site = site_at(Path(folder))
        places = Places(load(site).state)
        places.state.mkdir()
        stop = threading.Event()
        writer = threading.Thread(target=_moving, args=(places, tracks, stop))
        server = subprocess.Popen([sys.executable, "-m", "runtime.console_process", str(site), str(os.getpid())])
        try:
            until(places.console.exists, "the console is there")
            writer.start()
            with sync_playwright() as playwright, browser(playwright) as chromium:
                page = chromium.new_page(viewport={"width": 1440, "height": 900})
                page.goto(places.console.read_text().strip())
                page.wait_for_selector("#map canvas")
                until(lambda: page.evaluate(DRAWN) == tracks, "all tracks are drawn")
                _watched(page, page.context.new_cdp_session(page), server.pid, seconds)
        finally:
            stop.set()
            writer.join()
            server.terminate()
            server.wait(10)


def _moving(places: Places, tracks: int, stop: threading.Event) -> None:
    """Tracks that walk and drive about the valley, a new picture each second."""
    chance = np.random.default_rng(5)
    lat, lon = chance.uniform(31.332, 31.36, tracks), chance.uniform(-110.62, -110.58, tracks)
    turn, speed = chance.uniform(0, 2 * np.pi, tracks), chance.choice([1.3, 12.0], tracks)
    kinds = chance.choice(["person", "vehicle", "animal"], tracks).tolist()
    while not stop.is_set():
        turn += chance.normal(0, 0.1, tracks)
        lat += speed * np.cos(turn) / 111_320
        lon += speed * np.sin(turn) / 95_000
        now = time.time()
        said = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now)) + f".{int(now % 1 * 1e6):06d}Z",
            "tracks": [
                [f"T{n:013d}", a, o, 8.0, 3.0, 40.0, 0.0, 0.0, k, 0.9, 0.99, ""]
                for n, (a, o, k) in enumerate(zip(lat.round(6).tolist(), lon.round(6).tolist(), kinds, strict=True))
            ],
            "units": [],
        }
        fresh = places.picture.with_suffix(".new")
        fresh.write_bytes(with_checksum(json.dumps(said).encode()))
        fresh.replace(places.picture)
        stop.wait(1.0)


def _watched(page: Page, cdp: CDPSession, server: int, seconds: int) -> None:
    cdp.send("Performance.enable")
    begun = time.monotonic()
    print("| minute | frames/s at rest | while dragged | heap, MB | page's busy share | console's share of a core |")
    print("|---|---|---|---|---|---|")
    while time.monotonic() - begun < seconds:
        busy, cpu, at = _metric(cdp, "TaskDuration"), _cpu_s(server), time.monotonic()
        page.wait_for_timeout(45_000)
        busy_share = (_metric(cdp, "TaskDuration") - busy) / (time.monotonic() - at)
        cpu_share = (_cpu_s(server) - cpu) / (time.monotonic() - at)
        rest = page.evaluate(FRAMES, 5000)
        dragged = _dragged(page)
        cdp.send("HeapProfiler.collectGarbage")
        heap = _metric(cdp, "JSHeapUsedSize") / 1e6
        minute = (time.monotonic() - begun) / 60
        print(
            f"| {minute:.0f} | {rest:.0f} | {dragged:.0f} | {heap:.1f} | {100 * busy_share:.0f} % | {100 * cpu_share:.0f} % |",
            flush=True,
        )


def _dragged(page: Page) -> float:
    """Frames a second while the map is moved about."""
    page.mouse.move(900, 500)
    page.mouse.down()
    page.evaluate(f"window.frames5 = ({FRAMES})(5000)")
    end = time.monotonic() + 5
    step = 0
    while time.monotonic() < end:
        step += 1
        page.mouse.move(900 + 150 * np.sin(step / 20), 500 + 100 * np.cos(step / 20))
    found = float(page.evaluate("window.frames5"))
    page.mouse.up()
    return found


def _metric(cdp: CDPSession, name: str) -> float:
    return float(next(m["value"] for m in cdp.send("Performance.getMetrics")["metrics"] if m["name"] == name))


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    said = [int(a) for a in sys.argv[1:]]
    main(said[0] if said else 2000, said[1] if len(said) > 1 else 600)
