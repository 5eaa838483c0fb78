"""The console in unfriendly hands: guessed passwords, requests that never end, bodies that are no JSON, sessions that outlast."""

import signal
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import httpx
import psutil
import pytest

from alerts.outbox import Outbox
from console.guard import BODY_BYTES_MAX, HEADERS
from console.people import hashed
from console.throttle import OF_ACCOUNT
from runtime.broker import broker, free_port
from runtime.places import Places
from tests.browser.desk import PASSWORD, Running, token_of, write_accounts
from tests.site import service, site_at, until

MIB = 1 << 20
TRIES_MAX = OF_ACCOUNT.burst + 5  # what half a minute lets through on a machine however slow


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A service and its console, with nothing to show."""
    folder = tmp_path_factory.mktemp("console")
    with broker() as there:
        site = site_at(folder, there.port)
        text = (site / "site.toml").read_text()
        (site / "site.toml").write_text(text.replace("port = 0", f"port = {free_port()}"))
        write_accounts(site)
        with service(site, folder / "log") as process:
            address = Places(site / "state").console
            until(address.exists, "the console is there")
            url = address.read_text().strip().rstrip("/")
            until(lambda: answers(url), "the console answers")
            yield Running(url, site, Outbox(site / "state" / "marchwarden.db"), process.pid)


def answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/live").status_code == 200
    except httpx.TransportError:
        return False


def browser(site: Running, address: str = "127.0.0.1") -> httpx.Client:
    """A client that connects from this loopback address."""
    return httpx.Client(base_url=site.url, transport=httpx.HTTPTransport(local_address=address), timeout=60)


def sign_in(client: httpx.Client, account: str, password: str = PASSWORD) -> httpx.Response:
    return client.post("/api/session", json={"account": account, "password": password})


def console_process(site: Running) -> psutil.Process:
    return psutil.Process(console_pid(site))


def connect(site: Running) -> socket.socket:
    url = httpx.URL(site.url)
    return socket.create_connection((url.host, url.port or 80), timeout=60)


# ── guessing ─────────────────────────────────────────────────────────────────────────────────────


def test_a_hundred_guesses_at_once_are_a_handful_and_the_owner_is_not_locked_out(site: Running) -> None:
    with browser(site) as owner, browser(site, "127.0.0.2") as guesser:
        assert sign_in(owner, "garcia").status_code == 200
        with ThreadPoolExecutor(100) as pool:
            statuses = list(pool.map(lambda n: sign_in(guesser, "garcia", f"guess {n}").status_code, range(100)))
        assert OF_ACCOUNT.burst <= statuses.count(401) <= TRIES_MAX
        assert statuses.count(401) + statuses.count(429) == 100
        while (refused := sign_in(guesser, "garcia", "guess")).status_code != 429:
            assert refused.status_code == 401
        assert 0 < int(refused.headers["retry-after"]) <= OF_ACCOUNT.interval_s_max
        assert sign_in(owner, "garcia").status_code == 200


def test_behind_the_guessers_own_address_a_browser_that_signed_in_before_gets_in(site: Running) -> None:
    with browser(site, "127.0.0.3") as owner, browser(site, "127.0.0.3") as guesser:
        assert sign_in(owner, "begay").status_code == 200
        while sign_in(guesser, "begay", "guess").status_code != 429:
            pass
        assert sign_in(owner, "begay").status_code == 200
        owner.cookies.delete("marchwarden-device")
        while (refused := sign_in(owner, "begay", "guess")).status_code != 429:
            assert refused.status_code == 401


def test_a_device_cookie_of_somebody_else_is_worth_nothing(site: Running) -> None:
    with browser(site, "127.0.0.4") as okafor:
        assert sign_in(okafor, "okafor").status_code == 200
        while (refused := sign_in(okafor, "a-analyst", "guess")).status_code != 429:
            assert refused.status_code == 401


# ── requests ─────────────────────────────────────────────────────────────────────────────────────


def test_a_body_in_chunks_is_counted_as_it_comes(site: Running) -> None:
    process, sent = console_process(site), 0
    before = process.memory_info().rss

    def chunks() -> Iterator[bytes]:
        nonlocal sent
        for _ in range(200):
            sent += MIB
            yield b"x" * MIB

    with browser(site) as nobody:
        try:
            answer = nobody.post("/api/session", content=chunks(), headers={"content-type": "application/json"})
            assert answer.status_code == 413
        except httpx.TransportError:
            assert sent < 200 * MIB  # the connection was closed while it was still sending
    assert process.memory_info().rss - before < 20 * MIB


def test_just_what_is_allowed_is_taken(site: Running) -> None:
    body = b'{"account": "nobody", "password": "x"}'
    with browser(site, "127.0.0.5") as nobody:
        for length, status in ((BODY_BYTES_MAX, 401), (BODY_BYTES_MAX + 1, 413)):
            padded = body + b" " * (length - len(body))
            answer = nobody.post("/api/session", content=iter([padded]), headers={"content-type": "application/json"})
            assert answer.status_code == status


def test_connections_that_send_no_whole_request_are_closed(site: Running) -> None:
    starts = [b"", b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n", b"POST /api/session HTTP/1.1\r\nX: "]
    waiting = [connect(site) for _ in range(60)]
    try:
        for number, each in enumerate(waiting):
            each.sendall(starts[number % len(starts)])
        assert answers(site.url)
        for each in waiting:
            assert ended(each)
    finally:
        for each in waiting:
            each.close()


def test_bytes_that_trickle_in_do_not_keep_a_connection_open(site: Running) -> None:
    with connect(site) as slow:
        slow.settimeout(0.5)
        slow.sendall(b"GET / HTTP/1.1\r\n")

        def closed() -> bool:
            try:
                slow.sendall(b"X-Slow: 1\r\n")
                return slow.recv(1) == b""
            except TimeoutError:
                return False
            except OSError:
                return True

        until(closed, "the connection is closed")


def test_a_body_that_does_not_come_is_not_waited_for(site: Running) -> None:
    with connect(site) as slow:
        head = "POST /api/session HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: 50\r\n\r\n{"
        slow.sendall(head.encode())
        assert slow.recv(100).startswith(b"HTTP/1.1 408")
        assert ended(slow)


def ended(connection: socket.socket) -> bool:
    """Has the other side closed it? Waits for that, or for the socket's time-out."""
    try:
        while connection.recv(4096):
            pass
    except ConnectionResetError:
        pass
    return True


@pytest.mark.parametrize(
    "body",
    [
        '{"text": NaN}',
        '{"text": "\\ud800"}',
        '{"\\ud800": 1, "text": "x"}',
        '{"text": ' + "[" * 5000 + "]" * 5000 + "}",
        '{"text": 1e999}',
        "\ufeff{}",
        "",
        "nonsense",
        '{"text": "x", "text": {}}',
    ],
)
def test_what_is_no_sound_body_is_refused_like_everything_else(site: Running, body: str) -> None:
    headers = {"authorization": f"Bearer {token_of('garcia')}", "content-type": "application/json"}
    with browser(site) as client:
        for path in ("/api/shift/notes", "/api/silences", "/api/session"):
            answer = client.post(path, content=body.encode("utf-8", "surrogatepass"), headers=headers)
            assert 400 <= answer.status_code < 500, (path, answer.status_code, answer.text)
            assert {name: answer.headers[name] for name in HEADERS} == HEADERS


def test_an_empty_authorization_does_not_skip_the_check_of_the_origin(site: Running) -> None:
    with browser(site, "127.0.0.6") as garcia:
        assert sign_in(garcia, "garcia").status_code == 200
        for authorization in ("", "Bearer", "Basic eDp5"):
            headers = {"authorization": authorization, "origin": "https://evil.test"}
            assert garcia.post("/api/shift/notes", json={"text": "x"}, headers=headers).status_code == 403


# ── sessions that end ────────────────────────────────────────────────────────────────────────────


def test_a_stream_ends_with_the_session_it_was_opened_in(site: Running) -> None:
    ended, opened = threading.Event(), threading.Event()
    with browser(site, "127.0.0.7") as garcia:
        assert sign_in(garcia, "garcia").status_code == 200

        def listen() -> None:
            with garcia.stream("GET", "/api/stream") as answer:
                for _ in answer.iter_lines():
                    opened.set()
            ended.set()

        listener = threading.Thread(target=listen)
        listener.start()
        until(opened.is_set, "the stream begins")
        assert not ended.is_set()
        assert garcia.delete("/api/session").status_code == 204
        until(ended.is_set, "the stream ends")
        listener.join()


def test_a_changed_password_ends_the_sessions_that_were_begun_with_the_old_one(site: Running) -> None:
    accounts = site.site / "accounts.toml"
    with browser(site, "127.0.0.8") as officer, browser(site, "127.0.0.8") as observer:
        assert sign_in(officer, "a-officer").status_code == 200
        assert sign_in(observer, "a-observer").status_code == 200
        parts = accounts.read_text().split("[[account]]")
        parts = [
            part.replace(part.split('password = "')[1].split('"')[0], hashed("another"))
            if 'id = "a-officer"\n' in part
            else part
            for part in parts
        ]
        accounts.write_text("[[account]]".join(parts))
        before = console_process(site).pid
        psutil.Process(site.pid).send_signal(signal.SIGHUP)
        until(lambda: console_pid(site) not in (0, before) and answers(site.url), "the console has the new accounts")
        assert officer.get("/api/session").status_code == 401
        assert observer.get("/api/session").status_code == 200
        assert sign_in(officer, "a-officer", "another").status_code == 200


def console_pid(site: Running) -> int:
    """0: there is none at the moment."""
    for process in psutil.Process(site.pid).children():
        with suppress(psutil.Error):  # it ended meanwhile
            if "runtime.console_process" in process.cmdline():
                return process.pid
    return 0
