"""The console put together: the page, the API, metrics and signs of life, behind the guard."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from fastapi import FastAPI, HTTPException, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, PlainTextResponse
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from console import api
from console.desk import Desk
from console.guard import Guard, Measuring, Refused, TheDesk, invalid_request
from console.live import Hub
from console.metrics import TEXT, exposition
from console.throttle import SignInThrottle
from model.liveness import ServiceCondition, down
from model.time import NS

STATIC = Path(__file__).parent / "static"


def make_app(desk: Desk) -> ASGIApp:
    """The application for one desk, the guard around all of it: answers to our own faults are closed to other sites too."""

    @asynccontextmanager
    async def lives(app: FastAPI) -> AsyncIterator[None]:
        app.state.hub = await asyncio.to_thread(Hub, desk)
        looking = asyncio.create_task(desk.supervise("live view", app.state.hub.run))
        yield
        looking.cancel()
        with suppress(asyncio.CancelledError):
            await looking

    app = FastAPI(
        title="Marchwarden", version="1", docs_url=None, redoc_url=None, lifespan=lives, openapi_url="/api/openapi.json"
    )
    app.state.desk = desk
    app.state.throttle, app.state.looked = SignInThrottle(), {}
    app.add_exception_handler(RequestValidationError, invalid_request)
    app.include_router(api.router)
    _signs_of_life(app)
    app.mount("/static", StaticFiles(directory=STATIC), name="static")

    @app.get("/", include_in_schema=False)
    async def page() -> FileResponse:
        return FileResponse(STATIC / "index.html", headers={"cache-control": "no-cache"})

    return Guard(app, hosts=desk.hosts, secure=desk.secure)


def _signs_of_life(app: FastAPI) -> None:
    @app.get("/metrics", operation_id="metrics", response_class=PlainTextResponse, responses=Refused)
    def metrics(desk: TheDesk, _: Measuring) -> Response:
        """For Prometheus."""
        return Response(exposition(desk.status()), media_type=TEXT)

    @app.get("/live", operation_id="alive", responses={400: Refused[400], 503: {"description": "What is down"}})
    def alive(desk: TheDesk) -> dict[str, str]:
        """Every process, thread and task of the service runs."""
        names = [name for name, _ in down(desk.processes(), int(desk.now_s() * NS))]
        if names:
            raise HTTPException(503, f"Down: {', '.join(names)}.")
        return {"status": "alive"}

    @app.get("/ready", operation_id="ready", responses={400: Refused[400], 503: {"description": "Not ready, and why"}})
    def ready(desk: TheDesk) -> dict[str, str]:
        """The service runs, hears its broker, and keeps up."""
        status = desk.status()
        if status["condition"] != ServiceCondition.RUNNING:
            raise HTTPException(503, status["what"])
        return {"status": "ready"}
