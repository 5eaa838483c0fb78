"""A whole site that runs with its console: broker, service, an exercise in real time, and people who may sign in."""

import functools
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
from playwright.sync_api import Browser, Page, Playwright, Request

from alerts.outbox import Outbox
from console.people import ROLES, hashed, token_hash
from model.time import NS
from runtime.broker import broker, free_port
from runtime.configuration import load
from runtime.places import Places, exercise_key
from runtime.simulator.exercise import read_exercise
from runtime.simulator.play import play
from runtime.simulator.seeing import simulated
from runtime.world import world_of
from tests.site import DEADLINE_S, service, site_at, until

PASSWORD = "correct horse battery"
CHROMIUM = "/usr/bin/chromium"
QUIET = (
    "--no-sandbox",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--enable-unsafe-swiftshader",
)
PEOPLE = {
    "garcia": ("border-patrol", "officer"),
    "begay": ("park-rangers", "officer"),
    "okafor": ("", "supervisor"),
    **{f"a-{role}": ("border-patrol", role) for role in ROLES},
}


@dataclass
class Running:
    """The service, where it is, and what it keeps."""

    url: str
    site: Path
    outbox: Outbox
    pid: int

    def as_(self, who: str) -> httpx.Client:
        """A program with this account's token."""
        return httpx.Client(base_url=self.url, headers={"authorization": f"Bearer {token_of(who)}"}, timeout=DEADLINE_S)


def token_of(who: str) -> str:
    return f"token-of-{who}"


@functools.cache
def _kept() -> str:
    return hashed(PASSWORD)


def write_accounts(site: Path) -> None:
    """Everybody of PEOPLE with the password, and once more as a program with a token."""
    entries = []
    for id, (agency, role) in PEOPLE.items():
        belongs = f'agency = "{agency}"\n' if agency else ""
        entries.append(
            f'[[account]]\nid = "{id}"\nname = "{id.title()}"\n{belongs}role = "{role}"\npassword = "{_kept()}"\n'
        )
        entries.append(
            f'[[account]]\nid = "{id}-program"\n{belongs}role = "{role}"\ntoken = "{token_hash(token_of(id))}"\n'
        )
    (site / "accounts.toml").write_text("\n".join(entries))
    (site / "accounts.toml").chmod(0o600)


@contextmanager
def running(folder: Path, incidents: int = 4, accounts: bool = True) -> Iterator[Running]:
    """The shipped site with the demonstration's exercise, once it has told of so many incidents."""
    with broker() as there:
        site = site_at(folder, there.port)
        said = (site / "site.toml").read_text()
        (site / "site.toml").write_text(said.replace("port = 0", f"port = {free_port()}"))  # the same after a restart
        if accounts:
            write_accounts(site)
        log, stop = folder / "log", threading.Event()
        with service(site, log) as process:
            address = Places(site / "state").console
            until(address.exists, "the console is there")
            c = load(site)
            exercise = read_exercise(site / "exercises" / "demo.toml")
            until(lambda: "Connected" in log.read_text(), "the service connected")
            world = world_of(c, exercise_key(c))

            def keep_playing() -> None:
                while not stop.is_set():  # and again, where the tests take longer than the exercise
                    messages, _ = simulated(world, exercise, (time.time_ns() // NS + 1) * NS)
                    play(messages, there.host, there.port, stop)

            player = threading.Thread(target=keep_playing)
            player.start()
            outbox = Outbox(site / "state" / "marchwarden.db")
            try:
                url = address.read_text().strip().rstrip("/")
                until(lambda: httpx.get(f"{url}/live").status_code == 200, "the console answers")
                until(lambda: len(outbox.incidents()) >= incidents, "there are incidents")
                yield Running(url, site, outbox, process.pid)
            finally:
                stop.set()
                player.join()


class Wire:
    """A cable between browser and console that can be pulled: what is under way stays open, and nothing comes through."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._to = (parts.hostname, parts.port)
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        self._plugged = threading.Event()
        self._plugged.set()
        threading.Thread(target=self._accept, daemon=True).start()

    def pull(self) -> None:
        self._plugged.clear()

    def plug(self) -> None:
        self._plugged.set()

    def close(self) -> None:
        self.plug()
        self._listening.close()

    def _accept(self) -> None:
        with suppress(OSError):  # closed
            while True:
                near, _ = self._listening.accept()
                threading.Thread(target=self._join, args=(near,), daemon=True).start()

    def _join(self, near: socket.socket) -> None:
        with near, suppress(OSError), socket.create_connection(self._to) as far:
            back = threading.Thread(target=self._carry, args=(far, near), daemon=True)
            back.start()
            self._carry(near, far)
            back.join()

    def _carry(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65_536):
                self._plugged.wait()
                sink.sendall(data)
        with suppress(OSError):
            sink.shutdown(socket.SHUT_WR)


@contextmanager
def browser(playwright: Playwright) -> Iterator[Browser]:
    """Debian's Chromium, drawing in software."""
    launched = playwright.chromium.launch(executable_path=CHROMIUM, args=list(QUIET))
    try:
        yield launched
    finally:
        launched.close()


# Keeps what had the focus when it fell to the page's body, unless somebody clicked where nothing takes it.
WATCH_FOCUS = """(() => {
    let last = null, clicked = false;
    window.focusLost = [];
    const name = e => e.tagName + ' ' + (e.id || e.getAttribute('aria-label') || e.name || e.textContent.slice(0, 40));
    addEventListener('mousedown', () => { clicked = true; }, true);
    const look = () => {
        const now = document.activeElement;
        if (now === document.body && last && !clicked) window.focusLost.push(name(last));
        last = now && now !== document.body ? now : null;
        clicked = false;
        requestAnimationFrame(look);
    };
    requestAnimationFrame(look);
})()"""


class Desk:
    """A page that somebody is signed in to, and what it asked for and complained of."""

    def __init__(self, chromium: Browser, url: str, who: str = "", **context: Any) -> None:
        self.context = chromium.new_context(viewport={"width": 1440, "height": 900}, **context)
        self.context.set_default_timeout(DEADLINE_S * 1000)
        self.context.add_init_script(WATCH_FOCUS)
        self.page: Page = self.context.new_page()
        self.asked: list[str] = []
        self.wrong: list[str] = []
        self.page.on("request", self._asks)
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.page.on("console", lambda said: self.wrong.append(said.text) if said.type == "error" else None)
        self.url = url
        self.page.goto(url)
        if who:
            self.sign_in(who)

    def _asks(self, request: Request) -> None:
        self.asked.append(request.url)

    def sign_in(self, who: str, password: str = PASSWORD) -> None:
        self.page.fill("[name=account]", who)
        self.page.fill("[name=password]", password)
        self.page.click("#sign-in button")
        self.page.wait_for_selector("#map canvas")
        self.wrong = [said for said in self.wrong if "401" not in said]  # of before

    def focus_lost(self) -> list[str]:
        """What had the focus when the page let it fall."""
        return list(self.page.evaluate("window.focusLost"))

    def keys(self) -> set[str]:
        """Of the incidents on the page."""
        return set(self.page.eval_on_selector_all("#list li", "rows => rows.map(row => row.dataset.key)"))

    def close(self) -> None:
        self.context.close()
