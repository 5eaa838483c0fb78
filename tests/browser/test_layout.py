"""What the page looks like, as far as boxes tell it: every view, on every kind of screen, in both languages."""

from pathlib import Path

import pytest

from tests.browser.desk import Desk, Running
from tests.browser.test_accessibility import everything, show
from tests.site import until

SCREENS = {
    "wall": (1920, 1080),
    "desk": (1440, 900),
    "tablet": (1024, 768),
    "upright": (768, 1024),
    "phone": (390, 844),
}
WRONG = (Path(__file__).parent / "geometry.js").read_text()
DST = [  # zone, what the field says, the instant in UTC
    ("America/Phoenix", "2026-07-01T08:00", "2026-07-01T15:00:00.000Z"),
    ("Europe/Madrid", "2026-07-01T08:00", "2026-07-01T06:00:00.000Z"),
    ("Europe/Madrid", "2026-10-25T02:30", "2026-10-25T00:30:00.000Z"),  # comes twice: the first
    (
        "Europe/Madrid",
        "2026-03-29T02:30",
        "2026-03-29T01:30:00.000Z",
    ),  # does not come: as if the clock had not been moved
    ("Asia/Kathmandu", "2026-07-01T08:00", "2026-07-01T02:15:00.000Z"),
]


@pytest.mark.parametrize("language", ["en", "es"])
def test_nothing_is_cut_off_or_hidden_or_too_small_on_any_screen(site: Running, desk: Desk, language: str) -> None:
    """Nothing lies beyond the window, no box cuts off what is in it, choices have room, controls are apart, fingers hit."""
    desk.page.evaluate("language => localStorage.setItem('language', language)", language)
    desk.page.reload()
    desk.page.wait_for_selector("#map canvas")
    found = []
    for name in everything(desk, site):
        for screen, (width, height) in SCREENS.items():
            desk.page.set_viewport_size({"width": width, "height": height})
            found += [f"{name} on a {screen}: {wrong}" for wrong in desk.page.evaluate(f"({WRONG})()")]
        desk.page.set_viewport_size({"width": 1440, "height": 900})
    desk.page.evaluate("localStorage.removeItem('language')")
    assert found == []


def test_the_chart_has_axes_in_the_sites_time_and_fits_its_box(desk: Desk) -> None:
    show(desk, "history")
    words = desk.page.eval_on_selector_all("#activity text", "texts => texts.map(text => text.textContent)")
    assert {"0", "alerts in 15 min", "time (MST)"} <= set(words)
    assert sum(":00" in word for word in words) >= 6
    assert "UTC" in (desk.page.text_content("#activity rect title") or "")
    desk.page.set_viewport_size({"width": 390, "height": 844})
    wide = "[...document.querySelectorAll('#activity svg, #activity figure')].map(e => e.getBoundingClientRect().width)"
    until(lambda: max(desk.page.evaluate(wide)) <= 390, "it is drawn anew, narrower")
    assert desk.page.evaluate("document.querySelector('#activity svg').getBoundingClientRect().height") == 200


def test_an_hour_is_asked_for_in_the_sites_time(desk: Desk) -> None:
    asked = """async ([zone, field]) => {
        const times = await import('/static/times.js?zone=' + zone);
        times.inZone(zone);
        return new Date(times.instantOf(field)).toISOString();
    }"""
    for zone, field, instant in DST:
        assert desk.page.evaluate(asked, [zone, field]) == instant, (zone, field)


def test_the_map_has_a_scale_and_is_enlarged_by_buttons_too(desk: Desk) -> None:
    scale = desk.page.inner_text("#map .maplibregl-ctrl-scale")
    assert scale.endswith("m")
    desk.page.click("#map button[aria-label='Zoom in']")
    until(lambda: desk.page.inner_text("#map .maplibregl-ctrl-scale") != scale, "the scale follows")


def test_on_a_phone_the_layers_are_folded_and_the_list_is_beside_the_map_only(desk: Desk) -> None:
    desk.page.set_viewport_size({"width": 390, "height": 844})
    until(lambda: not desk.page.evaluate("document.querySelector('#layers').open"), "they are folded")
    layers, whole = (desk.page.locator(at).bounding_box() for at in ("#layers", "#map"))
    assert layers is not None
    assert whole is not None
    assert layers["width"] * layers["height"] < 0.06 * whole["width"] * whole["height"]
    show(desk, "sensors")
    assert desk.page.is_hidden("#incidents")
    assert desk.page.is_hidden("#tools")
    desk.page.click("#more")
    assert desk.page.is_visible("#theme")
    show(desk, "map")
    assert desk.page.is_visible("#incidents")
