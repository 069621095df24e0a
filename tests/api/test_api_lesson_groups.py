"""Groups of a class as their pages and a raw media client see them: each is a room of its own."""

import asyncio
from pathlib import Path
from typing import Any
from uuid import UUID

from api_server import WITHIN_S, Page, Server
from api_worker import Worker
from test_api_lesson_raw import connected, running

from eschool.groups import room_of
from rtc.messages import RoomState, Stepped
from storage.settings import Settings
from tests.rtc.raw_client import RawTransport, Source


async def divide(server: Server, *groups: tuple[str, ...]) -> dict[str, Any]:
    """The groups as the teacher is told of them."""
    named = [[str(server.world[name]) for name in group] for group in groups]
    asked = {"minutes": 10, "groups": named}
    answer = await server.ask("teacher", "PUT", "/groups", json=asked)
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()["groups"]
    return told


async def visit(server: Server, number: int | None) -> None:
    answer = await server.ask("teacher", "PUT", "/groups/visited", json={"number": number})
    assert answer.status_code == 200, answer.text


async def told(page: Page, visited: int | None) -> None:
    """The page knows in which group the teacher is; None: that there are no groups."""
    while True:
        groups = (await page.of("lesson"))["room"]["groups"]
        if (groups and groups["visited"]) == visited:
            return


async def ends(page: Page, member: str) -> tuple[RawTransport, RawTransport]:
    """What a page sends by and receives by, in the room where it sits now."""
    await page.say("media_ready", audio=True, video=True, screen=False)
    out = await connected(page, await page.of("offer", direction="publish"), member)
    offer = await page.of("offer", direction="subscribe")
    return out, await connected(page, offer, member)


async def on_the_board(server: Server) -> set[str]:
    """Who is in the lesson, as the school's administrator is told."""
    async with server.client("school_admin") as client:
        answer = await client.get(f"/api/v1/organisations/{server.world['school']}/board")
    [lesson] = answer.json()["lessons"]
    return {one["id"] for one in lesson["people"]}


async def test_nobody_from_another_group_hears_a_packet(
    settings: Settings, server: Server, tmp_path: Path
) -> None:
    """The teacher hears the group he is in, and is heard there; called back, it is silent at once."""
    async with (
        running(settings, server, tmp_path / "log"),
        server.lesson_page("pupil") as pupil,
        server.lesson_page("pupil2") as other,
        server.lesson_page("teacher") as teacher,
    ):
        await divide(server, ("pupil",), ("pupil2",))
        await visit(server, 1)
        for page in (pupil, other, teacher):
            await told(page, 1)
        who = {name: str(server.world[name]) for name in ("pupil", "pupil2", "teacher")}
        await other.say("media_ready", audio=True, video=True, screen=False)
        intruder = await connected(
            other, await other.of("offer", direction="publish"), who["pupil2"]
        )
        asking, listening = (
            asyncio.create_task(ends(pupil, who["pupil"])),
            asyncio.create_task(ends(teacher, who["teacher"])),
        )
        (voice, heard), (lead, hears) = await asking, await listening
        false, true, lesson = Source("audio"), Source("audio"), Source("audio")
        ssrc = hears.ssrc_of[who["pupil"], "audio"]
        async with asyncio.timeout(WITHIN_S):
            while hears.received[ssrc].count < 20 or not heard.received:
                intruder.send_rtp(false.next())
                voice.send_rtp(true.next())
                lead.send_rtp(lesson.next())
                await asyncio.sleep(0.005)  # the pace of the packets
        assert set(hears.received) == {ssrc}
        assert set(heard.received) == {heard.ssrc_of[who["teacher"], "audio"]}
        assert [each["type"] for each in other.kept if each["type"] == "offer"] == []
        assert (await server.ask("teacher", "DELETE", "/groups")).status_code == 204
        await told(pupil, None)
        async with asyncio.timeout(0.5):
            await voice.ended.wait()
        for end in (intruder, voice, heard, lead, hears):
            await end.close()


async def test_a_reloaded_page_sits_in_its_group_again(worker: Worker, server: Server) -> None:
    """Only its members are in its room; in the class they have nothing meanwhile."""
    await server.ask("teacher", "POST", "/open")
    async with server.lesson_page("teacher"):
        groups = await divide(server, ("pupil",))
        room, pupil = str(room_of(UUID(groups["id"]), 1)), str(server.world["pupil"])
        async with server.lesson_page("pupil") as page:
            named = [one["id"] for one in page.kept[0]["members"]]
            assert named == [pupil]
            assert pupil in await on_the_board(server)

        def states(name: str) -> list[RoomState]:
            found = (one for one in worker.told if isinstance(one, RoomState))
            return [one for one in found if one.room == name]

        await worker.until(lambda _: bool(states(room)), WITHIN_S)
        state, lesson = states(room)[-1], states(str(server.world["lesson"]))[-1]
        assert [(one.member, one.publish) for one in state.members] == [(pupil, ["audio", "video"])]
        mine = next(one for one in lesson.members if one.member == pupil)
        assert (mine.publish, mine.subscribe, state.recording) == ([], False, None)
        await server.ask("teacher", "DELETE", "/groups")
        await worker.until(lambda _: states(room)[-1].members == [], WITHIN_S)


async def test_who_comes_back_to_the_class_is_not_told_the_step_of_before(
    worker: Worker, server: Server
) -> None:
    """His media began anew, and with them the ladder; the worker tells what is not its top."""
    await server.ask("teacher", "POST", "/open")
    async with server.lesson_page("pupil") as page:
        await worker.until_state(bool, WITHIN_S)
        lesson, pupil = str(server.world["lesson"]), str(server.world["pupil"])
        worker.say(Stepped(lesson, pupil, "voice", "your_link"))
        await page.of("media_step")
        await divide(server, ("pupil",))
        while (await page.of("lesson"))["room"]["groups"] is None:
            pass
        await server.ask("teacher", "DELETE", "/groups")
        while (await page.of("lesson"))["room"]["groups"] is not None:
            pass
        assert [one for one in page.kept if one["type"] == "media_step"] == []


async def test_groups_are_refused_with_a_code(server: Server) -> None:
    """Somebody named twice, a group there is not, and no groups at all."""
    await server.ask("teacher", "POST", "/open")
    pupil = str(server.world["pupil"])
    twice = {"minutes": 5, "groups": [[pupil], [pupil]]}
    answers = [
        await server.ask("teacher", "PUT", "/groups", json=twice),
        await server.ask("teacher", "PUT", "/groups/visited", json={"number": 1}),
        await server.ask("teacher", "PUT", "/groups", json={"minutes": 0, "groups": [[pupil]]}),
    ]
    assert [(one.status_code, one.json()["code"]) for one in answers] == [
        (422, "bad_groups"),
        (409, "lesson_not_divided"),
        (400, "malformed_body"),
    ]
