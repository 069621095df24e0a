"""Several media workers: what a page hears when one of them is lost, and what they count together."""

from asyncio import create_task, gather
from dataclasses import replace
from functools import partial
from uuid import uuid4

import pytest
from api_server import WITHIN_S, Server
from api_worker import Worker, listening

from rtc.messages import Stats, StatsAsk, ToWorker
from storage.settings import Settings


def _counted(by: Worker) -> Stats:
    return Stats(1, 2, 3, 4, 0, 0, 0, 0, 0, 0.5, worker_id=by.id)


def _asked(times: int, told: list[ToWorker]) -> bool:
    return sum(isinstance(one, StatsAsk) for one in told) == times


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """With two media workers."""
    return replace(settings, rtc_workers=2)


async def test_a_lost_worker_takes_only_its_own_rooms_along(
    settings: Settings, server: Server
) -> None:
    """A visit and a lesson lie on one worker each; the visit goes on when the lesson's is lost."""
    async with (
        listening(settings, 0) as first,
        listening(settings, 1) as second,
        server.page("doctor") as visit,
        server.lesson_page("teacher") as lesson,
    ):
        await first.until_state(bool, WITHIN_S)
        await second.until_state(bool, WITHIN_S)
        assert first.state.room == str(server.world["visit"])
        assert second.state.room == str(server.world["lesson"])
        second.id = uuid4().hex  # it was killed: another one listens in its place
        second.hang_up()
        await lesson.of("media_away")
        await lesson.of("media_back")
        await visit.say("ping", n=1)
        await visit.of("pong")
        assert [each for each in visit.kept if each["type"].startswith("media_")] == []


async def test_what_workers_count_is_told_as_one(settings: Settings, server: Server) -> None:
    """And nothing while one of them has not answered; it is asked again the next time."""
    async with listening(settings, 0) as first, listening(settings, 1) as second:
        await gather(*(each.until(bool, WITHIN_S) for each in (first, second)))
        asking = create_task(server.house.media.stats())
        await gather(*(each.until(partial(_asked, 1), WITHIN_S) for each in (first, second)))
        first.say(_counted(first))
        first.say(_counted(first))
        assert await asking is None
        asking = create_task(server.house.media.stats())
        await gather(*(each.until(partial(_asked, 2), WITHIN_S) for each in (first, second)))
        first.say(_counted(first))
        second.say(_counted(second))
        counted = await asking
    assert counted is not None
    assert (counted.rooms, counted.packets_out, counted.cpu_s) == (2, 8, 1.0)
