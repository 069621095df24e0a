"""Media of a page that has lost its socket: they go on while its person is heard and may be here."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from api_server import WITHIN_S, Server
from api_worker import Worker
from api_world import API
from sqlalchemy import text

from rtc.messages import Leave, LinkRow, Quality

GRACE_S = 0.4


@pytest.fixture(autouse=True)
def soon(worker: Worker, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """What takes seconds takes tenths of them."""
    assert worker.id
    monkeypatch.setattr(server.house.media, "_grace_s", GRACE_S)
    monkeypatch.setattr("api.media._HELD_AGAIN_S", 0.05)
    monkeypatch.setattr("api.stays.LOOK_AGAIN_S", 0.1)


def _is_out(worker: Worker, server: Server) -> bool:
    """Whether the worker was asked to end the doctor's media."""
    doctor = str(server.world["doctor"])
    return any(isinstance(one, Leave) and one.member == doctor for one in worker.told)


async def _gone(worker: Worker, server: Server) -> None:
    await worker.until(lambda _: _is_out(worker, server), WITHIN_S)


@asynccontextmanager
async def _lost(worker: Worker, server: Server, *, silent: bool = False) -> AsyncIterator[None]:
    """The doctor's page has lost its socket; so the worker hears of him."""
    doctor, visit = str(server.world["doctor"]), str(server.world["visit"])
    async with server.page("doctor") as page:
        row = LinkRow(doctor, "publish", 5_000, silent=silent)
        worker.say(Quality(visit, [row]))
        await page.of("media_words")
        worker.told.clear()
    yield


async def test_media_go_on_past_the_grace_while_their_person_is_heard(
    worker: Worker, server: Server
) -> None:
    """Until his page is back: then nothing of it was touched."""
    async with _lost(worker, server):
        await asyncio.sleep(2 * GRACE_S)
        assert not _is_out(worker, server)
        async with server.page("doctor"):
            await asyncio.sleep(1.5 * GRACE_S)
            assert not _is_out(worker, server)


async def test_media_of_somebody_who_is_not_heard_end_with_the_grace(
    worker: Worker, server: Server
) -> None:
    async with _lost(worker, server, silent=True):
        await _gone(worker, server)


@pytest.mark.parametrize("bound", ["HELD_S", "HEARD_WITHIN_S", "LOOKED_WITHIN_S"])
async def test_no_media_without_a_page_for_ever(
    worker: Worker, server: Server, monkeypatch: pytest.MonkeyPatch, bound: str
) -> None:
    """Not longer than the bound, nor unheard, nor while nobody can look at rights."""
    async with _lost(worker, server):
        monkeypatch.setattr(f"api.media_room.{bound}", 0.0)
        await _gone(worker, server)


@pytest.mark.parametrize("taken", ["session", "session unheard", "right"])
async def test_who_may_not_be_here_any_more_is_out_though_his_page_is_gone(
    worker: Worker, server: Server, monkeypatch: pytest.MonkeyPatch, taken: str
) -> None:
    """Signed out at once; what this process has not heard of, with the next look."""
    async with _lost(worker, server):
        await asyncio.sleep(2 * GRACE_S)
        assert not _is_out(worker, server)
        if taken == "session":
            monkeypatch.setattr("api.stays.LOOK_AGAIN_S", WITHIN_S)
            await asyncio.sleep(0.2)
            async with server.client("doctor") as client:
                await client.post(f"{API}/sign-out")
            async with asyncio.timeout(0.5):
                await _gone(worker, server)
            return
        statement = {
            "session unheard": "UPDATE sessions SET ended_at = now() WHERE person_id = :id",
            "right": "UPDATE relations SET until = now() WHERE actor_id = :id AND kind = 'duty'",
        }[taken]
        async with server.world.sessions() as db, db.begin():
            await db.execute(text(statement), {"id": server.world["doctor"]})
        await _gone(worker, server)
