"""What bounds an open visit page: the visit's window, the right to be here, room for what waits."""

import asyncio
from datetime import UTC, datetime, timedelta

from api_server import WITHIN_S, Page, Server
from sqlalchemy import text

from api import live
from api.live import Hint
from devices.frames import decode

DAY = timedelta(days=1)


async def _visit_is_in(server: Server, ahead: timedelta) -> None:
    change = "UPDATE visits SET starts_at = :at, ends_at = :at + interval '1 hour' WHERE id = :id"
    values = {"at": datetime.now(UTC) + ahead, "id": server.world["visit"]}
    async with server.world.sessions() as db, db.begin():
        await db.execute(text(change), values)


async def _nothing_live(page: Page) -> None:
    await page.say("ping", n=1)
    await page.of("pong")
    assert page.frames == []
    assert [m for m in page.kept if m["type"] in {"ecg_stream", "vitals"}] == []


async def test_the_trace_comes_live_only_from_a_day_before_the_visit_on(server: Server) -> None:
    await _visit_is_in(server, DAY * 2)
    async with server.page("doctor") as page, server.recorder() as recorder:
        await recorder.announce()
        await recorder.send(0)
        await recorder.stored(0)
        await _nothing_live(page)
        await _visit_is_in(server, DAY - timedelta(hours=1))
        opened = await page.of("ecg_stream")
        assert opened["stream"]["stream"] == str(recorder.stream)
        await recorder.send(1)
        assert decode(await page.frame()).sequence == 1
        await page.of("vitals")
        await _visit_is_in(server, DAY * 2)
        await _goes_dark(server, page)


async def _goes_dark(server: Server, page: Page) -> None:
    """The page hears its patient no more; it is looked at again at once, not in a while."""
    server.house.live.hint(live.visit(server.world["visit"]), Hint.VISIT)
    async with asyncio.timeout(WITHIN_S):
        while server.house.live.on(live.patient(server.world["patient"])):
            await page.say("ping", n=2)
            await page.of("pong")


async def test_a_catching_up_recorder_shows_nothing_from_before_the_window(
    server: Server,
) -> None:
    # Frame 0 is a minute old, the window began half a minute ago.
    await _visit_is_in(server, DAY - timedelta(seconds=30))
    async with server.page("doctor") as page, server.recorder() as recorder:
        await recorder.announce()
        await recorder.send(0)
        await recorder.stored(0)
        await _nothing_live(page)
        await recorder.send(*range(280, 290))
        assert decode(await page.frame()).sequence == 280
        window = datetime.fromtimestamp(recorder.started_us / 1e6 + 30, UTC)
        assert datetime.fromisoformat((await page.of("vitals"))["at"]) >= window
