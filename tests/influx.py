"""A real InfluxDB server (Debian's 1.6) on free loopback ports, and the door in front of it that 1.6 lacks.

The client writes to `/api/v2/write`, which 1.8 and later have; the door passes it on to `/write`. Everything else, storage,
type conflicts, partial writes and InfluxQL, is the server's own.
"""

import http.client
import http.server
import shutil
import socketserver
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

from runtime.broker import free_port
from tests.site import DEADLINE_S, until

CONFIG = """
reporting-disabled = true
bind-address = "127.0.0.1:{rpc}"
[meta]
dir = "{folder}/meta"
[data]
dir = "{folder}/data"
wal-dir = "{folder}/wal"
[http]
bind-address = "127.0.0.1:{port}"
log-enabled = false
"""


@contextmanager
def influxdb(database: str = "marchwarden") -> Iterator[str]:
    """The URL of a server that holds an empty database."""
    program = shutil.which("influxd")
    assert program, "The tests need InfluxDB: apt-get install influxdb"
    with tempfile.TemporaryDirectory() as folder:
        port, rpc = free_port(), free_port()
        config = Path(folder) / "influxdb.conf"
        config.write_text(CONFIG.format(folder=folder, port=port, rpc=rpc))
        with (Path(folder) / "log").open("wb") as log:
            server = subprocess.Popen([program, "-config", str(config)], stdout=log, stderr=log)
        try:
            _ready(port, server)
            _ask(port, "POST", "/query?" + urlencode({"q": f"CREATE DATABASE {database}"}))
            with _door(port) as url:
                yield url
        finally:
            server.terminate()
            server.wait(DEADLINE_S)


def _ready(port: int, server: subprocess.Popen[bytes]) -> None:
    def answers() -> bool:
        assert server.poll() is None, "InfluxDB ended at once."
        try:
            return bool(_ask(port, "GET", "/ping"))
        except OSError:
            return False

    until(answers, "InfluxDB answers")


def _ask(port: int, method: str, path: str, body: bytes = b"") -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE_S)
    try:
        connection.request(method, path, body)
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()
    finally:
        connection.close()


@contextmanager
def _door(port: int) -> Iterator[str]:
    class Door(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._pass("GET")

        def do_POST(self) -> None:
            self._pass("POST")

        def _pass(self, method: str) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            path = self.path
            if urlsplit(path).path == "/api/v2/write":
                said = parse_qs(urlsplit(path).query)
                path = "/write?" + urlencode(
                    {"db": said["bucket"][0], "precision": "n" if said["precision"] == ["ns"] else "s"}
                )
            status, headers, answer = _ask(port, method, path, body)
            self.send_response(status)
            self.send_header("Content-Type", headers.get("Content-Type", "application/json"))
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None: ...

    class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
        daemon_threads = True

    server = Server(("127.0.0.1", 0), Door)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
