"""The application on real stores: in this loop for requests, under uvicorn for sockets."""

import asyncio
import gc
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import replace
from uuid import uuid4

import httpx
import psycopg
import pytest
from api_server import Server, free_port, serve
from api_worker import Worker, listening
from api_world import Client, World, make_world
from argon2 import PasswordHasher
from litestar import Litestar
from sqlalchemy.ext.asyncio import AsyncEngine
from sweep_region import Region, make_region
from sweep_run import made_anew

from api.app import create_app
from api.house import House
from people import passwords
from storage.engine import make_engine, sessions
from storage.s3 import S3Objects
from storage.settings import Settings

BASE = "http://127.0.0.1:8000"


def _admin(stores: Settings, statement: str) -> None:
    with psycopg.connect(stores.embedded_database_url("postgres"), autocommit=True) as connection:
        connection.execute(statement.encode())


@contextmanager
def _copy(stores: Settings, template: str) -> Iterator[str]:
    name = f"api_{uuid4().hex}"
    _admin(stores, f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy")
    yield name
    _admin(stores, f"DROP DATABASE {name} WITH (FORCE)")


def _signed_in_now(stores: Settings, database: str) -> None:
    """Everybody of the world came in a moment ago, however long the other tests took."""
    url = stores.embedded_database_url(database)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "UPDATE sessions SET last_seen_at = now(), proved_at = now(), idle_until = now() + idle"
        )


@pytest.fixture(scope="session")
def first_world(stores: Settings, template_database: str) -> World:
    """The world in the database `template_api`; made once, every test has a copy."""
    _admin(stores, f"CREATE DATABASE template_api TEMPLATE {template_database}")

    async def fill() -> World:
        engine = make_engine(stores.embedded_database_url("template_api"))
        world = await make_world(sessions(engine))
        await engine.dispose()
        return world

    return asyncio.run(fill())


@pytest.fixture
def database_url(stores: Settings, first_world: World) -> Iterator[str]:
    """A database of this test's own with the world in it."""
    assert first_world.ids
    with _copy(stores, "template_api") as name:
        _signed_in_now(stores, name)
        yield stores.embedded_database_url(name)


@pytest.fixture(scope="session")
def first_region(stores: Settings, first_world: World) -> Region:
    """What the sweeps ask for, in the database `template_region`; made once, as the world is."""
    assert first_world.ids
    _admin(stores, "CREATE DATABASE template_region TEMPLATE template_api STRATEGY file_copy")

    async def fill() -> Region:
        engine = make_engine(stores.embedded_database_url("template_region"))
        region = await make_region(engine, S3Objects(stores))
        await engine.dispose()
        return region

    return asyncio.run(fill())


@pytest.fixture
def region_url(stores: Settings, first_region: Region) -> Iterator[str]:
    """A database of this test's own with the region in it."""
    assert first_region.places
    with _copy(stores, "template_region") as name:
        yield stores.embedded_database_url(name)


@pytest.fixture
def region(first_region: Region, monkeypatch: pytest.MonkeyPatch) -> Region:
    """The demo with everything the sweep asks for, this test's own; the law is read each time."""
    made_anew(monkeypatch)
    return deepcopy(first_region)


@pytest.fixture
def cheap_hashing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Passwords are looked at with hardly any work: what is tested does not depend on it."""
    cheap = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    monkeypatch.setattr(passwords, "_HASHER", cheap)
    monkeypatch.setattr(passwords, "_DECOY", cheap.hash("nobody's"))


@pytest.fixture
def world(first_world: World, engine: AsyncEngine) -> World:
    """Two clinics and a school."""
    return replace(first_world, sessions=sessions(engine))


@pytest.fixture(scope="session")
def routes(stores: Settings) -> tuple[Litestar, Litestar]:
    """The application made twice: with so many routes one takes longer than most tests."""
    both = create_app(stores), create_app(stores)
    gc.collect()
    gc.freeze()  # as the API does
    return both


@pytest.fixture
async def app(routes: tuple[Litestar, Litestar], settings: Settings) -> AsyncIterator[Litestar]:
    """The running application, with a house of this test's own."""
    app, _ = routes
    app.state.house = House(settings)
    # Litestar's own lifespan must be left by the task that entered it; a fixture is left by another.
    async with app.state.house.open():
        yield app


@pytest.fixture
async def as_(app: Litestar, world: World) -> AsyncIterator[Client]:
    """A client signed in as somebody of the world, or as nobody."""
    opened: list[httpx.AsyncClient] = []

    def client(name: str | None = None) -> httpx.AsyncClient:
        cookies = {"yanasha": world.cookies[name]} if name else {}
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        opened.append(httpx.AsyncClient(transport=transport, base_url=BASE, cookies=cookies))
        return opened[-1]

    yield client
    for one in opened:
        await one.aclose()


@pytest.fixture
async def worker(settings: Settings) -> AsyncIterator[Worker]:
    """A stand-in for the media worker; ask for it before the server."""
    async with listening(settings) as worker:
        yield worker


@pytest.fixture
async def server(
    routes: tuple[Litestar, Litestar], settings: Settings, world: World
) -> AsyncIterator[Server]:
    """The application under uvicorn on loopback."""
    settings = replace(settings, http_port=free_port())
    _, app = routes
    app.state.house = House(settings)
    async with serve(app, settings):
        yield Server(app, settings.http_port, world)
