"""The application: `create_app` for uvicorn, routes and policy checked before it is made."""

import re
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from litestar import Litestar, Request, Router
from litestar.connection import ASGIConnection
from litestar.enums import ScopeType
from litestar.exceptions import HTTPException
from litestar.handlers import BaseRouteHandler
from litestar.types import ControllerRouterHandler

from api import (
    assistance,
    audit,
    board,
    break_glass,
    call_timelines,
    cards,
    charts,
    chat,
    children,
    consents,
    day,
    device_socket,
    devices,
    documents,
    ecg,
    ecg_files,
    ecg_strips,
    enter,
    erasure,
    exports,
    factors,
    family,
    fhir,
    files,
    guardianships,
    hands,
    health,
    imports,
    lesson_groups,
    lesson_room,
    lesson_socket,
    lessons,
    letters,
    logs,
    me,
    metrics,
    notes,
    notice_ways,
    notices,
    oidc,
    people_admin,
    push,
    reading_files,
    readings,
    recordings,
    records,
    schema,
    sessions,
    shares,
    sign_in,
    slides,
    uploads,
    verify,
    visit_socket,
    visits,
)
from api.acts import acts_of, check_messages, check_routes, takes_anyone
from api.db import DEPENDENCIES, cookie_name
from api.house import House
from api.problems import answer, read_json
from api.security import (
    BODY_DEADLINE_S,
    MAX_BODY_BYTES,
    UNSAFE,
    BodyDeadline,
    RequestLog,
    SecurityHeaders,
    origin_allowed,
)
from api.socket_messages import ACTS, LESSON_ACTS, LessonPageMessage, VisitPageMessage
from people.refused import NotSignedIn, Refused
from storage.settings import Settings

PREFIX = "/api/v1"
_SLOW = re.compile(
    rf"{PREFIX}/(lessons/[^/]+/slides|visits/[^/]+/(files|ecg-files)/[^/]+"
    r"|visits/[^/]+/ecg-files|organisations/[^/]+/imports"
    r"|my/readings/file(/confirm)?)"
)


class OriginRefused(Refused):
    """A page of another site sent this with our cookie."""

    status = 403
    code = "origin_refused"


class NoJson(HTTPException):
    """The body is not declared as JSON; forms of other sites cannot declare it so."""

    status_code = 415


class StrictRequest(Request[Any, Any, Any]):
    """Reads a JSON body straight into the handler's Struct: no guessing of types on the way."""

    async def json(self) -> Any:
        """The body as the Struct of the handler's `data`. Raises BadBody, UnknownField, NoJson."""
        if self.content_type[0] != "application/json":
            raise NoJson
        field = self.route_handler.parsed_data_field
        return read_json(await self.body(), field.annotation if field else Any)


async def let_in(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
    """Guard of every route. Raises OriginRefused, NotSignedIn.

    One, and a coroutine: Litestar copies the handler for each, and runs plain ones in a thread.
    """
    same_origin(connection)
    shows_something(connection, handler)


def same_origin(connection: ASGIConnection[Any, Any, Any, Any]) -> None:
    """Let in what comes from our own pages, or no page, where it changes something."""
    house: House = connection.app.state.house
    unsafe = dict(connection.scope).get("method") in UNSAFE
    if unsafe and not origin_allowed(connection.scope, house.settings.origins):
        raise OriginRefused


def shows_something(
    connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler
) -> None:
    """Read no body from somebody who shows neither cookie nor token.

    Whose they are, and what he may do, is judged in the request's transaction.
    """
    acts = acts_of(handler.opt)
    if connection.scope["type"] == ScopeType.WEBSOCKET or takes_anyone(acts):
        return
    house: House = connection.app.state.house
    if "device" in handler.parsed_fn_signature.parameters:
        shown = connection.headers.get("Authorization")
    else:
        shown = connection.cookies.get(cookie_name(house.settings))
    if not shown:
        raise NotSignedIn


def data_routes() -> list[ControllerRouterHandler]:
    """The routes under PREFIX."""
    house = (
        sign_in,
        oidc,
        factors,
        sessions,
        me,
        day,
        devices,
        consents,
        shares,
        cards,
        enter,
        family,
        children,
        assistance,
        audit,
        notices,
        notice_ways,
        push,
        verify,
        exports,
    )
    clinic = (
        visits,
        readings,
        reading_files,
        charts,
        ecg,
        ecg_files,
        ecg_strips,
        notes,
        files,
        records,
        fhir,
        break_glass,
        documents,
    )
    administration = (people_admin, guardianships, imports, board, letters, erasure)
    school = (call_timelines, lessons, lesson_room, lesson_groups, hands, chat, slides, recordings)
    return [
        route for module in (*house, *clinic, *administration, *school) for route in module.ROUTES
    ]


def body_deadline_s(scope: Any) -> float:
    """How long a body may take: slides and files are large, everything else is not."""
    slow = scope["method"] in {"PUT", "POST"} and _SLOW.fullmatch(scope["path"])
    return uploads.DEADLINE_S if slow else BODY_DEADLINE_S


def create_app(settings: Settings | None = None) -> Litestar:
    """The application over these settings, or those of the environment. Raises NamelessRoute."""
    logs.configure()
    house = House(settings or Settings.from_env())

    @asynccontextmanager
    async def life(app: Litestar) -> AsyncGenerator[None, None]:
        here: House = app.state.house
        uploads.clear(here.settings)
        async with here.open():
            yield

    app = Litestar(
        [
            Router(PREFIX, route_handlers=data_routes()),
            *visit_socket.ROUTES,
            *lesson_socket.ROUTES,
            *device_socket.ROUTES,
            *schema.ROUTES,
            *metrics.ROUTES,
            *health.ROUTES,
        ],
        dependencies=DEPENDENCIES,
        exception_handlers={Exception: answer},
        guards=[let_in],
        lifespan=[life],
        logging_config=None,
        openapi_config=None,
        request_class=StrictRequest,
        request_max_body_size=MAX_BODY_BYTES,
    )
    app.state.house = house
    check_routes(app)
    check_messages(ACTS, VisitPageMessage)
    check_messages(LESSON_ACTS, LessonPageMessage)
    # Around the router too, so that a path without a route has the headers and the log line.
    headed = SecurityHeaders(app.asgi_handler, tls=house.settings.secure_cookies)
    inside = BodyDeadline(headed, seconds=body_deadline_s)
    app.asgi_handler = RequestLog(inside)
    return app
