"""What people and programs may ask of the console, and do. Every answer is cut to what the asker's agency may see."""

import asyncio
import math
import threading
import time
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal

import pyarrow as pa
from fastapi import APIRouter, Header, HTTPException, Path, Query, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool

from console.desk import Desk
from console.guard import (
    COOKIE,
    DEVICE_COOKIE,
    Acting,
    Reading,
    Refused,
    Seeing,
    SignedIn,
    Silencing,
    Tending,
    TheDesk,
    person_of,
)
from console.live import STREAMS_MAX, stream
from console.people import LOCAL, ROLES, Person
from console.records import DEVICE_S
from console.report import shift_report
from console.scope import UNKNOWN, subjects_of, tracks_for
from console.throttle import SignInThrottle
from history.store import Query as Asked
from model.faults import FaultKind, fault_of
from model.time import NS, iso_from_ns

router = APIRouter(prefix="/api", responses=Refused)
HASHING = threading.BoundedSemaphore(2)  # passwords looked at at a time: each takes 50 ms of a core and 16 MiB
ANSWER_S = 10.0  # how long a page waits to see an action done
PICTURE_NS = 10 * NS  # this long before and after, a picture is still of it
LOOK_S, LOOKS_MAX = 600.0, 10_000
ROWS_MAX = 500_000
RELATED_HOURS = 24  # what was over for longer is no longer looked at for what belongs together
Text = Annotated[str, Field(max_length=2000)]
Name = Annotated[str, Field(max_length=200)]
Key = Annotated[str, Path(pattern=r"^A[0-9A-HJKMNP-TV-Z]{13}$", description="An alert's key")]
Number = Annotated[int, Path(ge=0, lt=2**22)]
Disposition = Literal["genuine", "animal", "own-unit", "weather", "sensor-fault", "nuisance", "unknown"]


class Given(BaseModel):
    """A request's body: what is not known is an error."""

    model_config = ConfigDict(extra="forbid")


# ── who is there ─────────────────────────────────────────────────────────────────────────────────


class SignIn(Given):
    account: Name
    password: Annotated[str, Field(max_length=1000)]


class Session(BaseModel):
    id: str
    name: str
    agency: str
    role: str
    may: list[str]
    open: bool  # there are no accounts: whoever sits at this machine may do everything


@router.get("/session", operation_id="session")
def session(desk: TheDesk, person: SignedIn) -> Session:
    """Who you are, and what you may do."""
    return Session(
        id=person.id,
        name=person.name or person.id,
        agency=person.agency,
        role=person.role,
        may=sorted(ROLES[person.role]),
        open=not desk.accounts.any,
    )


@router.post("/session", operation_id="sign_in", responses={429: {"description": "Too many tries; `Retry-After`: s"}})
def sign_in(request: Request, response: Response, desk: TheDesk, said: SignIn) -> Session:
    """Sign in: sets the session's cookie, and one by which this browser is known the next time."""
    if not desk.accounts.any:
        return session(desk, LOCAL)
    throttle: SignInThrottle = request.app.state.throttle
    now_s = int(desk.now_s())
    address, device = request.client.host if request.client else "", request.cookies.get(DEVICE_COOKIE, "")
    if device and not desk.records.is_device_of(device, said.account, now_s):
        device = ""
    wait_s = throttle.wait_s(said.account, address, device, desk.now_s())
    if wait_s > 0:
        headers = {"retry-after": str(math.ceil(wait_s))}
        raise HTTPException(429, f"Too many tries. Try again in {math.ceil(wait_s)} s.", headers)
    with HASHING:
        person = desk.accounts.with_password(said.account, said.password)
    if person is None:
        desk.audit(said.account, "sign in refused", "", "")
        raise HTTPException(401, "Wrong name or password.")
    throttle.succeeded(said.account, address, device)
    token = desk.records.begin(person.id, desk.accounts.credential_of(person.id), now_s)
    _set_cookie(response, desk, COOKIE, token)
    if not device:
        _set_cookie(response, desk, DEVICE_COOKIE, desk.records.remember_device(person.id, now_s), DEVICE_S)
    desk.audit(person.id, "sign in", "", "")
    return session(desk, person)


def _set_cookie(response: Response, desk: Desk, name: str, value: str, lasts_s: int | None = None) -> None:
    """One that scripts cannot read and other sites cannot send; without `lasts_s` it goes when the browser closes."""
    response.set_cookie(name, value, lasts_s, httponly=True, samesite="strict", secure=desk.secure, path="/")


@router.delete("/session", operation_id="sign_out", status_code=204)
def sign_out(request: Request, response: Response, desk: TheDesk) -> None:
    """End the session."""
    person = person_of(request)
    desk.records.end(request.cookies.get(COOKIE, ""))
    response.delete_cookie(COOKIE, path="/", httponly=True, samesite="strict", secure=desk.secure)
    if person is not None and desk.accounts.any:
        desk.audit(person.id, "sign out", "", "")


@router.get("/site", operation_id="site")
def site(desk: TheDesk, _: SignedIn) -> dict[str, Any]:
    """The site's names: title, time zone, agencies, rules, zones, dispositions."""
    return desk.site


@router.get("/scene", operation_id="scene")
def scene(desk: TheDesk, _: Seeing) -> dict[str, Any]:
    """What stands on the map and does not move, as GeoJSON."""
    return desk.scene


@router.get("/tiles/{z}/{x}/{y}", operation_id="tile", responses={204: {"description": "There is nothing"}})
def tile(desk: TheDesk, _: Seeing, z: Annotated[int, Path(ge=0, le=22)], x: Number, y: Number) -> Response:
    """A vector tile of the operator's own base map."""
    data, compressed = desk.tiles.get(z, x, y) if desk.tiles is not None else (None, False)
    if data is None:
        return Response(status_code=204)
    headers = {"cache-control": "private, max-age=3600"} | ({"content-encoding": "gzip"} if compressed else {})
    return Response(data, media_type="application/vnd.mapbox-vector-tile", headers=headers)


# ── incidents ────────────────────────────────────────────────────────────────────────────────────


class Listed(BaseModel):
    number: int  # of the newest revision in it; the stream goes on after it
    incidents: list[dict[str, Any]]


class Whole(BaseModel):
    incident: dict[str, Any]
    revisions: list[dict[str, Any]]
    deliveries: list[dict[str, Any]]
    related: list[dict[str, Any]]
    pictures: list[dict[str, str]]  # sensor, time and label of what cameras that saw it have sent


class Deed(Given):
    """What an action needs: which fields depends on the action."""

    note: Text = ""
    to: Name = Field("", description="assign: who; hand-over, share: the agency; merge: the alert's key")
    agency: Name = Field("", description="For which agency, where you belong to none")
    disposition: Disposition | None = Field(None, description="resolve: what it was")
    subjects: list[Name] = Field([], max_length=100, description="split: what is an alert of its own")


Doing = Literal[
    "ack", "assign", "note", "resolve", "accept", "decline", "hand-over", "share", "merge", "split"
]  # fmt: skip


class Done(BaseModel):
    done: bool  # false: noted, and takes effect as soon as the service can
    answer: str


@router.get("/incidents", operation_id="incidents")
def incidents(
    desk: TheDesk,
    person: Seeing,
    open_only: Annotated[bool, Query(alias="open")] = False,
    hours: Annotated[float, Query(gt=0, le=2160)] = 48,
) -> Listed:
    """The newest revision of every alert, newest first: those that are not over, and the others told of in so many hours."""
    number = desk.outbox.newest_number()
    return Listed(number=number, incidents=desk.outbox.incidents(open_only, person.agency, _since(desk, hours)))


@router.get("/incidents/{key}", operation_id="incident", responses={404: {"description": "None that you may see"}})
def incident(request: Request, desk: TheDesk, person: Seeing, key: Key) -> Whole:
    """One alert: why it was raised, grouped, told again and sent where it was sent."""
    revisions = _revisions(desk, person, key)
    newest = revisions[-1]
    named = {newest["merged_into"], newest["split_from"], *newest["parts"]} - {None, ""}
    lately = desk.outbox.incidents(agency=person.agency, since_ns=_since(desk, RELATED_HOURS))
    others = [r for r in lately if r["alert"] != key]
    related = [r for r in others if r["alert"] in named or set(r["subjects"]) & set(newest["subjects"])]
    sent = [d for d in desk.outbox.deliveries_of(key) if person.agency in ("", d["agency"])]
    _looked(request.app.state.looked, desk, person, key)
    found = [(e["sensor"], _shown(desk, newest, e["sensor"])) for e in newest["evidence"]]
    unlabelled = "class" in newest.get("withheld", ())  # a camera's label is a class
    pictures = [
        {"sensor": sensor, "time": iso_from_ns(one[0]), "label": "" if unlabelled else one[1]}
        for sensor, one in found
        if one is not None
    ]
    return Whole(incident=newest, revisions=revisions, deliveries=sent, related=related, pictures=pictures)


@router.get(
    "/incidents/{key}/pictures/{sensor}",
    operation_id="picture",
    response_class=Response,
    responses={200: {"content": {"image/jpeg": {}}}, 404: {"description": "None that you may see"}},
)
def picture(
    request: Request, desk: TheDesk, person: Seeing, key: Key, sensor: Annotated[str, Path(max_length=100)]
) -> Response:
    """What a camera that saw it has sent last of that time, made too small to know anybody by."""
    newest = _revisions(desk, person, key)[-1]
    one = _shown(desk, newest, sensor) if sensor in {e["sensor"] for e in newest["evidence"]} else None
    if one is None:
        raise HTTPException(404, "There is no such picture, or your agency is not given it.")
    _looked(request.app.state.looked, desk, person, f"{key} {sensor}")
    return Response(one[2], media_type="image/jpeg")


def _shown(desk: Desk, record: dict[str, Any], sensor: str) -> tuple[int, str, bytes] | None:
    """A camera's last picture of an incident's time, of what it is about if there is one."""
    likely = next(iter(record["class"]), "")
    return desk.shown(sensor, _ns(record["observed"]) - PICTURE_NS, _ns(record["last_seen"]) + PICTURE_NS, likely)


@router.post(
    "/incidents/{key}/{action}",
    operation_id="act",
    responses={404: {"description": "None that you may see"}, 409: {"description": "It cannot be done, and why"}},
)
async def act(desk: TheDesk, person: Acting, key: Key, action: Doing, said: Deed) -> Done:
    """Do something with an alert, and wait a moment to see it done."""
    newest = (await run_in_threadpool(_revisions, desk, person, key))[-1]
    if action == "resolve" and said.disposition is None:
        raise HTTPException(400, "Say what it was: a disposition.")
    if action == "merge":
        await run_in_threadpool(_revisions, desk, person, said.to)
    more: dict[str, Any] = {"note": said.note, "to": said.to, "subjects": said.subjects}
    if action == "resolve":
        more["note"] = said.disposition
    more["agency"] = person.agency or said.agency or (newest["lead"] if action in SPOKEN_FOR else "")
    return await _done(desk, person, action, key, more)


SPOKEN_FOR = ("accept", "decline", "hand-over", "share")  # an agency does these, not a person


def _looked(looks: dict[tuple[str, str], float], desk: Desk, person: Person, key: str) -> None:
    """Into the audit log, once for as long as somebody keeps looking at the same."""
    now_s = desk.now_s()
    if now_s - looks.get((person.id, key), -LOOK_S) >= LOOK_S:
        desk.audit(person.id, "console incident", key, "")
        if len(looks) > LOOKS_MAX:
            looks.clear()
        looks[person.id, key] = now_s


def _since(desk: Desk, hours: float) -> int:
    return int((desk.now_s() - hours * 3600) * NS)


def _revisions(desk: Desk, person: Person, key: str) -> list[dict[str, Any]]:
    revisions = desk.outbox.history_of(key, person.agency)
    if not revisions:
        raise HTTPException(404, "There is no such alert, or your agency does not have it.")
    return revisions


async def _done(desk: Desk, person: Person, action: str, key: str, more: dict[str, Any]) -> Done:
    """Hand an action in and wait for the pipeline's answer. 409 says why it could not be done."""
    said = {name: value for name, value in more.items() if value}

    def hand_in() -> str:
        request = desk.outbox.add_action({"action": action, "alert": key, "by": person.id} | said)
        desk.audit(person.id, f"console {action}", key or str(said), str(more.get("note", "")))
        return request

    request = await run_in_threadpool(hand_in)
    deadline = desk.now_s() + ANSWER_S
    while desk.now_s() < deadline:
        answer = await run_in_threadpool(lambda: desk.outbox.answer_to(request))
        if answer:
            raise HTTPException(409, answer)
        if answer is not None:
            return Done(done=True, answer="")
        await asyncio.sleep(0.05)
    return Done(done=False, answer="The service is busy or not running; it takes effect as soon as it can.")


# ── silences ─────────────────────────────────────────────────────────────────────────────────────


class SilenceGiven(Given):
    matchers: dict[Literal["rule", "kind", "zone", "severity", "subject", "sensor", "agency", "class"], Name] = Field(
        min_length=1
    )
    reason: Annotated[str, Field(min_length=1, max_length=500)]
    hours: Annotated[float, Field(gt=0, le=744)]


@router.get("/silences", operation_id="silences")
def silences(desk: TheDesk, person: Seeing) -> list[dict[str, Any]]:
    """Those in force, that concern your agency."""
    found: list[dict[str, Any]] = desk.status().get("silences", [])
    return [s for s in found if not person.agency or _whose(s) in ("", person.agency)]


def _whose(silence: dict[str, Any]) -> str:
    """The agency that it concerns alone: that made it, or whose incidents it names; empty: none."""
    return str(silence.get("agency") or silence["matchers"].get("agency", ""))


@router.post("/silences", operation_id="silence", responses={409: {"description": "It cannot be done, and why"}})
async def silence(desk: TheDesk, person: Silencing, said: SilenceGiven) -> Done:
    """Tell nobody of what matches, for a while; an agency silences what comes to itself alone."""
    until = datetime.fromtimestamp(desk.now_s(), UTC) + timedelta(hours=said.hours)
    matchers = {str(k): v for k, v in said.matchers.items()} | ({"agency": person.agency} if person.agency else {})
    more = {"matchers": matchers, "note": said.reason, "until": until.isoformat(), "agency": person.agency}
    return await _done(desk, person, "silence", "", more)


@router.delete(
    "/silences/{key}",
    operation_id="unsilence",
    responses={404: {"description": "There is none"}, 409: {"description": "It cannot be done, and why"}},
)
async def unsilence(desk: TheDesk, person: Silencing, key: Annotated[str, Path(max_length=40)]) -> Done:
    """End a silence before its time."""
    ours = [s for s in await run_in_threadpool(silences, desk, person) if s["silence"] == key]
    if not ours or (person.agency and _whose(ours[0]) != person.agency):
        raise HTTPException(404, "There is no such silence, or it is not your agency's.")
    return await _done(desk, person, "unsilence", "", {"to": key, "agency": person.agency})


# ── sensors ──────────────────────────────────────────────────────────────────────────────────────


@router.get("/sensors", operation_id="sensors")
def sensors(desk: TheDesk, _: Tending) -> dict[str, Any]:
    """Every sensor's condition, its share of nuisance alarms, and what was rejected and why."""
    status = desk.status()
    return {
        "service": status["service"],
        "condition": status["condition"],
        "what": status["what"],
        "down": status["down"],
        "processes": status["processes"],
        "sensors": status["sensors"],
        "dispositions": status.get("dispositions", []),
        "rejections": status["rejections"],
        "deliveries": status["deliveries"],
        "dead": desk.outbox.dead_letters(),
    }


# ── what was ─────────────────────────────────────────────────────────────────────────────────────

From = Annotated[datetime, Query(alias="from", description="ISO 8601 with a zone")]
To = Annotated[datetime, Query(alias="to", description="ISO 8601 with a zone")]


@router.get(
    "/history/tracks", operation_id="history_tracks", responses={503: {"description": "It could leave no trace"}}
)
def history_tracks(
    desk: TheDesk,
    person: Reading,
    start: From,
    end: To,
    reason: Annotated[str, Query(max_length=500)] = "",
) -> dict[str, Any]:
    """Where everything was that moved: per track, (second, latitude, longitude), and its class. Goes into the audit log."""
    from_ns, to_ns = _span(start, end, timedelta(hours=1))
    if not desk.audit(person.id, "console history", f"{iso_from_ns(from_ns)}/{iso_from_ns(to_ns)}", reason):
        raise HTTPException(503, "The audit log cannot be written, and nobody looks at the past without a trace.")
    table = _asked(desk, Asked("tracks", from_ns, to_ns, limit=ROWS_MAX))
    rows = table.select(["time_ns", "track", "lat", "lon", "class"]).to_pylist()
    subjects = subjects_of(desk.outbox.incidents(agency=person.agency, since_ns=from_ns))
    seen = tracks_for(desk.areas, person.agency, [[r["track"], r["lat"], r["lon"], r] for r in rows], subjects)
    tracks: dict[str, dict[str, Any]] = {}
    for (name, lat, lon, row), classed in seen:
        track = tracks.setdefault(name, {"track": name, "class": row["class"] if classed else UNKNOWN, "at": []})
        track["at"].append([row["time_ns"] // NS, round(lat, 6), round(lon, 6)])
    return {"from": iso_from_ns(from_ns), "to": iso_from_ns(to_ns), "tracks": list(tracks.values())}


@router.get("/history/activity", operation_id="history_activity")
def history_activity(
    desk: TheDesk,
    person: Reading,
    start: From,
    end: To,
    bins: Annotated[int, Query(ge=1, le=500)] = 96,
) -> dict[str, Any]:
    """How many alerts were raised, by severity, in each of so many equal parts of a time."""
    from_ns, to_ns = _span(start, end, timedelta(days=31))
    told = desk.outbox.incidents(agency=person.agency, since_ns=from_ns)
    found = [r for r in told if from_ns <= _ns(r["raised"]) < to_ns]
    counts: dict[str, list[int]] = {}
    for record in found:
        row = counts.setdefault(record["severity"], [0] * bins)
        row[(_ns(record["raised"]) - from_ns) * bins // (to_ns - from_ns)] += 1
    return {"from": iso_from_ns(from_ns), "to": iso_from_ns(to_ns), "bins": bins, "alerts": counts}


def _asked(desk: Desk, query: Asked) -> pa.Table:
    store = desk.history()
    try:
        rows = store.query(query)
        for text in store.damaged:
            desk.outbox.report_fault(fault_of(FaultKind.STORE_DAMAGED, "history", text, time.time_ns()))
        return rows
    finally:
        store.close()


def _span(start: datetime, end: datetime, longest: timedelta) -> tuple[int, int]:
    if start.tzinfo is None or end.tzinfo is None:
        raise HTTPException(400, "Times need a zone: write for example 2026-11-20T04:00:00Z.")
    if not timedelta(0) < end - start <= longest:
        raise HTTPException(400, f"'to' must come after 'from', and within {longest}.")
    if not (start.year > 1970 and end.year < 2250):
        raise HTTPException(400, "No such year here.")
    return int(start.timestamp()) * NS, int(end.timestamp()) * NS


def _ns(iso: str) -> int:
    return int(datetime.fromisoformat(iso).timestamp() * 1e6) * 1000


# ── the shift ────────────────────────────────────────────────────────────────────────────────────


class Note(Given):
    text: Annotated[str, Field(min_length=1, max_length=2000)]


@router.get("/shift/notes", operation_id="shift_notes")
def shift_notes(
    desk: TheDesk, person: Seeing, hours: Annotated[float, Query(gt=0, le=744)] = 24
) -> list[dict[str, Any]]:
    """Notes for who comes next, oldest first."""
    now_s = int(desk.now_s())
    return desk.records.notes(person.agency, now_s - int(hours * 3600), now_s + 1)


@router.post("/shift/notes", operation_id="write_shift_note", status_code=201)
def write_shift_note(desk: TheDesk, person: Acting, said: Note) -> dict[str, int]:
    """Leave a note for who comes next."""
    return {"id": desk.records.write_note(int(desk.now_s()), person.id, person.agency, said.text)}


@router.get("/shift/report", operation_id="report")
def report(
    desk: TheDesk,
    person: Seeing,
    start: From,
    end: To,
) -> dict[str, Any]:
    """What a shift came to: alerts by severity and kind, how soon they were acknowledged, what they were, what is open."""
    from_ns, to_ns = _span(start, end, timedelta(days=7))
    found = desk.outbox.incidents(agency=person.agency, since_ns=from_ns)
    notes = desk.records.notes(person.agency, from_ns // NS, to_ns // NS)
    return shift_report(found, notes, iso_from_ns(from_ns), iso_from_ns(to_ns))


# ── live ─────────────────────────────────────────────────────────────────────────────────────────


@router.get(
    "/stream",
    operation_id="stream",
    response_class=StreamingResponse,
    responses={
        200: {"content": {"text/event-stream": {}}, "description": "Server-Sent Events: incident, picture, status"},
        429: {"description": "The account has too many of them"},
    },
)
async def live(
    request: Request,
    person: SignedIn,
    after: Annotated[int, Query(ge=0, le=2**62)] = 0,
    last_event_id: Annotated[str, Header()] = "",
) -> StreamingResponse:
    """All that happens from now on. `Last-Event-ID`, or `after`, says which revision of an incident was the last that you had."""
    if request.app.state.hub.listening[person.id] >= STREAMS_MAX:
        raise HTTPException(429, f"This account has {STREAMS_MAX} pages open; close some.")
    number = int(last_event_id) if last_event_id.isdecimal() and len(last_event_id) < 19 else after
    return StreamingResponse(
        stream(request.app.state.hub, person, number, lambda: person_of(request) == person),
        media_type="text/event-stream",
        headers={"x-accel-buffering": "no"},
    )
