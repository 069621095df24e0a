"""The link to a media worker: what pages hear when it breaks, and what a worker keeps for nobody."""

from uuid import uuid4

import pytest
from api_server import WITHIN_S, Page, Server
from api_worker import Worker, listening

from api.media_room import Card, Seat
from rtc.messages import (
    Hello,
    Join,
    Offer,
    Presence,
    RoomState,
    Step,
    Stepped,
    ToWorker,
    TransportFailed,
)
from storage.settings import Settings

ASKED_AGAIN_S = 5.0  # sooner than a stand-in counts as hung


async def _offered(worker: Worker, server: Server, page: Page) -> str:
    """A visit's doctor has been offered a transport of this worker; whose it is."""
    doctor, visit = str(server.world["doctor"]), str(server.world["visit"])
    await page.say("media_ready", audio=True, video=True)
    await worker.until(lambda told: any(isinstance(one, Join) for one in told), WITHIN_S)
    worker.say(Offer(visit, doctor, "t1", "publish", "v=0", []))
    await page.of("offer", transport="t1")
    worker.told.clear()
    return doctor


def _joins(told: list[ToWorker]) -> list[Join]:
    return [one for one in told if isinstance(one, Join)]


def _ended(told: list[ToWorker]) -> set[str]:
    return {one.room for one in told if isinstance(one, RoomState) and not one.members}


async def _link_breaks(worker: Worker) -> Join:
    """And is there again; what the worker is asked for the doctor then."""
    worker.hang_up()
    await worker.until(lambda told: bool(_joins(told)), WITHIN_S)
    return _joins(worker.told)[-1]


async def test_a_link_that_only_broke_leaves_every_page_its_media(
    settings: Settings, server: Server
) -> None:
    """No page hears of it, and the worker is asked to keep what there is."""
    async with listening(settings) as worker, server.page("doctor") as page:
        doctor = await _offered(worker, server, page)
        join = await _link_breaks(worker)
        assert (join.member, join.resume) == (doctor, ["t1"])
        await page.say("ping", n=1)
        await page.of("pong")
        assert [one for one in page.kept if one["type"].startswith("media_")] == []


async def test_another_worker_in_its_place_makes_all_media_anew(
    settings: Settings, server: Server
) -> None:
    """Pages are told to close what they have, then that offers follow."""
    async with listening(settings) as worker, server.page("doctor") as page:
        await _offered(worker, server, page)
        worker.id = uuid4().hex
        assert (await _link_breaks(worker)).resume == []
        await page.of("media_back")
        assert [one["type"] for one in page.kept if "media_" in one["type"]] == ["media_away"]


async def test_pages_that_were_told_of_a_lost_worker_get_new_media_also_of_the_same_one(
    settings: Settings, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They have closed what they had when they heard of it."""
    monkeypatch.setattr("api.media._AWAY_AFTER_S", 0.0)
    async with listening(settings) as worker, server.page("doctor") as page:
        await _offered(worker, server, page)
        assert (await _link_breaks(worker)).resume == []
        await page.of("media_away")
        await page.of("media_back")


async def test_what_an_engine_could_not_make_is_asked_for_again(
    settings: Settings, server: Server
) -> None:
    """It was never offered, so no page knows that it is missing."""
    async with listening(settings) as worker, server.page("doctor") as page:
        doctor = await _offered(worker, server, page)
        visit = str(server.world["visit"])
        worker.say(TransportFailed(visit, doctor, "gone long ago", "expired"))
        worker.say(TransportFailed(visit, doctor, "never offered", "engine"))
        await worker.until(lambda told: bool(_joins(told)), ASKED_AGAIN_S)
        assert [one.resume for one in _joins(worker.told)] == [["t1"]]


def test_who_fails_for_hours_is_still_asked_for() -> None:
    seat = Seat(Card(uuid4(), "n", "doctor"))
    waits = [seat.fails() for _ in range(2000)]
    assert waits[:2] == [0.2, 0.4]
    assert waits[-1] == 5.0


async def test_a_room_of_before_our_start_to_which_nobody_comes_back_is_ended(
    settings: Settings, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One somebody has entered meanwhile is not."""
    monkeypatch.setattr("api.media._UNCLAIMED_S", 1.0)
    left, visit = str(uuid4()), str(server.world["visit"])
    async with listening(settings) as worker:
        await worker.until(lambda told: any(isinstance(one, Hello) for one in told), WITHIN_S)
        for room in (left, visit):
            worker.say(Presence(room, 1, []))
        async with server.page("doctor"):
            await worker.until(lambda told: bool(_ended(told)), WITHIN_S)
            assert _ended(worker.told) == {left}


async def test_who_gets_another_way_stands_on_the_highest_step_again(
    settings: Settings, server: Server
) -> None:
    """The worker that said otherwise may be gone; a new offer of the same way changes nothing."""
    async with listening(settings) as worker, server.page("doctor") as page:
        doctor, visit = await _offered(worker, server, page), str(server.world["visit"])
        steps: list[Step] = ["voice", "text"]
        for step in steps:
            worker.say(Offer(visit, doctor, "s1", "subscribe", "v=0", []))
            worker.say(Stepped(visit, doctor, step, "your_link"))
            assert (await page.of("media_step"))["step"] == step
        worker.say(Offer(visit, doctor, "s2", "subscribe", "v=0", []))
        assert (await page.of("media_step"))["step"] == "high"
