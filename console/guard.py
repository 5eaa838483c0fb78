"""Who is asking, and may he: sessions, tokens, roles, and what every answer carries."""

import asyncio
import json
import re
from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import Depends, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from starlette.datastructures import MutableHeaders
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from console.desk import Desk
from console.people import LOCAL, May, Person

COOKIE, DEVICE_COOKIE = "marchwarden", "marchwarden-device"
SAFE = ("GET", "HEAD", "OPTIONS")
BODY_BYTES_MAX = 100_000
LENGTH = re.compile("[0-9]{1,18}")  # `isdigit` takes "²" too, and `int` raises for it, and for thousands of digits
BODY_S = 10.0  # how long a body may take to arrive
# Inline style attributes are what MapLibre sets by script, which style-src does not concern; nothing inline is allowed.
POLICY = (
    "default-src 'none'; script-src 'self'; worker-src 'self'; style-src 'self'; img-src 'self' data: blob:; font-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "geolocation=(), camera=(), microphone=()",
}


class Guard:
    """Around everything: who calls by another name, from another site, or with too much, is turned away; all answers are closed
    to other sites and kept by nobody."""

    def __init__(self, app: ASGIApp, hosts: Sequence[str], secure: bool) -> None:
        self._app, self._hosts, self._secure = app, tuple(h.lower() for h in hosts), secure

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def closed(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(raw=message["headers"])
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
                headers.setdefault("cache-control", "no-store")
                if self._secure:
                    headers.setdefault("strict-transport-security", "max-age=31536000")
                message["headers"] = headers.raw
            await send(message)

        request = Request(scope)
        refusal = self._refusal(request)
        if refusal is None and request.method not in SAFE:
            body = await _body_of(receive)
            if isinstance(body, JSONResponse):
                refusal = body
            else:
                receive = _replayed(body, receive)
        if refusal is not None:
            await refusal(scope, receive, closed)
        else:
            await self._app(scope, receive, closed)

    def _refusal(self, request: Request) -> JSONResponse | None:
        host = request.headers.get("host", "")
        if (
            host.rpartition(":")[0].strip("[]").lower() not in self._hosts
            and host.strip("[]").lower() not in self._hosts
        ):
            return _no(400, "This service is not called by that name.")
        length = request.headers.get("content-length", "0")
        if not LENGTH.fullmatch(length) or int(length) > BODY_BYTES_MAX:
            return _no(413, "That is more than is taken.")
        if request.method in SAFE or bearer_of(request):
            return None
        origin = request.headers.get("origin")
        if origin is not None and origin.partition("://")[2] != host:
            return _no(403, "This came from another site.")
        if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
            return _no(403, "This came from another site.")
        if (
            request.method != "DELETE"
            and request.headers.get("content-type", "").partition(";")[0] != "application/json"
        ):
            return _no(415, "Send application/json.")
        return None


def _no(status: int, why: str) -> JSONResponse:
    """A refusal. The connection ends with it, so that nothing more of the request is read."""
    return JSONResponse({"detail": why}, status, {"connection": "close"})


async def _body_of(receive: Receive) -> bytes | JSONResponse:
    """The whole body, counted as it comes, or the refusal of one that is too large or too slow."""
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_S):
            while True:
                message = await receive()
                body += message.get("body", b"")
                if len(body) > BODY_BYTES_MAX:
                    return _no(413, "That is more than is taken.")
                if not message.get("more_body", False):
                    return bytes(body)
    except TimeoutError:
        return _no(408, f"The request did not arrive within {BODY_S:g} s.")


def _replayed(body: bytes, receive: Receive) -> Receive:
    """A `receive` that gives the body first, and then what comes after it."""
    waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def next_message() -> Message:
        return waiting.pop() if waiting else await receive()

    return next_message


async def invalid_request(_: Request, error: Exception) -> Response:
    """422: where a request is wrong, and why. What was sent is not repeated: it may be no valid JSON (NaN, half a character)."""
    assert isinstance(error, RequestValidationError)
    detail = [{name: each[name] for name in ("loc", "msg", "type")} for each in error.errors()]
    return Response(
        json.dumps({"detail": detail}), HTTPStatus.UNPROCESSABLE_ENTITY.value, media_type="application/json"
    )


def bearer_of(request: Request) -> str:
    """The token that a program sends; empty: none."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def desk_of(request: Request) -> Desk:
    desk: Desk = request.app.state.desk
    return desk


def person_of(request: Request) -> Person | None:
    """Who is asking; None: nobody known."""
    desk = desk_of(request)
    if not desk.accounts.any:
        return LOCAL
    if "authorization" in request.headers:
        return desk.accounts.with_token(bearer_of(request))
    return person_of_session(desk, request.cookies.get(COOKIE, ""))


def person_of_session(desk: Desk, token: str) -> Person | None:
    """Whose session it is, while it lasts and while the account signs in with what it was begun with."""
    found = desk.records.session(token, int(desk.now_s())) if token else None
    if found is None:
        return None
    account, credential = found
    return desk.accounts.of_id(account) if desk.accounts.credential_of(account) == credential else None


def needs(what: May) -> Callable[[Request], Person]:
    """A dependency: somebody who may do this."""

    def who(request: Request) -> Person:
        person = _signed_in(request)
        if not person.may(what):
            raise HTTPException(403, f"Your role, {person.role}, may not do this.")
        return person

    return who


def _signed_in(request: Request) -> Person:
    person = person_of(request)
    if person is None:
        raise HTTPException(401, "Sign in first.")
    return person


TheDesk = Annotated[Desk, Depends(desk_of)]
SignedIn = Annotated[Person, Depends(_signed_in)]
Seeing = Annotated[Person, Depends(needs(May.SEE))]
Acting = Annotated[Person, Depends(needs(May.ACT))]
Silencing = Annotated[Person, Depends(needs(May.SILENCE))]
Reading = Annotated[Person, Depends(needs(May.HISTORY))]
Tending = Annotated[Person, Depends(needs(May.SENSORS))]
Measuring = Annotated[Person, Depends(needs(May.METRICS))]
Refused: dict[int | str, dict[str, Any]] = {
    400: {"description": "Called by another name, or not what this expects"},
    408: {"description": "The request did not arrive in time"},
    401: {"description": "Nobody is signed in"},
    403: {"description": "Not allowed to this role, or from another site"},
    413: {"description": "More than is taken"},
    415: {"description": "Not JSON"},
}
