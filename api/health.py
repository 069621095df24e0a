"""Liveness, readiness, the API description, and the UI's files: for anyone."""

import asyncio
from typing import Any

import msgspec
from litestar import HttpMethod, Request, Response, get, route
from litestar.di import NamedDependency
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath
from sqlalchemy import text

from api.house import House
from api.pages import accepts_gzip
from people.policy import Act

_READY_WITHIN_S = 3.0


class Health(msgspec.Struct, frozen=True):
    """The process answers."""

    status: str


class Readiness(msgspec.Struct, frozen=True):
    """What the process can reach; it is ready when the stores are there, media or not."""

    ready: bool
    database: bool
    objects: bool
    media: bool


async def _database(house: House) -> bool:
    try:
        async with asyncio.timeout(_READY_WITHIN_S), house.transaction() as db:
            await db.execute(text("select 1"))
    except Exception:  # noqa: BLE001 - whatever the reason, it is not ready
        return False
    return True


async def _objects(house: House) -> bool:
    try:
        async with asyncio.timeout(_READY_WITHIN_S):
            await house.objects.exists("ready")
    except Exception:  # noqa: BLE001 - whatever the reason, it is not ready
        return False
    return True


@get("/healthz", operation_id="health", act=Act.LOOK_AT_SERVICE)
async def health() -> Health:
    """The process answers."""
    return Health("ok")


@get(
    "/readyz",
    operation_id="ready",
    act=Act.LOOK_AT_SERVICE,
    responses={503: ResponseSpec(Readiness, generate_examples=False, description="Not ready.")},
)
async def ready(house: NamedDependency[House]) -> Response[Readiness]:
    """Whether database and objects are there: 200 or 503."""
    database, objects = await asyncio.gather(_database(house), _objects(house))
    found = Readiness(database and objects, database, objects, house.media.up)
    return Response(found, status_code=200 if found.ready else 503)


@route(
    ["/", "/{path:path}"],
    http_method=[HttpMethod.GET, HttpMethod.HEAD],
    include_in_schema=False,
    act=Act.LOOK_AT_SERVICE,
    sync_to_thread=False,
)
def page(
    request: Request[Any, Any, Any], house: NamedDependency[House], path: FromPath[str] = ""
) -> Response[bytes | str]:
    """A file of the UI."""
    return house.pages.answer(path.lstrip("/"), packed=accepts_gzip(request))


ROUTES = [health, ready, page]
