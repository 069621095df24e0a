"""Every message of the sockets, said by everybody in every room, and every word that comes back.

A page that may not be in a room is given a ticket to it all the same: the socket must refuse it by
itself. Who may be there says every message of MESSAGES; then things happen in all rooms at once, and
nobody hears a planted word that is not for him.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import numpy as np
from api_server import WITHIN_S, Page, Server
from sweep_region import SAMPLES, Region
from sweep_run import Breach
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from api.house import House
from devices.frames import encode, frame_of
from people import tickets
from people.sessions import session_person
from storage.engine import new_id

# Message → what it holds, and the codes of problems that its sender may hear.
MESSAGES: dict[str, tuple[dict[str, Any], set[str]]] = {
    "hello": ({"ticket": "x", "tab": str(uuid4())}, {"malformed_body"}),
    "media_ready": ({"audio": True, "video": True, "screen": True}, set()),
    "answer": ({"transport": "of somebody else", "sdp": "v=0"}, set()),
    "restart": ({"transport": "of somebody else"}, set()),
    "mute": ({"kind": "audio", "muted": True}, set()),
    "media_report": ({"ms": 10_000, "frozen_ms": 0, "freezes": 0}, set()),
    "ping": ({"n": 7}, set()),
}
REFUSED = {4401, 4403, 4404}
LET_IN = 101


@dataclass
class Told:
    """A page that is in its room, and everything it heard."""

    who: str
    room: str
    page: Page
    heard: list[dict[str, Any]] = field(default_factory=list)

    async def until(self, kind: str, **like: Any) -> None:
        """Hear on until a message like this comes."""
        self.heard.append(await self.page.of(kind, **like))

    @property
    def words(self) -> str:
        """Everything that was said to this page."""
        return json.dumps(self.heard + self.page.kept, ensure_ascii=False)


def rooms_of(region: Region) -> dict[str, tuple[str, set[str]]]:
    """Room → its socket and who belongs into it; one of each kind that is not there."""
    visits = {
        one["id"]: (f"/ws/visits/{one['id']}", {one["doctor_id"], one["patient_id"]})
        for one in region.visits
    }
    lessons = {
        one["id"]: (
            f"/ws/lessons/{one['id']}",
            region.classes[one["id"]] | {one["teacher_id"]},
        )
        for one in region.lessons
    }
    none: set[str] = set()
    nowhere = {str(new_id()): (kind, none) for kind in ("/ws/visits/", "/ws/lessons/")}
    return visits | lessons | {room: (kind + room, none) for room, (kind, _) in nowhere.items()}


async def sweep_pages(server: Server, region: Region) -> list[Breach]:
    """Everybody at every room's door; then all who are in hear what happens."""
    found: list[Breach] = []
    async with AsyncExitStack() as stack:
        inside: list[Told] = []
        for room, (path, members) in rooms_of(region).items():
            for who in region.cookies:
                page = await stack.enter_async_context(_socket(server, path))
                await page.hello(await _ticket(server, region, who, room))
                if who in members:
                    told = Told(who, room, page)
                    await told.until("welcome" if "visits" in path else "lesson_welcome")
                    inside.append(told)
                    continue
                code = await _at_the_door(page)
                if code not in REFUSED:
                    found.append(Breach(path, who, "stranger", str(REFUSED), code))
                found += _leaks(region, who, path, Told(who, room, page).words)
        if any(breach.got == LET_IN for breach in found):
            return found  # strangers took the seats: nobody is left to speak
        for told in inside:
            found += await _say_everything(told)
        await _let_things_happen(server, region)
        for told in inside:
            await told.page.say("ping", n=99)
            await told.until("pong", n=99)
            found += _leaks(region, told.who, told.room, told.words)
        found += _events_arrived(inside)
    return found


async def sweep_recorders(server: Server, region: Region) -> list[Breach]:
    """A recorder sends to its own stream only; whoever has no device's token sends nothing."""
    found: list[Breach] = []
    token = server.world.device_tokens["recorder"]
    header = {"rate_hz": 360, "gain_per_mv": 200, "baseline": 1024, "lead": "MLII"}
    at_us = int(datetime.now(UTC).timestamp() * 1e6)
    foreign = UUID(next(iter(region.streams.values())))
    for shown in ("garbage", *region.cookies.values()):
        async with _socket(server, "/ws/device") as page:
            await page.say("hello", token=shown, stream={"stream": str(new_id()), **header})
            if (code := await page.closed()) != 4401:
                found.append(Breach("/ws/device", "no device", "stranger", "4401", code))
    for announced, sent in ((foreign, foreign), (new_id(), foreign)):
        async with _socket(server, "/ws/device") as page:
            await page.say("hello", token=token, stream={"stream": str(announced), **header})
            if announced != foreign:
                await page.of("ready")
                frame = frame_of(sent, 0, at_us, np.zeros(72, dtype=np.int16))
                await page.ws.send(encode(frame))
            if (code := await page.closed()) not in {4403, 4404, 1008}:
                found.append(Breach("/ws/device", "recorder", "foreign stream", "4403", code))
    return found


@asynccontextmanager
async def _socket(server: Server, path: str) -> AsyncIterator[Page]:
    async with connect(f"ws://127.0.0.1:{server.port}{path}", origin=server.origin) as ws:
        yield Page(ws)


async def _ticket(server: Server, region: Region, who: str, room: str) -> str:
    """A ticket to any room, as if the door before it had been left open."""
    house: House = server.house
    async with house.transaction() as db:
        caller = await session_person(db, region.cookies[who], house.clock())
        return (await tickets.issue(db, caller, UUID(room), house.clock())).ticket


async def _at_the_door(page: Page) -> int:
    """The close code, or 101 when the page is let in."""
    try:
        async with asyncio.timeout(WITHIN_S):
            while not any("welcome" in message["type"] for message in page.kept):
                await page._receive()
    except ConnectionClosed as closed:
        return closed.rcvd.code if closed.rcvd else 1006
    return LET_IN


async def _say_everything(told: Told) -> list[Breach]:
    allowed = set().union(*(codes for _, codes in MESSAGES.values()))
    for kind, (more, _) in MESSAGES.items():
        await told.page.say(kind, **more)
    await told.page.say("no_such_message")
    await told.until("pong", n=7)
    await told.page.say("ping", n=8)
    await told.until("pong", n=8)
    codes = [m["code"] for m in told.page.kept if m["type"] == "problem"]
    if set(codes) == allowed and len(codes) == 2:
        return []
    return [Breach(told.room, told.who, "member", str(allowed), len(codes))]


async def _let_things_happen(server: Server, region: Region) -> None:
    """A reading in every visit, a message and a hand in every lesson, as their people do it."""
    body = {"kind": "spo2", "sequence": 1, "taken_at": datetime.now(UTC).isoformat()}
    unit, values = SAMPLES["spo2"]
    for visit in region.visits:
        async with server.client(visit["patient_id"]) as client:
            sent = {**body, "sequence": uuid4().int >> 80, "values": values, "unit": unit}
            (await client.post("/api/v1/my/readings", json=sent)).raise_for_status()
    for lesson in (one for one in region.lessons if one["teacher_id"] in region.cookies):
        async with server.client(lesson["teacher_id"]) as client:
            await client.post(f"/api/v1/lessons/{lesson['id']}/open")
        readers = {lesson["teacher_id"]}
        pupils = sorted(region.classes[lesson["id"]] & region.cookies.keys())
        for pupil in pupils[:1]:
            word = region.canaries.plant(f"new message of {lesson['id']}", {pupil, *readers})
            text = {"text": word, "client_id": str(uuid4())}
            async with server.client(pupil) as client:
                await client.post(f"/api/v1/lessons/{lesson['id']}/messages", json=text)
                await client.put(f"/api/v1/lessons/{lesson['id']}/hand")


def _events_arrived(inside: list[Told]) -> list[Breach]:
    """Silence would be no proof: each kind of event was heard by somebody."""
    heard = {m["type"] for told in inside for m in told.heard + told.page.kept}
    expected = {"welcome", "lesson_welcome", "presence", "reading", "chat", "lesson", "pong"}
    return [Breach("-", "everybody", "-", kind, 0) for kind in sorted(expected - heard)]


def _leaks(region: Region, who: str, where: str, words: str) -> list[Breach]:
    return [
        Breach(where, who, "socket", f"no {leak}", 0) for leak in region.canaries.leaked(words, who)
    ]
