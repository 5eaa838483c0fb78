"""The watch officer's page in real Chromium, against a service that runs: each story as an officer would do it."""

import os
import re
import signal
from pathlib import Path

import httpx
from playwright.sync_api import Browser

from alerts.quiet import FIELDS, matches
from alerts.wire import record_of
from tests.browser.desk import PASSWORD, Desk, Running, Wire, running
from tests.script import Script, ground
from tests.site import ran, until
from tests.unit.test_alerts import CROSSING, SILENT


def of_agency(site: Running, agency: str) -> set[str]:
    live = ("open", "acknowledged", "assigned")
    return {i["alert"] for i in site.outbox.incidents(agency=agency) if i["status"] in live}


def crossing(site: Running) -> str:
    """The key of an alert that nobody has acknowledged yet."""
    return str(next(i["alert"] for i in site.outbox.incidents(open_only=True) if i["status"] == "open"))


def status_of(site: Running, key: str) -> str:
    return str(site.outbox.history_of(key)[-1]["status"])


def chosen(desk: Desk, key: str) -> None:
    desk.page.click(f"#i-{key}")
    desk.page.wait_for_selector("#detail .actions")


# ── signing in ───────────────────────────────────────────────────────────────────────────────────


def test_nobody_sees_anything_before_signing_in_and_a_wrong_password_says_so(site: Running, chromium: Browser) -> None:
    desk = Desk(chromium, site.url)
    desk.page.wait_for_selector("#sign-in:not([hidden])")
    assert desk.page.is_hidden("#desk")
    desk.page.fill("[name=account]", "garcia")
    desk.page.fill("[name=password]", "wrong")
    desk.page.click("#sign-in button")
    until(lambda: desk.page.inner_text("#sign-in .wrong"), "it says so")
    desk.sign_in("garcia")
    assert "Border patrol station" in desk.page.inner_text("#person")
    desk.page.click("#sign-out")
    desk.page.wait_for_selector("#sign-in:not([hidden])")
    assert httpx.get(f"{site.url}/api/incidents").status_code == 401
    desk.close()


# ── incidents ────────────────────────────────────────────────────────────────────────────────────


def test_the_list_has_what_the_service_has_and_the_title_counts_what_waits(site: Running, desk: Desk) -> None:
    until(lambda: desk.keys() == of_agency(site, ""), "the page shows all that is open")
    assert re.match(r"\(\d+\) [▲◆●○] ", desk.page.title())
    worst = desk.page.inner_text("#list li .badge")
    assert worst.startswith("▲") or "critical" not in {i["severity"] for i in site.outbox.incidents(open_only=True)}


def test_one_key_acknowledges_and_another_page_sees_it_at_once(site: Running, desk: Desk, chromium: Browser) -> None:
    other, key = Desk(chromium, site.url, "garcia"), crossing(site)
    chosen(desk, key)
    desk.page.keyboard.press("a")
    until(lambda: status_of(site, key) == "acknowledged", "the service knows")
    row = f"#i-{key} .state"
    until(lambda: "acknowledged" in other.page.inner_text(row), "the other officer sees it")
    assert site.outbox.history_of(key)[-1]["acknowledged_by"] == "okafor"
    other.close()


def test_assign_note_hand_over_and_resolve_with_what_it_was(site: Running, desk: Desk) -> None:
    key = crossing(site)
    chosen(desk, key)
    page = desk.page
    page.keyboard.press("s")
    page.fill("dialog [name=to]", "unit-7")
    page.keyboard.press("Enter")
    until(lambda: site.outbox.history_of(key)[-1]["assigned_to"] == "unit-7", "it is assigned")
    page.keyboard.press("n")
    page.fill("dialog [name=note]", "two adults, <b>one</b> child")
    page.click("dialog button.main")
    until(lambda: "one</b> child" in page.inner_text("#detail"), "the note is shown as it was written")
    page.keyboard.press("h")
    page.select_option("dialog [name=to]", "sheriff-cochise")
    page.click("dialog button.main")
    until(lambda: site.outbox.history_of(key)[-1]["offered_to"] == "sheriff-cochise", "it is offered")
    until(lambda: "Offered to" in desk.page.inner_text("#detail"), "the page says so")
    page.keyboard.press("r")
    page.select_option("dialog [name=disposition]", "animal")
    page.click("dialog button.main")
    until(lambda: status_of(site, key) == "resolved", "it is resolved")
    until(lambda: "Offered to" not in desk.page.inner_text("#detail"), "what is over is offered to nobody")
    assert site.outbox.history_of(key)[-1]["resolution"] == "animal"


def test_a_silence_with_its_reason_mutes_and_can_be_ended(site: Running, desk: Desk) -> None:
    until(lambda: any(i["status"] == "open" and not i["muted"] for i in site.outbox.incidents(True)), "one is open")
    key = crossing(site)
    chosen(desk, key)
    desk.page.keyboard.press("x")
    desk.page.wait_for_selector("dialog .outcome p")
    ticked = "boxes => boxes.filter(box => box.checked).map(box => box.name)"
    assert desk.page.eval_on_selector_all("dialog [type=checkbox]", ticked) == ["with_subject"]
    narrow, subjects = _would_hide(desk), set(site.outbox.history_of(key)[-1]["subjects"])
    assert 1 <= narrow <= sum(bool(subjects & set(i["subjects"])) for i in site.outbox.incidents())
    desk.page.uncheck("dialog [name=with_subject]")
    assert "at least one field" in desk.page.inner_text("dialog .outcome")
    desk.page.check("dialog [name=with_severity]")
    desk.page.fill("dialog [name=severity]", "critical,major,minor")
    assert _would_hide(desk) > narrow
    assert "nobody would have been told" in desk.page.inner_text("dialog .outcome .wrong")
    assert "every agency" in desk.page.inner_text("dialog .outcome")
    desk.page.uncheck("dialog [name=with_severity]")
    desk.page.check("dialog [name=with_subject]")
    desk.page.fill("dialog [name=reason]", "Ranch hands")
    desk.page.click("dialog button.main")
    until(lambda: site.outbox.history_of(key)[-1]["muted"], "it is muted")
    desk.page.keyboard.press("4")
    desk.page.wait_for_selector("#view-shift:not([hidden])")
    until(lambda: _again(desk, "Ranch hands"), "the silence is listed")
    desk.page.click("#view-shift tr:has-text('Ranch hands') button:has-text('End')")
    until(lambda: "Ranch hands" not in {s["reason"] for s in site.outbox.status()["silences"]}, "it is over")


def test_an_agency_is_told_that_its_silence_is_its_own_and_sees_what_it_keeps(site: Running, chromium: Browser) -> None:
    desk = Desk(chromium, site.url, "a-supervisor")
    key = next(i["alert"] for i in site.outbox.incidents(True, agency="border-patrol") if not i["muted"])
    chosen(desk, key)
    desk.page.keyboard.press("x")
    desk.page.wait_for_selector("dialog .outcome p")
    said = desk.page.inner_text("dialog .outcome")
    assert "alone; every other agency is told as before" in said and "nobody" not in said
    desk.page.fill("dialog [name=reason]", "fence crew")
    desk.page.click("dialog button.main")
    until(lambda: site.outbox.history_of(key, "border-patrol")[-1]["muted"], "its own agency is not told")
    desk.page.wait_for_selector(f"#i-{key} .state:has-text('silenced')")
    assert not site.outbox.history_of(key)[-1]["muted"]
    with site.as_("a-supervisor") as client:
        silence = until(lambda: client.get("/api/silences").json(), "the silence is listed")[0]
        assert silence["agency"] == "border-patrol"
        assert client.delete(f"/api/silences/{silence['silence']}").status_code == 200
        until(lambda: client.get("/api/silences").json() == [], "it is over")
    desk.close()


def _would_hide(desk: Desk) -> int:
    return int(re.findall(r"silenced (\d+) incidents", desk.page.inner_text("dialog .outcome"))[0])


def test_the_page_matches_silences_as_the_service_does(desk: Desk) -> None:
    """Every field, one value or several, whole or a beginning: the same incidents."""
    script = Script(ground(CROSSING, SILENT))
    script.walk(0, 40, (1, -3000.0, -30.0), (2, 2000.0, -30.0))
    newest = {alert.incident.key: alert for _, alert in script.told}
    assert len(newest) >= 3
    records = [record_of(alert) for alert in newest.values()]
    values = ("cross*", "silent-sensor,crossing", "critical,major", "cam-1", "person", records[0]["subjects"][0], "*")
    matching = """([records, matchers]) => import('/static/silencing.js').then(silencing =>
        records.filter(i => silencing.matches(i, matchers)).map(i => i.alert))"""
    found = 0
    for field in FIELDS:
        for value in values:
            there = desk.page.evaluate(matching, [records, {field: value}])
            expected = [key for key, alert in newest.items() if matches(alert.incident, ((field, value),))]
            assert there == expected, (field, value)
            found += len(there)
    assert found > len(FIELDS)


def _again(desk: Desk, words: str) -> bool:
    desk.page.keyboard.press("1")
    desk.page.keyboard.press("4")
    return words in desk.page.inner_text("#view-shift")


def test_why_it_was_raised_grouped_and_routed_stands_beside_it(site: Running, desk: Desk) -> None:
    key = next(i["alert"] for i in site.outbox.incidents() if "mou-1" in str(i["reason"]["routing"]))
    desk.page.goto(f"{desk.url}/?alert={key}&status=any")
    desk.page.wait_for_selector("#detail .actions")
    said = desk.page.inner_text("#detail")
    for words in ("What is in it", "Why sent there", "Memorandum of understanding 1", "Evidence", "in order", "MST"):
        assert words in said


def test_what_a_camera_sent_is_shown_too_small_to_know_anybody_by(site: Running, desk: Desk) -> None:
    def seen() -> str:
        with site.as_("okafor") as client:
            keys = [i["alert"] for i in site.outbox.incidents() if any(e["sensor"] == "cam-05" for e in i["evidence"])]
            return next((k for k in keys if client.get(f"/api/incidents/{k}/pictures/cam-05").status_code == 200), "")

    key = until(seen, "a camera has sent a picture of it")
    desk.page.goto(f"{desk.url}/?alert={key}&status=any")
    image = desk.page.locator(f"#detail img[src*='/{key}/pictures/cam-05']")
    until(lambda: image.count() and image.evaluate("i => i.complete && i.naturalWidth"), "it is drawn")
    assert max(image.evaluate("i => [i.naturalWidth, i.naturalHeight]")) == 96
    assert "made small" in (image.get_attribute("alt") or "")


def test_filters_live_in_the_address_and_a_shared_view_is_the_same(
    site: Running, desk: Desk, chromium: Browser
) -> None:
    desk.page.select_option("[name=severity]", "critical")
    desk.page.select_option("[name=status]", "any")
    address = desk.page.evaluate("location.href")
    assert "severity=critical" in address
    other = Desk(chromium, site.url, "okafor")
    other.page.goto(address)
    other.page.wait_for_selector("#desk:not([hidden])")
    expected = {i["alert"] for i in site.outbox.incidents() if i["severity"] == "critical"}
    until(lambda: other.keys() == desk.keys() >= expected, "both show the same")
    other.close()


# ── what each agency sees ────────────────────────────────────────────────────────────────────────


def test_an_officer_sees_what_his_agency_may_see_and_no_plate(site: Running, chromium: Browser) -> None:
    desk = Desk(chromium, site.url, "begay")
    until(lambda: desk.keys() == of_agency(site, "park-rangers"), "his agency's alerts")
    until(lambda: any(i["reason"]["kind"] == "watched_plate" for i in site.outbox.incidents()), "a plate was read")
    whole = {i["alert"]: i for i in site.outbox.incidents()}
    plates = {h["detail"]["plate"] for i in whole.values() for h in i["reason"]["happenings"] if "plate" in h["detail"]}
    with site.as_("begay") as program:
        span = {"from": "2026-01-01T00:00:00Z", "to": "2026-01-02T00:00:00Z"}
        said = program.get("/api/incidents").text + program.get("/api/shift/report", params=span).text
        said += "".join(program.get(f"/api/incidents/{key}").text for key in whole)
        others = [key for key in whole if "park-rangers" not in whole[key]["agencies"]]
        assert all(program.get(f"/api/incidents/{key}").status_code == 404 for key in others)
    assert plates
    assert not [plate for plate in plates if plate in said]
    desk.close()


# ── nothing is missed ────────────────────────────────────────────────────────────────────────────


def test_over_a_lost_connection_and_a_killed_console_no_incident_is_missing_on_the_page(
    site: Running, chromium: Browser
) -> None:
    wire = Wire(site.url)
    desk = Desk(chromium, wire.url, "okafor")
    desk.page.select_option("[name=status]", "any")
    for _ in range(2):
        killed = until(lambda: console_of(site), "the console runs")
        os.kill(killed, signal.SIGKILL)
        desk.page.wait_for_selector("#lost:not([hidden])")
        until(lambda: "Not live: last heard at" in desk.page.inner_text("#map-time"), "the map says how old it is")
        assert not desk.page.is_visible("#condition")  # what it said is of before
        boxes = [desk.page.locator(at).bounding_box() for at in ("#lost", "#map-time")]
        assert boxes[0] is None or boxes[1] is None or boxes[1]["y"] + boxes[1]["height"] <= boxes[0]["y"]
        until(lambda: console_of(site) not in (0, killed), "another console runs")  # noqa: B023
        desk.page.wait_for_selector("#lost[hidden]", state="attached")
    desk.page.clock.install()
    shown = desk.page.inner_text("#map-time")
    until(
        lambda: desk.page.inner_text("#map-time") != shown, "something came, and the watch over the silence began anew"
    )
    wire.pull()
    desk.page.clock.fast_forward(21_000)
    desk.page.wait_for_selector("#lost:not([hidden])")
    key = site.outbox.incidents()[0]["alert"]
    with site.as_("okafor") as program:
        program.post(f"/api/incidents/{key}/note", json={"note": "while the cable was out"})
    until(lambda: site.outbox.history_of(key)[-1]["reason"]["why"] == "noted", "something has happened meanwhile")
    wire.plug()
    desk.page.wait_for_selector("#lost[hidden]", state="attached")
    on_page = "import('/static/list.js').then(list => list.all().map(i => [i.alert, i.revision]))"
    until(
        lambda: dict(desk.page.evaluate(on_page)) == {i["alert"]: i["revision"] for i in site.outbox.incidents()},
        "all of it is on the page",
    )
    assert desk.keys() == {i["alert"] for i in site.outbox.incidents()}
    until(lambda: "Not live" not in desk.page.inner_text("#map-time"), "the map is live again")
    assert [w for w in desk.wrong if "ERR_" not in w] == []  # but for the connections that we cut
    desk.close()
    wire.close()


def console_of(site: Running) -> int:
    """The pid of the console's process; 0 where there is none."""
    found = ran("pgrep", "-P", site.pid, "-f", "console_process").stdout.split()
    return int(found[0]) if found else 0


# ── sensors, history, shift ──────────────────────────────────────────────────────────────────────


def test_every_sensor_is_listed_with_when_it_was_last_heard(site: Running, desk: Desk) -> None:
    desk.page.keyboard.press("2")
    desk.page.wait_for_selector("#view-sensors table")
    assert desk.page.locator("#view-sensors table").first.locator("tbody tr").count() == 66
    assert "Ground radar, west hill (radar-west)" in desk.page.inner_text("#view-sensors")


def test_an_hour_can_be_replayed_on_the_map_and_it_is_in_the_audit_log(site: Running, desk: Desk) -> None:
    desk.page.keyboard.press("3")
    desk.page.fill("[name=reason]", "after-action review")
    desk.page.click("#view-history button.main")
    desk.page.wait_for_selector("#past:not([hidden])")
    until(lambda: "Replay" in desk.page.inner_text("#map-time"), "the map shows another time")
    for of_now in ("#incidents", "#condition", "#clock", "#detail"):
        assert desk.page.is_hidden(of_now)
    first = desk.page.inner_text("#map-time")
    desk.page.click("#play")
    until(lambda: desk.page.inner_text("#map-time") != first, "it moves")
    assert desk.page.inner_text("#play") == "Pause"
    desk.page.locator("#past input").fill("3600")
    until(lambda: desk.page.inner_text("#play") == "Play", "it has come to its end, and the button says so")
    desk.page.keyboard.press("Escape")
    _of_now(desk)
    desk.page.keyboard.press("3")
    desk.page.fill("[name=reason]", "once more")
    desk.page.click("#view-history button.main")
    desk.page.click("#play")
    desk.page.keyboard.press("2")  # another page, and the map again: the past is over
    desk.page.keyboard.press("1")
    _of_now(desk)
    assert "after-action review" in (site.site / "state" / "audit.log").read_text()


def _of_now(desk: Desk) -> None:
    desk.page.wait_for_selector("#past", state="hidden")
    until(lambda: "MST" in (text := desk.page.inner_text("#map-time")) and "Replay" not in text, "back to now")
    assert desk.page.is_visible("#incidents")
    assert desk.page.is_visible("#clock")


def test_a_note_is_left_for_who_comes_next_and_the_report_counts(site: Running, desk: Desk) -> None:
    desk.page.keyboard.press("4")
    desk.page.fill("#view-shift textarea", "Gate 4 stands open; the ranger knows.")
    desk.page.click("#view-shift form button")
    until(lambda: "Gate 4 stands open" in desk.page.inner_text("#view-shift .notes"), "the note is there")
    raised = int(desk.page.inner_text("#view-shift .facts td.number"))
    assert 4 <= raised <= len(site.outbox.incidents())


# ── the map ──────────────────────────────────────────────────────────────────────────────────────


def test_the_map_draws_what_moves_and_a_click_on_an_incident_opens_it(site: Running, desk: Desk) -> None:
    drawn = "import('/static/map.js').then(map => map.drawn.tracks)"
    until(lambda: desk.page.evaluate(drawn) > 3, "tracks are on the map")
    key = crossing(site)
    desk.page.goto(f"{desk.url}/?alert={key}&status=any")
    desk.page.wait_for_selector("#detail .actions")
    until(lambda: not desk.page.evaluate("import('/static/map.js').then(map => map.moving())"), "the map stands")
    desk.page.keyboard.press("Escape")
    assert desk.page.is_hidden("#detail")
    box = desk.page.locator("#map").bounding_box()
    assert box is not None
    desk.page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    desk.page.wait_for_selector("#detail .actions")


def test_what_is_shown_of_a_clicked_track_stays_while_the_map_goes_on(desk: Desk) -> None:
    """The picture comes every second, and what an officer reads of a track must last until he closes it."""
    page = desk.page
    page.goto(f"{desk.url}/?at=-110.65,31.4,15")  # where nothing else is
    page.wait_for_selector("#map canvas")
    time = until(lambda: page.inner_text("#map-time"), "there is a picture")
    page.evaluate("""() => import('/static/map.js').then(map => map.replay({
        time: '2026-11-20T04:00:00Z', units: [], tails: new Map(),
        tracks: [['T1', 31.4, -110.65, 12, 5, 30, 1.2, 0.4, 'person', 0.9, 0.98, '']] }))""")
    until(lambda: page.evaluate("import('/static/map.js').then(map => map.drawn.tracks)") == 1, "it is drawn")
    page.click("#map")  # its middle
    page.wait_for_selector("#track:not([hidden])")
    page.evaluate("import('/static/map.js').then(map => map.replay(null))")
    until(lambda: page.inner_text("#map-time") not in (time, "Replay 21:00:00 MST"), "the next picture is drawn")
    said = page.inner_text("#track")
    for words in ("Person 90 %", "T1", "98 %", "1.3 m/s, 72°", "±12 m", "Last seen"):
        assert words in said
    page.click("#track button")
    page.wait_for_selector("#track", state="hidden")


def test_tracks_of_an_old_picture_are_not_drawn_as_live(desk: Desk) -> None:
    """As after a crash of the service: the console goes on, and the last picture stays."""
    look = "import('/static/map.js').then(map => map.drawn.stale)"
    until(lambda: desk.page.inner_text("#map-time") and not desk.page.evaluate(look), "the map is live")
    desk.page.evaluate("import('/static/map.js').then(map => map.cut(true))")
    until(lambda: desk.page.evaluate(look), "they are drawn as old")
    assert "Not live: last heard at" in desk.page.inner_text("#map-time")
    desk.page.evaluate("import('/static/map.js').then(map => map.cut(false))")
    until(lambda: not desk.page.evaluate(look), "and again as live")


def test_an_incident_without_a_zone_is_placed_in_words(desk: Desk) -> None:
    """A group has no zone: the place is that of what else happened in it, else the sensor that saw it last."""
    place = "i => import('/static/words.js').then(words => words.place(i))"
    group = {"kind": "group", "zone": ""}
    bare = {"zone": "", "lat": 31.3, "lon": -110.6, "evidence": [], "reason": {"happenings": [group]}}
    seen = [{"sensor": "cam-02", "time": "2026-11-20T04:00:01Z"}, {"sensor": "cam-01", "time": "2026-11-20T04:00:00Z"}]
    crossing = {"happenings": [group, {"kind": "crossing", "zone": "border"}]}
    assert desk.page.evaluate(place, bare | {"reason": crossing}) == "the border line"
    assert desk.page.evaluate(place, bare | {"evidence": seen}) == "near West trail, tower 2"
    assert desk.page.evaluate(place, bare) == "31.30000° N 110.60000° W"


# ── for everybody ────────────────────────────────────────────────────────────────────────────────


def test_all_of_it_works_by_keyboard_alone(site: Running, desk: Desk) -> None:
    page = desk.page
    page.keyboard.press("j")
    page.wait_for_selector("#detail .actions")
    first = page.get_attribute("#list [aria-selected=true]", "data-key")
    page.keyboard.press("ArrowDown")
    until(lambda: page.get_attribute("#list [aria-selected=true]", "data-key") != first, "the next one")
    page.focus("#list")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.closest('#detail') !== null")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.tagName") == "BUTTON"
    page.keyboard.press("Escape")
    assert page.is_hidden("#detail")
    for number, view in enumerate(("map", "sensors", "history", "shift") * 5):
        page.keyboard.press("?")
        assert page.inner_text("dialog dt").split() == ["J", "K"]
        page.keyboard.press("Escape")
        page.keyboard.press(str(number % 4 + 1))  # at once: no key is lost while the dialog goes
        page.wait_for_selector(f"#view-{view}:not([hidden])")


def test_a_screen_reader_finds_a_name_on_everything_and_is_told_of_what_is_new(desk: Desk) -> None:
    tree = desk.page.locator("body").aria_snapshot()
    bare = re.compile(r"- (button|textbox|combobox|searchbox|checkbox|link)( \[.*\])?:?$")
    nameless = [line for line in tree.splitlines() if bare.search(line)]
    assert nameless == []
    desk.page.evaluate("""import('/static/list.js').then(list => {
        const one = {...list.all()[0], revision: 1, status: 'open', muted: null, acknowledged_by: null};
        for (const [n, severity] of ['critical', 'major', 'minor', 'information'].entries())
            list.take({...one, alert: `A000000000000${n}`, zone: `place-${severity}`, severity}, true);
    })""")
    for region, urgency, severities in (
        ("#announce", "assertive", ("critical", "major")),
        ("#announce-later", "polite", ("minor", "information")),
    ):
        assert desk.page.get_attribute(region, "aria-live") == urgency
        words = desk.page.inner_text(region)
        assert [words.count(f"place-{severity}") for severity in severities] == [1, 1]
        assert words.count("place-") == 2
    assert desk.page.evaluate("import('/static/sound.js').then(sound => sound.rung.length)") >= 1
    assert "new" in (desk.page.get_attribute("#i-A0000000000000", "class") or "")


def test_times_are_in_the_sites_zone_and_utc_is_where_the_pointer_rests(site: Running, desk: Desk) -> None:
    clock = desk.page.inner_text("#clock")
    local, utc = re.findall(r"(\d\d):\d\d:\d\d", clock)
    assert (int(utc) - int(local)) % 24 == 7  # Phoenix keeps UTC−7 all year
    assert re.search(r"MST.*UTC", clock)
    for view in ("sensors", "shift"):
        desk.page.click(f"nav [data-view={view}]")
        desk.page.wait_for_selector(f"#view-{view} time")
    chosen(desk, next(i["alert"] for i in site.outbox.incidents(True)))
    bare = "times => times.filter(time => !/ MST = .* UTC$/.test(time.title)).map(time => time.outerHTML)"
    assert desk.page.eval_on_selector_all(".page time, #detail time", bare) == []


def test_without_accounts_this_machine_is_let_in_and_told_so(tmp_path: Path, chromium: Browser) -> None:
    with running(tmp_path, incidents=0, accounts=False) as open_site:
        desk = Desk(chromium, open_site.url)
        desk.page.wait_for_selector("#map canvas")
        assert "no accounts" in desk.page.inner_text("#person")
        assert PASSWORD not in desk.page.content()
        desk.close()
