"""Pupils with a raw media client: whatever they send without a grant reaches nobody and is kept."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from api_faults import program
from api_server import Page, Server, free_port
from sqlalchemy import select

from people.audit import AuditRefusals
from rtc.messages import Offer, TrackInfo
from storage.settings import Settings
from tests.rtc.raw_client import RawTransport, Source

PACKETS = 100


@asynccontextmanager
async def running(settings: Settings, server: Server, log: Path) -> AsyncIterator[None]:
    """An open lesson over a media worker of its own process."""
    settings = replace(settings, rtc_port=free_port())
    async with program(settings, "rtc", log), asyncio.timeout(60):
        while not server.house.media.up:  # noqa: ASYNC110 - seen from outside
            await asyncio.sleep(0.02)
        await server.ask("teacher", "POST", "/open")
        yield


async def connected(page: Page, offer: dict[str, Any], member: str) -> RawTransport:
    """The peer of an offer that came by the page's socket; it answers by the same way."""
    tracks = [TrackInfo(**track) for track in offer["tracks"]]
    told = Offer("", member, offer["transport"], offer["direction"], offer["sdp"], tracks)
    transport = RawTransport(told)
    await page.say("answer", transport=told.transport, sdp=transport.answer(["audio", "video"]))
    await transport.connect()
    return transport


async def refusals(server: Server) -> list[tuple[Any, str, str]]:
    """Who was refused what, and where."""
    async with server.world.sessions() as db:
        rows = (await db.scalars(select(AuditRefusals))).all()
        return sorted((row.actor_id, row.act, row.route) for row in rows)


async def test_what_a_raw_client_sends_without_a_grant_reaches_nobody_and_is_audited(
    settings: Settings, server: Server, tmp_path: Path
) -> None:
    """A pupil sends voice, camera and screen over the one connection he has: nobody hears a packet."""
    async with (
        running(settings, server, tmp_path / "log"),
        server.lesson_page("pupil") as pupil,
        server.lesson_page("pupil2") as friend,
        server.lesson_page("teacher") as teacher,
    ):
        ends = {}
        for name, page in (("pupil", pupil), ("pupil2", friend), ("teacher", teacher)):
            await page.say("media_ready", audio=True, video=True, screen=True)
            offer = await page.of("offer", direction="subscribe")
            ends[name] = await connected(page, offer, str(server.world[name]))
        sources = [Source("audio"), *(Source(kind, codec="h264") for kind in ("video", "screen"))]
        for _ in range(PACKETS):
            for source in sources:
                ends["pupil"].send_rtp(source.next(key=True))
        acts = ("publish_audio", "publish_screen", "publish_video")
        who = server.world["pupil"]
        while await refusals(server) != [(who, act, "media") for act in acts]:  # noqa: ASYNC110 - the store tells nobody
            await asyncio.sleep(0.1)
        assert not ends["pupil2"].received
        assert not ends["teacher"].received
        for end in ends.values():
            await end.close()


async def test_a_floor_is_one_pupils_whatever_another_sends(
    settings: Settings, server: Server, tmp_path: Path
) -> None:
    """While one has the floor a raw client's voice reaches nobody, and the holder's reaches him."""
    async with (
        running(settings, server, tmp_path / "log"),
        server.lesson_page("pupil") as intruder,
        server.lesson_page("pupil2") as holder,
    ):
        ends = {}
        for name, page in (("pupil", intruder), ("pupil2", holder)):
            await page.say("media_ready", audio=True, video=False, screen=False)
            offer = await page.of("offer", direction="subscribe")
            ends[name] = await connected(page, offer, str(server.world[name]))
        floor = {"person_id": str(server.world["pupil2"]), "kinds": ["audio"]}
        assert (await server.ask("teacher", "PUT", "/floor", json=floor)).status_code == 200
        offer = await holder.of("offer", direction="publish")
        voice = await connected(holder, offer, str(server.world["pupil2"]))
        false, true = Source("audio"), Source("audio")
        heard = ends["pupil"].ssrc_of["floor", "audio"]
        while ends["pupil"].received[heard].count < PACKETS:
            ends["pupil"].send_rtp(false.next())
            voice.send_rtp(true.next())
            await asyncio.sleep(0.005)  # the pace of the packets
        assert not ends["pupil2"].received
        for end in (*ends.values(), voice):
            await end.close()
