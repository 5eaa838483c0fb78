"""Who is asking, and may he: sessions, tokens, roles, and what every answer carries."""

from collections.abc import Callable, Sequence
from typing import Annotated, Any

from fastapi import Depends, HTTPException, Request
from starlette.datastructures import MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from console.desk import Desk
from console.people import LOCAL, May, Person

COOKIE = "marchwarden"
SAFE = ("GET", "HEAD", "OPTIONS")
BODY_BYTES_MAX = 100_000
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

        refusal = self._refusal(Request(scope))
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
        if not length.isdigit() or int(length) > BODY_BYTES_MAX:
            return _no(413, "That is more than is taken.")
        if request.method in SAFE or "authorization" in request.headers:
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
    return JSONResponse({"detail": why}, status)


def desk_of(request: Request) -> Desk:
    desk: Desk = request.app.state.desk
    return desk


def person_of(request: Request) -> Person | None:
    """Who is asking; None: nobody known."""
    desk = desk_of(request)
    if not desk.accounts.any:
        return LOCAL
    kind, _, token = request.headers.get("authorization", "").partition(" ")
    if kind:
        return desk.accounts.with_token(token) if kind.lower() == "bearer" else None
    account = desk.records.account_of(request.cookies.get(COOKIE, ""), int(desk.now_s()))
    return desk.accounts.of_id(account) if account else None


def needs(what: May) -> Callable[[Request], Person]:
    """A dependency: somebody who may do this."""

    async def who(request: Request) -> Person:
        person = person_of(request)
        if person is None:
            raise HTTPException(401, "Sign in first.")
        if not person.may(what):
            raise HTTPException(403, f"Your role, {person.role}, may not do this.")
        return person

    return who  # type: ignore[return-value]


async def _signed_in(request: Request) -> Person:
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
    401: {"description": "Nobody is signed in"},
    403: {"description": "Not allowed to this role, or from another site"},
    413: {"description": "More than is taken"},
    415: {"description": "Not JSON"},
}
