"""The pictures of these pages, taken anew after the console has changed: `.venv/bin/python -m docs.pictures`, two minutes.

A site runs its demonstration, and Chromium looks at it as an officer would.
"""

import tempfile
from pathlib import Path

import cv2
import numpy as np
from playwright.sync_api import Page, sync_playwright

from tests.browser.desk import Desk, Running, browser, running
from tests.site import until

HERE = Path(__file__).parent
WIDE, PHONE = {"width": 1480, "height": 900}, {"width": 390, "height": 780}


def take(page: Page, name: str) -> None:
    """One picture, without what makes a file large and shows nothing."""
    pixels = cv2.imdecode(np.frombuffer(page.screenshot(), np.uint8), cv2.IMREAD_COLOR)
    assert pixels is not None
    cv2.imwrite(str(HERE / name), pixels, [cv2.IMWRITE_PNG_COMPRESSION, 9])


def pictured(site: Running) -> str:
    """The key of an incident that a camera has sent a picture of."""
    with site.as_("okafor") as client:
        keys = [i["alert"] for i in site.outbox.incidents(True) if i["reason"]["kind"] == "crossing"]
        return next((k for k in keys if client.get(f"/api/incidents/{k}").json()["pictures"]), "")


def main() -> None:
    with (
        tempfile.TemporaryDirectory() as folder,
        running(Path(folder)) as site,
        sync_playwright() as playwright,
        browser(playwright) as chromium,
    ):
        desk = Desk(chromium, site.url, "garcia")
        page = desk.page
        page.set_viewport_size(WIDE)
        page.emulate_media(reduced_motion="reduce", color_scheme="dark")
        page.evaluate(
            "document.documentElement.dataset.theme = 'dark'; import('/static/map.js').then(map => map.style())"
        )
        key = until(lambda: pictured(site), "a camera has sent a picture")
        page.evaluate("key => import('/static/list.js').then(list => list.choose(key))", key)
        page.wait_for_selector("#detail img")
        until(lambda: page.evaluate("document.querySelector('#detail img').naturalWidth"), "its picture is there")
        until(lambda: not page.evaluate("import('/static/map.js').then(map => map.moving())"), "the map stands")
        take(page, "console.png")
        page.keyboard.press("x")
        page.wait_for_selector("dialog .outcome p")
        page.check("dialog [name=with_kind]")
        page.uncheck("dialog [name=with_subject]")
        page.fill("dialog [name=reason]", "ranch hands mend the fence until noon")
        take(page, "console-silence.png")
        page.keyboard.press("Escape")
        page.wait_for_selector("dialog[open]", state="detached")
        page.set_viewport_size(PHONE)
        page.keyboard.press("Escape")
        page.wait_for_selector("#detail", state="hidden")
        take(page, "console-phone.png")
        page.set_viewport_size(WIDE)
        page.click("nav [data-view=history]")
        page.wait_for_selector("#activity svg")
        page.fill("[name=reason]", "after-action review")
        page.press("[name=reason]", "Enter")
        page.wait_for_selector("#past:not([hidden])")
        page.click("#play")
        until(
            lambda: page.evaluate("import('/static/map.js').then(map => map.drawn.tracks)") > 5,
            "it has gone on for a while",
        )
        page.click("#play")
        take(page, "console-replay.png")


if __name__ == "__main__":
    main()
