"""Outages: the database away, the media worker killed, the API killed. Acknowledged is kept."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import httpx
import pytest
from api_faults import AUTHORITIES, Gate, program, until_healthy
from api_server import Page, Server, free_port, serve
from api_world import API, World, code, reading
from sqlalchemy import text

from api.app import create_app
from people.audit import WRITE_PATH
from storage.settings import Settings


@pytest.fixture
async def gate(stores: Settings, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Gate]:
    """An open gate in front of PostgreSQL."""
    folder = tmp_path_factory.mktemp("pg")
    gate = Gate(folder, stores.postgres_socket_dir)
    await gate.open()
    yield gate
    await gate.shut()


@pytest.fixture
async def gated(settings: Settings, world: World, gate: Gate) -> AsyncIterator[Server]:
    """The server behind the gate; the tests' own sessions go around it."""
    real = quote(str(settings.postgres_socket_dir), safe="/")
    url = settings.database_url.replace(real, quote(str(gate.folder), safe="/"))
    settings = replace(settings.with_database(url), http_port=free_port())
    app = create_app(settings)
    async with serve(app, settings):
        yield Server(app, settings.http_port, world)


def _cuff(server: Server) -> httpx.AsyncClient:
    client = server.client()
    client.headers["Authorization"] = f"Bearer {server.world.device_tokens['patient:cuff']}"
    client.timeout = httpx.Timeout(30)
    return client


async def test_while_the_database_is_away_requests_get_503_soon_and_then_it_goes_on(
    gated: Server, gate: Gate
) -> None:
    async with gated.page("doctor") as page, _cuff(gated) as cuff:
        body = {"readings": [reading(1)]}
        assert (await cuff.post(f"{API}/readings", json=body)).status_code == 201
        await page.of("reading")
        await gate.shut()
        started = time.monotonic()
        lost = await cuff.post(f"{API}/readings", json={"readings": [reading(2)]})
        assert code(lost) == (503, "stores_away")
        assert int(lost.headers["Retry-After"]) > 0
        assert time.monotonic() - started < 8
        assert (await cuff.get("/healthz")).status_code == 200
        assert (await cuff.get("/readyz")).json()["database"] is False
        await page.of("stores_away")
        await gate.open()
        await page.of("stores_back")
        again = await cuff.post(f"{API}/readings", json={"readings": [reading(2)]})
        assert again.status_code == 201
        assert (await page.of("reading"))["reading"]["sequence"] == 2


async def test_a_reading_stored_while_a_page_could_not_look_is_not_lost_to_it(
    gated: Server, gate: Gate
) -> None:
    async with gated.page("doctor") as page, _cuff(gated) as cuff:
        await cuff.post(f"{API}/readings", json={"readings": [reading(1)]})
        await gate.shut()
        await gate.open()
        assert (await page.of("reading"))["reading"]["sequence"] == 1


async def test_a_holder_who_is_back_when_the_database_is_keeps_the_floor(
    gated: Server, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.lesson_desk.FLOOR_WAITS_S", 0.2)
    monkeypatch.setattr("api.lesson_desk.RETRY_S", 4.0)
    pupil = gated.world["pupil"]
    await gated.ask("teacher", "POST", "/open")
    async with gated.lesson_page("teacher"):
        async with gated.lesson_page("pupil"):
            floor = {"person_id": str(pupil), "kinds": ["audio"]}
            assert (await gated.ask("teacher", "PUT", "/floor", json=floor)).is_success
            desk = gated.house.lessons.of(gated.world["lesson"])
            assert desk is not None
            async with asyncio.timeout(30):
                await _until(lambda: desk.room is not None and desk.room.floor is not None)
            await gate.shut()
        async with asyncio.timeout(30):
            await _until(lambda: desk._gone == pupil)
        await gate.open()
        async with gated.lesson_page("pupil"):
            await asyncio.sleep(5)  # longer than until the next try to drop the floor
            room = (await gated.ask("teacher", "GET", "/room")).json()
    assert room["floor"]["person"]["id"] == str(pupil)


async def test_a_recorder_is_told_and_goes_on_where_it_was_stored(
    gated: Server, gate: Gate
) -> None:
    async with gated.recorder() as first:
        await first.announce()
        await first.send(0, 1)
        await first.stored(1)
        await gate.shut()
        await first.send(2)
        assert (await first.of("problem"))["code"] == "stores_away"
        assert await first.closed() == 1013
    await gate.open()
    async with gated.recorder() as again:
        again.stream, again.started_us = first.stream, first.started_us
        assert await again.announce() == 1
        await again.send(2)
        await again.stored(2)


async def _until(true: Callable[[], bool]) -> None:
    """Look again and again; the caller says for how long."""
    while not true():  # noqa: ASYNC110 - it is seen from outside, there is no event of it
        await asyncio.sleep(0.02)


async def _open_visit(server: Server) -> None:
    async with server.client("doctor") as client:
        await client.post(f"{API}/visits/{server.world['visit']}/open")


async def _offered(page: Page) -> dict[str, Any]:
    offer = await page.of("offer", direction="publish")
    assert "m=audio" in offer["sdp"]
    assert "m=video" in offer["sdp"]
    return offer


async def test_a_killed_media_worker_is_told_and_new_offers_come_when_it_is_back(
    settings: Settings, server: Server, tmp_path: Path
) -> None:
    await _open_visit(server)
    settings = replace(settings, rtc_port=free_port())
    async with server.page("doctor") as page:
        await page.of("media_away")
        await page.say("media_ready", audio=True, video=True)
        async with program(settings, "rtc", tmp_path / "log") as worker, asyncio.timeout(60):
            await _until(lambda: server.house.media.up)
            await page.of("media_back")
            before = await _offered(page)
            worker.kill()
            await page.of("media_away")
        async with program(settings, "rtc", tmp_path / "log"), asyncio.timeout(60):
            await _until(lambda: server.house.media.up)
            await page.of("media_back")
            after = await _offered(page)
    assert before["transport"] != after["transport"]


async def test_a_page_that_may_not_publish_yet_is_asked_for_nothing_before_the_visit_opens(
    settings: Settings, server: Server, tmp_path: Path
) -> None:
    settings = replace(settings, rtc_port=free_port())
    async with program(settings, "rtc", tmp_path / "log"), asyncio.timeout(60):
        await _until(lambda: server.house.media.up)
        async with server.page("patient") as page:
            await page.say("media_ready", audio=True, video=True)
            await page.say("ping", n=1)
            await page.of("pong")
            assert [m for m in page.kept if m["type"] == "offer"] == []
            await _open_visit(server)
            await page.of("visit", state="open")
            await _offered(page)


async def _send_all(port: int, token: str, first: int, acknowledged: set[int]) -> None:
    """Send thirty readings, each again and again until it is acknowledged."""
    headers, url = {"Authorization": f"Bearer {token}"}, f"http://127.0.0.1:{port}"
    for sequence in range(first, first + 30):
        body = {"readings": [reading(sequence)]}
        while sequence not in acknowledged:
            with suppress(httpx.TransportError):
                async with httpx.AsyncClient(base_url=url, verify=AUTHORITIES) as client:
                    answer = await client.post(f"{API}/readings", json=body, headers=headers)
                    if answer.is_success:
                        acknowledged.add(sequence)
                        continue
            await asyncio.sleep(0.05)


async def test_killing_the_api_loses_nothing_acknowledged_and_doubles_nothing(
    settings: Settings, world: World, tmp_path: Path
) -> None:
    settings = replace(settings, http_port=free_port())
    token, acknowledged = world.device_tokens["patient:cuff"], set[int]()
    async with asyncio.timeout(180), asyncio.TaskGroup() as senders:
        for first in (0, 100, 200):
            senders.create_task(_send_all(settings.http_port, token, first, acknowledged))
        for goal in (10, 40):
            async with program(settings, "api", tmp_path / "log") as api:
                await _until(lambda goal=goal: len(acknowledged) >= goal)
                assert api.returncode is None, (tmp_path / "log").read_text()
        async with program(settings, "api", tmp_path / "log"):
            await _until(lambda: len(acknowledged) == 90)
    async with world.sessions() as db:
        query = text("SELECT sequence FROM readings")
        stored = (await db.scalars(query, execution_options=WRITE_PATH)).all()
    assert sorted(stored) == sorted(acknowledged)


async def test_a_page_comes_back_to_a_restarted_api(
    settings: Settings, world: World, tmp_path: Path
) -> None:
    """By the token of before: it needs no ticket, nor anything that the old process knew."""
    settings, tab = replace(settings, http_port=free_port()), str(uuid4())
    server = Server(None, settings.http_port, world)  # type: ignore[arg-type]
    async with program(settings, "api", tmp_path / "log") as api:
        await until_healthy(settings.http_port)
        ticket = await server.ticket("doctor")
        async with server.browser_socket("doctor") as page:
            await page.say("hello", ticket=ticket, tab=tab)
            way_back = (await page.of("welcome"))["resume_token"]
            api.kill()
            assert await page.closed() == 1006
    async with program(settings, "api", tmp_path / "log"):
        await until_healthy(settings.http_port)
        async with server.browser_socket("doctor") as page:
            await page.say("hello", resume_token=way_back, tab=tab)
            await page.of("welcome")
            await page.say("ping", n=2)
            await page.of("pong")
