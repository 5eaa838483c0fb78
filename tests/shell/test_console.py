"""The console's own process: TLS, an operator's own base map, and what it says when it cannot serve."""

import gzip
import os
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
from pmtiles.tile import Compression, TileType, zxy_to_tileid
from pmtiles.writer import Writer

from console.people import hashed
from runtime.broker import free_port
from runtime.configuration import load
from runtime.places import Places
from tests.receivers import Certificates
from tests.site import DEADLINE_S, marchwarden, ran, site_at, until

TILE = b"\x1a\x00"  # an empty layer


def archive(path: Path) -> None:
    """A base map of one tile."""
    with path.open("wb") as file:
        writer = Writer(file)
        writer.write_tile(zxy_to_tileid(1, 0, 0), gzip.compress(TILE))
        header = {"tile_type": TileType.MVT, "tile_compression": Compression.GZIP, "min_zoom": 1, "max_zoom": 1}
        corners = {"min_lon_e7": -1, "min_lat_e7": -1, "max_lon_e7": 1, "max_lat_e7": 1}
        writer.finalize(header | corners | {"center_zoom": 1, "center_lon_e7": 0, "center_lat_e7": 0}, {})


@contextmanager
def console(site: Path) -> Iterator[str]:
    """The console of a site without its service; its address."""
    places = Places(load(site).state)
    places.state.mkdir()
    process = subprocess.Popen([sys.executable, "-m", "runtime.console_process", str(site), str(os.getpid())])
    try:
        until(places.console.exists, "the console is there")
        yield places.console.read_text().strip().rstrip("/")
    finally:
        process.terminate()
        process.wait(DEADLINE_S)


def test_it_is_served_over_tls_and_its_cookies_travel_over_nothing_else(tmp_path: Path) -> None:
    site, ours = site_at(tmp_path), Certificates(tmp_path / "ours")
    (site / "console.pem").write_bytes(ours.server.read_bytes())
    (site / "console.pem").chmod(0o600)
    text = (site / "site.toml").read_text()
    (site / "site.toml").write_text(text + 'cert_file = "console.pem"\nkey_file = "console.pem"\n')
    kept = hashed("correct horse battery")
    (site / "accounts.toml").write_text(f'[[account]]\nid = "garcia"\nrole = "officer"\npassword = "{kept}"\n')
    (site / "accounts.toml").chmod(0o600)
    with console(site) as address:
        assert address.startswith("https://127.0.0.1:")
        with httpx.Client(base_url=address, verify=ssl.create_default_context(cafile=str(ours.authority))) as client:
            until(lambda: client.get("/live").status_code == 200, "it answers")
            answer = client.post("/api/session", json={"account": "garcia", "password": "correct horse battery"})
            assert "secure" in answer.headers["set-cookie"].lower()
            assert "max-age" in answer.headers["strict-transport-security"]
            assert client.get("/api/session").json()["id"] == "garcia"


def test_an_operators_base_map_is_served_tile_by_tile(tmp_path: Path) -> None:
    site = site_at(tmp_path)
    archive(site / "valley.pmtiles")
    (site / "site.toml").write_text((site / "site.toml").read_text() + 'base_map = "valley.pmtiles"\n')
    with console(site) as address:
        assert httpx.get(f"{address}/api/site").json()["base_map"] is True
        there = httpx.get(f"{address}/api/tiles/1/0/0")
        assert (there.status_code, there.content, there.headers["content-encoding"]) == (200, TILE, "gzip")
        assert httpx.get(f"{address}/api/tiles/1/1/1").status_code == 204
        assert httpx.get(f"{address}/api/tiles/1/9/9").status_code == 204


def test_a_port_that_is_taken_is_said_and_a_base_map_that_is_not_there_is_a_mistake(tmp_path: Path) -> None:
    site, port = site_at(tmp_path), free_port()
    text = (site / "site.toml").read_text()
    with socket.create_server(("127.0.0.1", port)):
        (site / "site.toml").write_text(text.replace("port = 0", f"port = {port}"))
        done = ran(sys.executable, "-m", "runtime.console_process", site, os.getpid())
    assert (done.returncode, "cannot be served" in done.stderr) == (1, True)
    (site / "site.toml").write_text(text + 'base_map = "nowhere.pmtiles"\n')
    checked = marchwarden("check", site)
    assert (checked.returncode, "'nowhere.pmtiles' does not exist" in checked.stderr) == (2, True)
