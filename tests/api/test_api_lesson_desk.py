"""What a lesson's desk holds to: the worker is told in time, whoever is here and whatever goes on."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from api_server import WITHIN_S, Server, free_port, serve
from api_worker import Worker
from api_world import World, code
from sqlalchemy import text, update

from api.app import create_app
from eschool.lessons import Lessons
from eschool.takes import LessonTakes
from people.facts import ChatSaid
from rtc.engine import EVERYTHING
from rtc.link import MediaLink
from rtc.messages import Leave, RoomState, ToWorker, Trespass
from storage.settings import Settings


async def _give_floor(server: Server, name: str) -> None:
    floor = {"person_id": str(server.world[name]), "kinds": ["audio"]}
    assert (await server.ask("teacher", "PUT", "/floor", json=floor)).status_code == 200


def _publishes(state: RoomState, person_id: UUID) -> list[str]:
    mine = (one.publish for one in state.members if one.member == str(person_id))
    return list(next(mine, []))


def _left(server: Server, name: str) -> Leave:
    return Leave(str(server.world["lesson"]), str(server.world[name]))


@asynccontextmanager
async def _flood(server: Server) -> AsyncIterator[None]:
    """Messages faster than they can be told, for as long as the block runs."""
    desk = server.house.lessons.of(server.world["lesson"])
    assert desk is not None

    async def say() -> None:
        while True:
            desk.said(
                ChatSaid(
                    at=datetime.now(UTC),
                    lesson_id=server.world["lesson"],
                    message_id=uuid4(),
                    person_id=server.world["pupil2"],
                )
            )
            await asyncio.sleep(0.001)  # the rhythm of the flood

    task = asyncio.create_task(say())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def test_a_floor_is_withdrawn_in_the_midst_of_a_flood_of_messages(
    worker: Worker, server: Server
) -> None:
    pupil = server.world["pupil"]
    await server.ask("teacher", "POST", "/open")
    async with server.lesson_page("teacher"), server.lesson_page("pupil"):
        await _give_floor(server, "pupil")
        await worker.until_state(lambda state: bool(_publishes(state, pupil)), WITHIN_S)
        async with _flood(server):
            await server.ask("teacher", "DELETE", "/floor")
            await worker.until_state(lambda state: not _publishes(state, pupil), 8)


async def test_who_writes_too_fast_is_told_when_to_go_on(server: Server) -> None:
    await server.ask("teacher", "POST", "/open")
    for _ in range(10):
        words = {"text": "флуд", "client_id": str(uuid4())}
        assert (await server.ask("pupil", "POST", "/messages", json=words)).is_success
    words = {"text": "флуд", "client_id": str(uuid4())}
    refused = await server.ask("pupil", "POST", "/messages", json=words)
    assert code(refused) == (429, "too_many_messages")
    assert 1 <= int(refused.headers["Retry-After"]) <= 10


async def test_a_message_reaches_a_class_whose_first_page_may_see_nothing_any_more(
    server: Server,
) -> None:
    await server.ask("teacher", "POST", "/open")
    async with server.lesson_page("pupil"), server.lesson_page("pupil2") as other:
        async with server.world.sessions() as db, db.begin():
            await db.execute(
                text("UPDATE relations SET until = now() WHERE actor_id = :id"),
                {"id": server.world["pupil"]},
            )
        words = {"text": "слушаем", "client_id": str(uuid4())}
        await server.ask("teacher", "POST", "/messages", json=words)
        assert (await other.of("chat"))["message"]["text"] == "слушаем"


async def test_the_end_is_told_to_a_worker_whose_room_this_process_never_saw(
    worker: Worker, server: Server
) -> None:
    """As after a restart of the API whose pages did not come back."""
    await server.ask("teacher", "POST", "/open")
    await server.ask("teacher", "POST", "/end")
    await worker.until_state(lambda state: not state.members, 5)


async def test_a_recording_begins_and_ends_with_no_page_open(
    worker: Worker, server: Server
) -> None:
    server.house.media._grace_s = 0.2
    await server.ask("teacher", "POST", "/open")
    await server.ask("teacher", "PUT", "/recording", json={"on": True})
    state = await worker.until_state(lambda state: state.recording is not None, 5)
    assert (len(state.members), state.presenter) == (3, str(server.world["teacher"]))
    await server.ask("teacher", "PUT", "/recording", json={"on": False})
    await worker.until_state(lambda state: not state.members, 5)


async def _recorded(world: World, ago: timedelta, *, paused: bool = False) -> None:
    """The lesson was opened so long ago and is being recorded since; nobody stopped it."""
    began = datetime.now(UTC) - ago
    times = {
        "starts_at": began,
        "ends_at": began + timedelta(minutes=45),
        "opened_at": began,
    }
    async with world.sessions() as db, db.begin():
        await db.execute(update(Lessons).where(Lessons.id == world["lesson"]).values(**times))
        take = LessonTakes(lesson_id=world["lesson"], audience="class", started_at=began, base_ms=0)
        take.stopped_at, take.paused = (began, True) if paused else (None, False)
        db.add(take)


@pytest.mark.parametrize("paused", [False, True])
async def test_where_nothing_is_recorded_nothing_is_said_to_be(
    server: Server, monkeypatch: pytest.MonkeyPatch, paused: bool
) -> None:
    """The engine was changed while a take ran, or waited for somebody to agree."""
    monkeypatch.setattr(MediaLink, "features", EVERYTHING - {"recording"})
    await _recorded(server.world, timedelta(minutes=5), paused=paused)
    async with server.lesson_page("teacher") as page:
        shown = page.kept[0]["room"]["recording"]
        assert (shown["on"], shown["paused"]) == (False, False)


async def test_a_start_takes_up_what_was_being_recorded(
    worker: Worker, settings: Settings, world: World
) -> None:
    await _recorded(world, timedelta(minutes=5))
    settings = replace(settings, http_port=free_port())
    async with serve(create_app(settings), settings):
        await worker.until_state(lambda state: state.recording is not None, 5)


async def test_a_start_ends_a_recorded_lesson_whose_time_ran_out_meanwhile(
    worker: Worker, settings: Settings, world: World
) -> None:
    await _recorded(world, timedelta(days=2))
    settings = replace(settings, http_port=free_port())
    async with serve(create_app(settings), settings):
        await worker.until_state(lambda state: not state.members, 5)


async def test_who_does_not_come_back_to_a_new_process_hears_nothing_after_the_grace(
    worker: Worker, server: Server
) -> None:
    """He may have signed out while the API was restarted; his media would have gone on."""
    server.house.media._grace_s = 0.5
    async with server.lesson_page("teacher"):
        await worker.until(lambda told: _left(server, "pupil") in told, 5)
        assert _left(server, "teacher") not in worker.told


async def test_mutes_that_change_nothing_are_told_to_nobody(worker: Worker, server: Server) -> None:
    def states(told: list[ToWorker]) -> int:
        return sum(isinstance(one, RoomState) for one in told)

    pupil = server.world["pupil"]
    await server.ask("teacher", "POST", "/open")
    async with server.lesson_page("pupil") as page:
        await worker.until_state(lambda state: len(state.members) == 3, WITHIN_S)
        await page.say("ping", n=1)
        await page.of("pong")
        before, page.kept = states(worker.told), []
        for n in range(50):
            await page.say("mute", kind="video", muted=n % 2 == 0)
            await page.say("mute", kind="audio", muted=False)
        await page.say("ping", n=2)
        await page.of("pong")
        assert [one for one in page.kept if one["type"] == "presence"] == []
        await _give_floor(server, "pupil")
        await worker.until_state(lambda state: _publishes(state, pupil) == ["audio"], WITHIN_S)
        assert states(worker.told) == before + 1


async def test_the_media_of_a_holder_go_with_his_floor(
    worker: Worker, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.lesson_desk.FLOOR_WAITS_S", 0.3)
    await server.ask("teacher", "POST", "/open")
    async with server.lesson_page("teacher"), server.lesson_page("pupil2"):
        async with server.lesson_page("pupil"):
            await _give_floor(server, "pupil")
        await worker.until(lambda told: _left(server, "pupil") in told, 8)


async def test_packets_of_who_is_away_or_has_just_lost_the_floor_are_no_trespass(
    worker: Worker, server: Server
) -> None:
    lesson, pupil = str(server.world["lesson"]), server.world["pupil"]
    await server.ask("teacher", "POST", "/open")
    async with server.lesson_page("teacher"), server.lesson_page("pupil"):
        await _give_floor(server, "pupil")
        await worker.until_state(lambda state: bool(_publishes(state, pupil)), WITHIN_S)
        worker.say(Trespass(lesson, str(pupil), "audio"))  # he has it: a mute is no offence
        await server.ask("teacher", "DELETE", "/floor")
        await worker.until_state(lambda state: not _publishes(state, pupil), WITHIN_S)
        worker.say(Trespass(lesson, str(pupil), "audio"))
        worker.say(Trespass(lesson, str(server.world["pupil2"]), "audio"))
        worker.say(Trespass(lesson, str(pupil), "screen"))
        acts: list[str] = []
        async with asyncio.timeout(WITHIN_S):
            while "publish_screen" not in acts:
                await asyncio.sleep(0.05)
                async with server.world.sessions() as db:
                    acts = list(await db.scalars(text("SELECT act FROM audit_refusals")))
    assert acts == ["publish_screen"]
