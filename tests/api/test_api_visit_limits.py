"""What bounds an open visit page: the visit's window, the right to be here, room for what waits."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta

from api_server import WITHIN_S, Page, Server
from api_worker import Worker
from api_world import API, reading
from sqlalchemy import text

from api import live
from api.live import Hint
from devices.frames import decode
from rtc.messages import Member, RoomState, ToWorker

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


@asynccontextmanager
async def _trickle(server: Server) -> AsyncIterator[None]:
    """Readings of the patient, one after the other, for as long as the block runs."""
    token = server.world.device_tokens["patient:cuff"]
    headers = {"Authorization": f"Bearer {token}"}

    async def send() -> None:
        async with server.client() as cuff:
            for sequence in range(1, 1000):
                body = {"readings": [reading(sequence)]}
                answer = await cuff.post(f"{API}/readings", json=body, headers=headers)
                assert answer.is_success
                await asyncio.sleep(0.2)  # the rhythm of the trickle

    task = asyncio.create_task(send())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def test_a_trickle_of_readings_does_not_hide_that_the_session_is_over(
    server: Server,
) -> None:
    async with server.page("doctor") as page, _trickle(server):
        await page.of("reading")
        async with server.world.sessions() as db, db.begin():
            await db.execute(
                text("UPDATE sessions SET ended_at = now() WHERE id = :id"),
                {"id": server.world["doctor:session"]},
            )
        async with asyncio.timeout(8):
            assert await page.closed() == 4401


def _doctors(server: Server, told: list[ToWorker]) -> Member | None:
    """The doctor as the newest state of the room has him."""
    states = [one for one in told if isinstance(one, RoomState)]
    members = states[-1].members if states else []
    mine = (one for one in members if one.member == str(server.world["doctor"]))
    return next(mine, None)


def _may_publish(server: Server, told: list[ToWorker]) -> bool:
    doctor = _doctors(server, told)
    return doctor is not None and bool(doctor.publish) and doctor.subscribe


def _may_nothing(server: Server, told: list[ToWorker]) -> bool:
    doctor = _doctors(server, told)
    return doctor is None or (not doctor.publish and not doctor.subscribe)


async def _opened(server: Server, worker: Worker) -> None:
    async with server.client("doctor") as client:
        await client.post(f"{API}/visits/{server.world['visit']}/open")
    await worker.until(lambda told: _may_publish(server, told), WITHIN_S)


async def test_signing_out_ends_what_the_page_sends_and_sees_at_once(
    worker: Worker, server: Server
) -> None:
    async with server.page("doctor") as page:
        await _opened(server, worker)
        async with server.client("doctor") as client:
            await client.post(f"{API}/sign-out")
        assert await page.closed() == 4401
        await worker.until(lambda told: _may_nothing(server, told), 2)


async def test_a_right_found_gone_while_reading_ends_media_at_once(
    worker: Worker, server: Server
) -> None:
    async with server.page("doctor") as page:
        await _opened(server, worker)
        async with server.world.sessions() as db, db.begin():
            await db.execute(
                text("UPDATE relations SET until = now() WHERE actor_id = :id"),
                {"id": server.world["doctor"]},
            )
        server.house.live.hint(live.patient(server.world["patient"]), Hint.READINGS)
        assert await page.closed() in {4403, 4404}
        await worker.until(lambda told: _may_nothing(server, told), 2)


async def test_a_page_that_left_by_itself_keeps_its_media_for_the_grace(
    worker: Worker, server: Server
) -> None:
    async with server.page("patient") as patient:
        async with server.page("doctor"):
            await _opened(server, worker)
        await patient.of("presence")
        assert _may_publish(server, worker.told)


async def test_five_hundred_readings_at_once_reach_every_page(server: Server) -> None:
    token = server.world.device_tokens["patient:cuff"]
    headers = {"Authorization": f"Bearer {token}"}
    body = {"readings": [reading(n) for n in range(1, 501)]}
    async with server.page("doctor") as doctor, server.page("patient") as patient:
        async with server.client() as cuff:
            answer = await cuff.post(f"{API}/readings", json=body, headers=headers)
            assert answer.is_success
        for page in (doctor, patient):
            got = [(await page.of("reading"))["reading"]["sequence"] for _ in range(500)]
            assert sorted(got) == list(range(1, 501))
            await page.say("ping", n=1)
            await page.of("pong")
            assert [m for m in page.kept if m["type"] == "reading"] == []


async def test_the_end_of_a_visit_is_told_to_a_worker_whose_room_this_process_never_saw(
    worker: Worker, server: Server
) -> None:
    """As after a restart of the API whose pages did not come back."""
    async with server.client("doctor") as client:
        for act in ("open", "close"):
            answer = await client.post(f"{API}/visits/{server.world['visit']}/{act}")
            assert answer.is_success
    await worker.until_state(lambda state: not state.members, 5)
