"""Files while a store hangs or our disk is full: told soon, nothing half-stored, then it goes on."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote, urlsplit
from uuid import UUID, uuid4

import httpx
import pytest
from api_faults import ROOT, Gate, until_healthy
from api_server import Server, free_port
from api_world import API, World, code
from litestar import Litestar
from sqlalchemy import select

from api import uploads
from api.house import House
from people.audit import WRITE_PATH
from people.files import OBJECTS, Files
from storage.s3 import S3Objects
from storage.settings import S3Place, Settings

sys.path.insert(0, str(Path(__file__).parents[1] / "storage"))

from file_zoo import pdf

# A file system of its own for one program, as root or not.
MOUNTS = ("unshare", "--mount", *(() if os.geteuid() == 0 else ("--map-root-user",)))
BODY = {"Content-Type": "application/octet-stream"}


class Hanging:
    """A way to the object store that can stop to answer without closing anything."""

    def __init__(self, endpoint: str) -> None:
        parts = urlsplit(endpoint)
        self.there = (parts.hostname, parts.port)
        self.flows = asyncio.Event()
        self.flows.set()
        self.talks: set[asyncio.Task[None]] = set()

    async def through(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass bytes both ways while it flows."""
        task = asyncio.current_task()
        assert task is not None
        self.talks.add(task)
        upstream, downstream = await asyncio.open_connection(*self.there)

        async def pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
            with suppress(OSError):
                while data := await source.read(1 << 16):
                    await self.flows.wait()
                    sink.write(data)
                    await sink.drain()
            sink.transport.abort()

        try:
            await asyncio.gather(pump(reader, downstream), pump(upstream, writer))
        finally:
            for end in (writer, downstream):
                end.transport.abort()
                with suppress(OSError):
                    await end.wait_closed()


@pytest.fixture
async def way(
    routes: tuple[Litestar, Litestar], settings: Settings, world: World
) -> AsyncIterator[Hanging]:
    """The application with such a way to its object store; a second is long."""
    app, _ = routes
    way = Hanging(settings.s3_endpoint)
    server = await asyncio.start_server(way.through, "127.0.0.1", 0)
    endpoint = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    place = S3Place(endpoint, settings.s3_access_key, settings.s3_secret_key)
    house = app.state.house = House(settings)
    house.objects = S3Objects(replace(settings, outside_objects=place), call_within_s=1.0)
    assert world.ids
    async with house.open(), server:
        yield way
        way.flows.set()
        house.objects.close()
        for talk in way.talks:
            talk.cancel()
        await asyncio.gather(*way.talks, return_exceptions=True)


@pytest.fixture
async def gate(  # noqa: PLR0917 - fixtures
    routes: tuple[Litestar, Litestar],
    settings: Settings,
    stores: Settings,
    world: World,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[Gate]:
    """The application behind a gate to its database; two seconds are long."""
    monkeypatch.setattr("api.house.DATABASE_SILENT_S", 2.0)
    assert world.ids
    gate = Gate(tmp_path_factory.mktemp("pg"), stores.postgres_socket_dir)
    await gate.open()
    real = quote(str(stores.postgres_socket_dir), safe="/")
    url = settings.database_url.replace(real, quote(str(gate.folder), safe="/"))
    house = routes[0].state.house = House(settings.with_database(url))
    async with house.open():
        yield gate
        gate.flows.set()
    house.objects.close()
    await gate.shut()


async def rows(world: World) -> int:
    """How many files there are."""
    async with world.sessions() as db:
        return len((await db.scalars(select(Files.id), execution_options=WRITE_PATH)).all())


async def put(
    client: httpx.AsyncClient, world: World, data: bytes | AsyncIterator[bytes], one: UUID
) -> httpx.Response:
    """Hand a file in; a stream is as long as the one that is handed in otherwise."""
    url = f"{API}/visits/{world['visit']}/files/{one}"
    headers = BODY if isinstance(data, bytes) else BODY | {"Content-Length": str(len(pdf()))}
    return await client.put(url, params={"name": "a.pdf"}, content=data, headers=headers)


async def test_a_store_that_hangs_is_told_soon_and_the_same_file_goes_in_when_it_is_back(
    routes: tuple[Litestar, Litestar], way: Hanging, world: World
) -> None:
    """Other requests do not wait for it, and nothing of the file stays."""
    transport = httpx.ASGITransport(routes[0], raise_app_exceptions=False)
    cookies, one = {"yanasha": world.cookies["patient"]}, uuid4()
    base = "http://127.0.0.1:8000"
    async with httpx.AsyncClient(transport=transport, base_url=base, cookies=cookies) as client:
        made = await put(client, world, pdf(), uuid4())
        assert made.status_code == 200, made.text
        way.flows.clear()
        sending = asyncio.create_task(put(client, world, pdf(), one))
        url = f"{API}/visits/{world['visit']}/files"
        listed = await client.get(url)
        assert (listed.status_code, len(listed.json())) == (200, 1)
        assert not sending.done()
        asked = await client.get(f"{url}/{made.json()['id']}")
        assert code(asked) == (503, "stores_away")
        lost = await sending
        assert code(lost) == (503, "stores_away")
        assert int(lost.headers["Retry-After"]) > 0
        assert await rows(world) == 1
        way.flows.set()
        assert (await put(client, world, pdf(), one)).status_code == 200
        assert await rows(world) == 2


async def test_a_database_that_hangs_in_the_middle_of_an_upload_leaves_nothing_of_it(
    routes: tuple[Litestar, Litestar], gate: Gate, world: World, settings: Settings
) -> None:
    """Neither a row nor an object nor a file of ours; told soon, and it goes in when it is back."""
    house: House = routes[0].state.house
    transport = httpx.ASGITransport(routes[0], raise_app_exceptions=False)
    cookies, one = {"yanasha": world.cookies["patient"]}, uuid4()
    base = "http://127.0.0.1:8000"

    async def body() -> AsyncIterator[bytes]:
        yield pdf()[:100]
        gate.flows.clear()
        yield pdf()[100:]

    async with httpx.AsyncClient(transport=transport, base_url=base, cookies=cookies) as client:
        made = await put(client, world, pdf(), uuid4())
        assert made.status_code == 200, made.text
        before = set(await house.objects.keys(OBJECTS))
        async with asyncio.timeout(20):
            lost = await put(client, world, body(), one)
        assert code(lost) == (503, "stores_away")
        assert int(lost.headers["Retry-After"]) > 0
        assert set(await house.objects.keys(OBJECTS)) == before
        assert list(uploads.folder_of(settings).iterdir()) == []
        assert await rows(world) == 1
        gate.flows.set()
        assert (await put(client, world, pdf(), one)).status_code == 200
        assert await rows(world) == 2
        assert len(set(await house.objects.keys(OBJECTS)) - before) == 2


async def test_a_full_disk_is_507_and_has_room_again_without_a_restart(
    settings: Settings, world: World, tmp_path: Path
) -> None:
    """One megabyte of a real file system: what does not fit leaves nothing behind."""
    home, port = tmp_path / "home", free_port()
    uploads = home / "uploads"
    uploads.mkdir(parents=True)
    mount = f"mount -t tmpfs -o size=1m none {uploads} && exec {sys.executable} -m api"
    env = settings.to_env() | {
        "PATH": os.environ["PATH"],
        "YANASHA_HOME": str(home),
        "YANASHA_HTTP_PORT": str(port),
        "DATABASE_URL": settings.database_url,
        "S3_ENDPOINT": settings.s3_endpoint,
        "S3_ACCESS_KEY": settings.s3_access_key,
        "S3_SECRET_KEY": settings.s3_secret_key,
    }
    client = Server(None, port, world).client("patient")  # type: ignore[arg-type]
    with (tmp_path / "log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *(*MOUNTS, "sh", "-c", mount), cwd=ROOT, env=env, stdout=log, stderr=log
        )
    try:
        await until_healthy(port)
        async with client:
            for _ in range(2):
                full = await put(client, world, b"%PDF-1.7" + bytes(3 << 20), uuid4())
                assert code(full) == (507, "disk_full")
                made = await put(client, world, pdf(), uuid4())
                assert made.status_code == 200, (tmp_path / "log").read_text()
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
    assert await rows(world) == 2
