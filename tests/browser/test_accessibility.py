"""For who uses the page by keyboard, by screen reader, enlarged or in another language: every view, every dialog."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Browser

from tests.browser.desk import Desk, Running
from tests.site import until
from tests.unit.test_console import page_texts

VIEWS = ("map", "sensors", "history", "shift")
DIALOGS = ("assign", "note", "resolve", "hand-over", "share", "silence")


def an_open_one(site: Running) -> str:
    """The key of an incident that has not ended."""
    live = ("open", "acknowledged", "assigned")
    return str(until(lambda: next((i["alert"] for i in site.outbox.incidents(True) if i["status"] in live), ""), "one"))


@contextmanager
def silenced(site: Running, reason: str) -> Iterator[None]:
    """A silence of what never happens, for as long as it is needed."""
    with site.as_("okafor") as program:
        program.post("/api/silences", json={"matchers": {"zone": "nowhere"}, "reason": reason, "hours": 1})
        try:
            yield
        finally:
            for silence in program.get("/api/silences").json():
                if silence["reason"] == reason:
                    program.delete(f"/api/silences/{silence['silence']}")
            until(lambda: reason not in program.get("/api/silences").text, "it is over")


def show(desk: Desk, view: str) -> None:
    """A view, drawn with what the service says."""
    desk.page.click(f"nav [data-view={view}]")
    drawn = {"map": "#map canvas", "history": "#activity svg"}.get(view, f"#view-{view} table")
    desk.page.wait_for_selector(drawn)


def choose(desk: Desk, key: str) -> None:
    desk.page.evaluate("key => import('/static/list.js').then(list => list.choose(key))", key)
    desk.page.wait_for_selector("#detail .actions")


def replay(desk: Desk) -> None:
    show(desk, "history")
    desk.page.fill("[name=reason]", "after-action review")
    desk.page.press("[name=reason]", "Enter")
    desk.page.wait_for_selector("#past:not([hidden])")


@contextmanager
def dialog(desk: Desk, name: str) -> Iterator[None]:
    """The question that an action asks, while it is open."""
    desk.page.click("#help" if name == "help" else f"#detail [data-key={name}]")
    desk.page.wait_for_selector("dialog[open]")
    yield
    desk.page.keyboard.press("Escape")
    desk.page.wait_for_selector("dialog[open]", state="detached")


def everything(desk: Desk, site: Running) -> Iterator[str]:
    """Each thing that the page can show, one after the other: its name, while it is shown."""
    for view in VIEWS:
        show(desk, view)
        yield view
    show(desk, "map")
    desk.page.evaluate(REDRAWN["track"][1])
    yield "track"
    choose(desk, an_open_one(site))
    yield "incident"
    for name in (*DIALOGS, "help"):
        with dialog(desk, name):
            yield f"dialog {name}"
    replay(desk)
    yield "replay"
    desk.page.keyboard.press("Escape")


# ── axe ──────────────────────────────────────────────────────────────────────────────────────────


def violations(desk: Desk, theme: str) -> list[tuple[str, ...]]:
    """What axe-core finds wrong with what is shown, and in the other theme with its contrasts: (theme, rule, element, why)."""
    if not desk.page.evaluate("'axe' in window"):
        desk.page.evaluate(AXE_SCRIPT)
    found = desk.page.evaluate(
        """async theme => {
            const dress = theme => { document.documentElement.dataset.theme = theme; };
            const found = rules => axe.run({resultTypes: ['violations'], ...rules}).then(said => said.violations);
            const other = theme === 'dark' ? 'light' : 'dark';
            dress(other);
            const contrast = await found({runOnly: ['color-contrast', 'link-in-text-block']});
            dress(theme);
            return [...(await found({})).map(v => [theme, v]), ...contrast.map(v => [other, v])];
        }""",
        theme,
    )
    return [(worn, v["id"], n["html"][:200], n["failureSummary"]) for worn, v in found for n in v["nodes"]]


@pytest.mark.parametrize(("language", "theme"), [("en", "dark"), ("es", "light")])
def test_axe_finds_nothing_wrong_with_any_view_or_dialog(
    site: Running, chromium: Browser, language: str, theme: Literal["dark", "light"]
) -> None:
    with site.as_("okafor") as program:
        program.post("/api/shift/notes", json={"text": "The track to the tank is washed out."})
    desk = Desk(chromium, site.url, locale=language, color_scheme=theme)
    desk.page.wait_for_selector("#sign-in:not([hidden])")
    wrong = {"sign-in": violations(desk, theme)}
    desk.sign_in("okafor")
    with silenced(site, "Survey"):
        wrong |= {shown: violations(desk, theme) for shown in everything(desk, site)}
    assert len(wrong) == 15
    assert {shown: found for shown, found in wrong.items() if found} == {}
    desk.close()


# ── focus ────────────────────────────────────────────────────────────────────────────────────────

# For each element of a part of the page that takes the focus: focus it, draw the part again, and look where the focus is.
FOCUS_EACH = """async ([part, again, data]) => {
    const redraw = new Function('data', `return (${again})(data)`);
    const box = document.querySelector(part);
    const named = e => [e.tagName, e.id, e.name ?? '', e.dataset.key ?? '', e.closest('li, tr')?.dataset.key ?? '',
        e.getAttribute('aria-label') ?? '', e.textContent.slice(0, 60)].join('|');
    const takers = 'a[href], button, input, select, textarea, summary, [tabindex]';
    const all = () => [box, ...box.querySelectorAll(takers)].filter(e => !e.disabled && e.checkVisibility());
    const asked = all().map(named), wrong = [];
    for (const name of asked) {
        const element = all().find(e => named(e) === name);
        if (!element) continue;
        element.focus();
        if (document.activeElement !== element) continue;
        await redraw(data);
        const now = named(document.activeElement);
        if (now !== name) wrong.push([name, now]);
    }
    return [asked.length, wrong];
}"""
# Each part of the page: what draws it again, as a revision, a tick or the same key does.
REDRAWN = {
    "map": ("body", "() => import('/static/list.js').then(list => list.draw())"),
    "sensors": ("#view-sensors", "() => import('/static/sensors.js').then(sensors => sensors.show())"),
    "history": ("#view-history", "() => import('/static/past.js').then(past => past.show(() => {}))"),
    "shift": ("#view-shift", "() => import('/static/shift.js').then(shift => shift.show({may: ['act', 'silence']}))"),
    "track": (
        "#track",
        """async () => {
            const map = await import('/static/map.js'), speed = Math.random();
            map.inspect(['T1', 31.3, -110.9, 5, 5, 0, speed, speed, 'person', 0.9, 0.9, '']);
            await new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)));
        }""",
    ),
    "incident": ("#detail", "key => import('/static/detail.js').then(detail => detail.show(key))"),
}
NEW_INCIDENT = """number => import('/static/list.js').then(list => {
    const one = list.all().find(i => i.status !== 'resolved');
    list.take({...one, alert: `A${number}`, revision: 1, status: 'open', muted: null, acknowledged_by: null}, true);
    list.draw();
})"""


def test_the_focus_stays_where_it_is_when_any_part_of_the_page_is_drawn_again(site: Running, desk: Desk) -> None:
    key = an_open_one(site)
    with silenced(site, "Survey"):
        for name, (part, again) in REDRAWN.items():
            show(desk, name if name in VIEWS else "map")
            if name == "track":
                desk.page.evaluate(again)
            if name == "incident":
                choose(desk, key)
            count, wrong = desk.page.evaluate(FOCUS_EACH, [part, again, key])
            assert count >= 1
            assert wrong == [], name
    count, wrong = desk.page.evaluate(FOCUS_EACH, ["body", f"() => ({NEW_INCIDENT})(Math.random())", None])
    assert count > 20
    assert wrong == []


def active(desk: Desk) -> str:
    """What has the focus: its id, key, name or tag."""
    return str(desk.page.evaluate("""(e => e.id || e.dataset.key || e.name || e.tagName)(document.activeElement)"""))


def test_what_is_typed_the_caret_and_the_scroll_position_outlast_a_redraw(site: Running, desk: Desk) -> None:
    page = desk.page
    show(desk, "shift")
    page.fill("#view-shift textarea", "The gate is open.")
    page.evaluate("document.activeElement.setSelectionRange(5, 6)")
    page.evaluate("document.querySelector('#view-shift').scrollTop = 30")
    before = page.evaluate("document.querySelector('#view-shift').scrollTop")
    page.evaluate(REDRAWN["shift"][1])
    caret = page.evaluate("(e => [e.value, e.selectionStart, e.selectionEnd])(document.activeElement)")
    assert caret == ["The gate is open.", 5, 6]
    assert page.evaluate("document.querySelector('#view-shift').scrollTop") == before
    show(desk, "map")
    key = an_open_one(site)
    choose(desk, key)
    page.set_viewport_size({"width": 1440, "height": 400})
    page.evaluate("document.querySelector('#detail').scrollTop = 90")
    page.evaluate(REDRAWN["incident"][1], key)
    assert page.evaluate("document.querySelector('#detail').scrollTop") == 90
    page.fill("#filters [name=q]", "line")
    page.evaluate("document.activeElement.setSelectionRange(1, 2)")
    page.evaluate(NEW_INCIDENT, "0000000000009")
    assert page.evaluate("(e => [e.name, e.selectionStart])(document.activeElement)") == ["q", 1]


def test_what_goes_away_gives_the_focus_to_its_neighbour(site: Running, desk: Desk) -> None:
    page, key = desk.page, an_open_one(site)
    choose(desk, key)
    page.focus("#detail [data-key=note]")
    with dialog(desk, "note"):
        assert active(desk) == "note"
    assert active(desk) == "note"  # the button again
    page.evaluate("document.querySelector('#detail [data-key=share]').focus()")
    page.evaluate(
        """key => import('/static/dom.js').then(dom => dom.redraw(document.querySelector('#detail .actions'),
        dom.el('button', {'data-key': 'note'}, 'x'), dom.el('button', {'data-key': 'last'}, 'y')))""",
        key,
    )
    assert active(desk) == "last"
    page.keyboard.press("Escape")
    assert active(desk) == "list"
    page.evaluate(REDRAWN["track"][1])
    page.focus("#track .close")
    page.keyboard.press("Enter")
    until(lambda: page.evaluate("document.activeElement.matches('#map canvas')"), "the map that it stood on")
    page.focus("#layers summary")
    page.keyboard.press("2")
    until(lambda: active(desk) == "view-sensors", "the focus went along to the next view")
    page.keyboard.press("1")
    until(lambda: page.evaluate("document.activeElement.matches('#map canvas')"), "and back to the map")
    replay(desk)
    until(lambda: active(desk) == "play", "the replay's first button")
    page.keyboard.press("Escape")
    until(lambda: page.evaluate("document.activeElement.matches('#map canvas')"), "the map of now")
    show(desk, "shift")
    with silenced(site, "Goats"):
        until(lambda: "Goats" in again(desk, "shift"), "the silence is listed")
        page.focus("#view-shift tr:has-text('Goats') button")
        page.keyboard.press("Enter")
        until(lambda: "Goats" not in again(desk, "shift"), "it is over")
        assert page.evaluate("document.activeElement.closest('#view-shift') !== null")


def again(desk: Desk, view: str) -> str:
    desk.page.evaluate(REDRAWN[view][1])
    return desk.page.inner_text(f"#view-{view}")


def test_the_keyboard_goes_on_where_it_was_after_signing_in_and_in_another_language(site: Running, desk: Desk) -> None:
    assert active(desk) == "list"
    desk.page.select_option("#language", "es")
    until(lambda: "Incidentes" in desk.page.inner_text("#incidents h2"), "the page speaks Spanish")
    until(lambda: active(desk) == "language", "the choice has the focus")
    assert desk.page.get_attribute("html", "lang") == "es"


def test_what_is_pressed_and_chosen_is_told_apart_in_forced_colours_and_nothing_moves_unasked(
    site: Running, desk: Desk
) -> None:
    desk.page.emulate_media(forced_colors="active", reduced_motion="reduce")
    colour = "selector => getComputedStyle(document.querySelector(selector)).backgroundColor"
    assert desk.page.evaluate(colour, "nav [aria-pressed=true]") != desk.page.evaluate(
        colour, "nav [aria-pressed=false]"
    )
    choose(desk, an_open_one(site))
    desk.page.evaluate(NEW_INCIDENT, "0000000000007")
    chosen, other = "#list [aria-selected=true]", "#list [aria-selected=false]"
    assert desk.page.evaluate(colour, chosen) != desk.page.evaluate(colour, other)
    moving = "document.getAnimations().filter(a => a.playState === 'running').length"
    assert desk.page.evaluate(moving) == 0


# ── Spanish ──────────────────────────────────────────────────────────────────────────────────────

# All words that are shown, with the labels and hints that are read aloud; what people and operators wrote stands in `data-own`.
WORDS_SHOWN = """() => {
    const found = [], walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    for (let node = walker.nextNode(); node; node = walker.nextNode()) {
        const box = node.parentElement;
        if (box.closest('option') || box.checkVisibility()) found.push(node.data);
    }
    const spoken = ['aria-label', 'placeholder', 'title', 'alt'];
    for (const e of document.body.querySelectorAll(spoken.map(name => `[${name}]`)))
        if (e.checkVisibility()) found.push(...spoken.map(name => e.getAttribute(name) ?? ''));
    return [...found, document.title];
}"""


def test_no_english_word_is_left_on_the_spanish_page(site: Running, chromium: Browser) -> None:
    texts = page_texts()
    spanish = {text.lower() for _, text in texts.values()}
    english = {text.lower(): key for key, (text, _) in texts.items() if len(text) > 2 and text != "{0}"}
    templates = {
        key: re.compile(re.sub(r"\\{\d\\}", ".+?", re.escape(text)) + "$", re.IGNORECASE)
        for key, (text, other) in texts.items()
        if re.search(r"\{\d\}", text) and re.search("[a-z]{3}", text) and text != other
    }
    desk = Desk(chromium, site.url, locale="es")
    names = {name.lower() for name in own_names(site)}

    def left() -> set[tuple[str, str]]:
        found = set()
        for text in desk.page.evaluate(WORDS_SHOWN):
            for part in (text, *re.split(r"[·:,()▲◆●○–]|\s\d[\d:]*", text)):
                words = part.strip().lower()
                if words in names or words in spanish:
                    continue
                if words in english or (words in texts and "_" in words):
                    found.add((english.get(words, words), text))
                found |= {(key, text) for key, shape in templates.items() if words and shape.match(words)}
        return found

    desk.page.wait_for_selector("#sign-in:not([hidden])")
    desk.page.fill("[name=account]", "garcia")
    desk.page.fill("[name=password]", "wrong")
    desk.page.click("#sign-in button")
    until(lambda: desk.page.inner_text("#sign-in .wrong") == "Cuenta o contraseña incorrecta.", "it says so in Spanish")
    assert desk.page.evaluate("import('/static/times.js').then(times => times.day('2026-01-15T12:00:00Z'))") == "15 ene"
    english_left = {"sign-in": left()}
    desk.sign_in("okafor")
    for shown in everything(desk, site):
        english_left[shown] = left()
    for number, incident in enumerate(site.outbox.incidents()):
        choose(desk, incident["alert"])
        until(lambda: incident["alert"] in desk.page.inner_text("#detail"), "it is shown")  # noqa: B023
        english_left[f"incident {number}"] = left()
    assert {shown: found for shown, found in english_left.items() if found} == {}
    desk.close()


def own_names(site: Running) -> set[str]:
    """What the operator called things, in the operator's language."""
    with site.as_("okafor") as program:
        said = program.get("/api/site").json()
    named = [said["title"], *said["zones"].values(), *said["sensors"].values(), *said["agreements"].values()]
    return {*named, *(a["name"] for a in said["agencies"]), *(r["id"] for r in said["rules"])}
