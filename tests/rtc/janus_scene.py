"""Debian's Janus behind our engine protocol, with raw clients; prints what was seen as JSON.

Runs under scripts/loopback: Janus will not use a loopback interface, and there is another one.
"""

import asyncio
import json
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any

import httpx

from rtc.janus.link import JanusLink
from rtc.janus.program import place_of, prepare
from rtc.janus.session import Place
from rtc.messages import (
    FLOOR,
    FromWorker,
    Join,
    Kind,
    Leave,
    Member,
    Offer,
    Presence,
    Restart,
    RoomState,
    Speaking,
    TransportFailed,
)
from tests.rtc.janus_page import ADDRESS, LOUD, SILENT, Page

STEP_S = 0.01
WITHIN_S = 10.0
UNDER_WAY_S = 0.3  # what Janus had sent on before
WAITING = 150  # more than Janus does in half a second
BOTH: list[Kind] = ["audio", "video"]


def voice_alone(sdp: str) -> str:
    """The offer of a page without a camera."""
    return sdp.partition("m=video")[0].replace("BUNDLE 0 1", "BUNDLE 0")


class Stage:
    """The API's part: states, joins, offers to the pages."""

    def __init__(self, place: Path) -> None:
        self.heard: list[FromWorker] = []
        self.pages: dict[tuple[str, str], Page] = {}
        self.ups: list[str] = []
        self.downs = 0
        self.changed = asyncio.Event()
        self._versions = count(1)
        self.link = JanusLink(place, self._hear, self._up, self._down)

    def _hear(self, message: FromWorker) -> None:
        self.heard.append(message)
        if isinstance(message, Offer):
            page = self.pages.get((message.room, message.member))
            if page is not None:
                page.offered(message)
        self.changed.set()

    def _up(self, worker_id: str) -> None:
        self.ups.append(worker_id)
        self.changed.set()

    def _down(self) -> None:
        self.downs += 1
        self.changed.set()

    async def until(self, true: Callable[[], Any]) -> None:
        """Waits for what Janus or a page makes true."""
        async with asyncio.timeout(WITHIN_S):
            while not true():
                self.changed.clear()
                await self.changed.wait()

    def state(self, room: str, grants: dict[str, list[Kind]], presenter: str | None = None) -> None:
        """Says the whole state."""
        members = [Member(name, kinds, subscribe=True) for name, kinds in grants.items()]
        state = RoomState(room, next(self._versions), members, "vp8", presenter)
        assert self.link.send(state)

    def join(self, room: str, member: str, *, video: bool = True) -> Page:
        """A new page of the member is there."""
        page = self.pages[room, member] = Page(room, member, self.link.send, self.changed)
        if not video:
            page.edit = voice_alone
        self.link.send(Join(room, member, audio=True, video=video, resume=[]))
        return page

    def seen(self, room: str, member: str) -> tuple[bool, ...]:
        """Connected, audio, video as told last."""
        for message in reversed(self.heard):
            if isinstance(message, Presence) and message.room == room:
                for each in message.members:
                    if each.member == member:
                        return each.connected, each.audio, each.video
        return ()

    def spoke(self, room: str) -> list[str | None]:
        """Who spoke, one after the other."""
        found = [each for each in self.heard if isinstance(each, Speaking) and each.room == room]
        return [each.member for each in found]

    def failed(self, member: str) -> list[str]:
        """Why transports of a member ended."""
        return [
            each.reason
            for each in self.heard
            if isinstance(each, TransportFailed) and each.member == member
        ]

    async def has(self, page: Page, offers: int) -> None:
        """Waits until so many offers have come to a page."""
        await self.until(lambda: len(page.offers) >= offers)

    async def has_failed(self, member: str) -> None:
        """Waits until a transport of his has ended."""
        await self.until(lambda: self.failed(member))

    async def play(self, true: Callable[[], bool], within_s: float = WITHIN_S) -> bool:
        """Everybody sends all he has until something is true, or the time is over."""
        until = time.monotonic() + within_s
        for n in count():
            if true() or time.monotonic() > until:
                return true()
            for page in self.pages.values():
                page.send(key=n % 5 == 0)
            await asyncio.sleep(STEP_S)
        raise AssertionError


@asynccontextmanager
async def running(run: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """Janus as the house starts it; stopped by its pid."""
    process = await asyncio.create_subprocess_exec(
        *prepare(run, (ADDRESS,)), stdout=asyncio.subprocess.DEVNULL
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def visit(stage: Stage) -> dict[str, Any]:
    """Two people; one loses his picture, moves, goes and comes back."""
    saw: dict[str, Any] = {}
    stage.state("visit", {"d": BOTH, "p": BOTH})
    doctor, patient = stage.join("visit", "d"), stage.join("visit", "p")
    await stage.until(lambda: stage.seen("visit", "p") == (True, True, True))
    await stage.until(lambda: stage.seen("visit", "d") == (True, True, True))
    saw["both_ways"] = await stage.play(
        lambda: all(
            page.watch is not None and page.got(other, kind) > 10
            for page, other in ((doctor, "p"), (patient, "d"))
            for kind in BOTH
        )
    )
    last = time.monotonic()
    before = doctor.got("p", "video")
    taken = last
    stage.state("visit", {"d": BOTH, "p": ["audio"]})

    def quiet() -> bool:
        nonlocal before, last
        now = doctor.got("p", "video")
        if now != before:
            before, last = now, time.monotonic()
        return time.monotonic() - taken > 1.0

    voice = doctor.got("p", "audio")
    await stage.play(quiet)
    saw["silent_after_ms"] = round(1000 * (last - taken))
    saw["voice_went_on"] = doctor.got("p", "audio") - voice > 20
    for direction, page in (("publish", patient), ("subscribe", doctor)):
        offers = len(page.offers)
        way = next(one.transport for one in page.offers if one.direction == direction)
        stage.link.send(Restart("visit", page.member, way))
        await stage.has(page, offers + (2 if direction == "publish" else 1))
    voice = doctor.got("p", "audio")
    saw["after_restarts"] = await stage.play(lambda: doctor.got("p", "audio") - voice > 10)
    assert patient.watch is not None
    await patient.close()
    await stage.until(lambda: "peer_closed" in stage.failed("p"))
    back = stage.join("visit", "p")
    stage.state("visit", {"d": BOTH, "p": BOTH})
    await stage.until(lambda: stage.seen("visit", "p") == (True, True, True))
    voice = doctor.got("p", "audio")
    saw["after_coming_back"] = await stage.play(
        lambda: (
            doctor.got("p", "audio") - voice > 10
            and back.watch is not None
            and back.got("d", "video") > 10
        )
    )
    stage.state("visit", {"d": BOTH})
    assert back.watch is not None
    async with asyncio.timeout(WITHIN_S):
        await back.watch.ended.wait()
    heard = back.got("d", "audio")
    await stage.play(lambda: False, 0.2)
    saw["dismissed_heard"] = back.got("d", "audio") - heard
    stage.link.send(Leave("visit", "d"))
    stage.state("visit", {})
    return saw


async def lesson(stage: Stage) -> dict[str, Any]:
    """A teacher, and two pupils who have the floor one after the other."""
    saw: dict[str, Any] = {}
    nobody: dict[str, list[Kind]] = {"t": BOTH, "a": [], "b": []}
    stage.state("lesson", nobody, "t")
    teacher, anna, boris = (stage.join("lesson", name) for name in "tab")
    await stage.until(lambda: stage.seen("lesson", "t") == (True, True, True))
    await stage.until(lambda: anna.watch is not None and boris.watch is not None)
    saw["asked_to_publish"] = [page.publish is not None for page in (teacher, anna, boris)]
    teacher.level = LOUD
    await stage.play(lambda: stage.spoke("lesson") == ["t"])
    teacher.level = SILENT
    stage.state("lesson", nobody | {"a": ["audio"]}, "t")
    heard = await stage.play(
        lambda: boris.got(FLOOR, "audio") > 10 and boris.got("t", "video") > 10
    )
    saw["anna_heard"] = heard
    saw["anna_unasked_picture"] = boris.got(FLOOR, "video")
    saw["anna_heard_herself"] = anna.got(FLOOR, "audio")
    stage.state("lesson", nobody | {"b": BOTH}, "t")
    saw["boris_heard"] = await stage.play(
        lambda: anna.got(FLOOR, "audio") > 10 and teacher.got(FLOOR, "video") > 10
    )
    boris.level = LOUD
    await stage.play(lambda: stage.spoke("lesson")[-1:] == ["b"])
    stage.state("lesson", nobody, "t")
    await stage.play(lambda: stage.spoke("lesson")[-1] is None)
    await stage.play(lambda: False, UNDER_WAY_S)
    saw["spoke"] = stage.spoke("lesson")
    floor = anna.got(FLOOR, "audio") + teacher.got(FLOOR, "video")
    await stage.play(lambda: False, 0.2)
    saw["without_the_floor"] = anna.got(FLOOR, "audio") + teacher.got(FLOOR, "video") - floor
    saw["offers_to_watch"] = [
        sum(each.direction == "subscribe" for each in page.offers) for page in (teacher, anna)
    ]
    return saw


async def held_up(stage: Stage) -> int:
    """Somebody is put out while much waits, some of it from his own page: silent and deaf after ms."""
    people: dict[str, list[Kind]] = {"d": BOTH, "p": BOTH, "w": []}
    stage.state("held", people)
    doctor, patient = stage.join("held", "d"), stage.join("held", "p")
    stage.state("held", people)  # the one before is passed over, what pages said meanwhile is not
    await stage.play(lambda: bool(doctor.watch and doctor.got("p", "audio") > 10))
    await stage.play(lambda: bool(patient.watch and patient.got("d", "audio") > 10))
    assert patient.watch is not None
    kept = [each.transport for each in patient.offers]
    for n in range(WAITING):
        page, resume = ("p", kept) if n == WAITING // 4 else ("w", [])
        stage.link.send(Join("held", page, audio=True, video=True, resume=resume))
    stage.state("held", {"d": BOTH, "w": []})
    taken = last = time.monotonic()
    before = (doctor.got("p", "audio"), patient.got("d", "audio"))

    def over() -> bool:
        nonlocal before, last
        now = (doctor.got("p", "audio"), patient.got("d", "audio"))
        if now != before:
            before, last = now, time.monotonic()
        return time.monotonic() - taken > 1.0

    await stage.play(over)
    stage.state("held", {})
    return round(1000 * (last - taken))


async def without_a_camera(stage: Stage) -> list[bool]:
    """What is told of somebody who may send a picture and has none: connected, audio, video."""
    stage.state("voice", {"v": BOTH, "w": BOTH})
    stage.join("voice", "v", video=False)
    await stage.until(lambda: stage.seen("voice", "v")[:2] == (True, True))
    seen = [*stage.seen("voice", "v")]
    stage.state("voice", {})
    return seen


async def bad_offers(stage: Stage) -> dict[str, Any]:
    """Pages that offer what they were not asked for; each is refused, and nobody gets a packet."""
    edits: dict[str, Callable[[str], str]] = {
        "data": lambda sdp: sdp + "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\na=mid:2\r\n",
        "kinds": lambda sdp: sdp.replace("m=audio", "m=video"),
        "both_ways": lambda sdp: sdp.replace("a=sendonly", "a=sendrecv"),
        "layers": lambda sdp: sdp + "a=rid:q send\r\na=simulcast:send q;h\r\n",
        "nothing": lambda _: "v=0\r\n",
    }
    refused = {}
    for name, edit in edits.items():
        stage.state(name, {"w": BOTH, name: BOTH})
        page = stage.join(name, name)
        page.edit = edit
        await stage.has_failed(name)
        refused[name] = stage.failed(name)
        stage.state(name, {})
    return {"refused": refused}


async def strangers(place: Place) -> dict[str, Any]:
    """Whoever does not know the secret, or does not come from this machine."""
    answers: dict[str, Any] = {}
    async with httpx.AsyncClient(trust_env=False) as http:
        for host in ("127.0.0.1", ADDRESS):
            try:
                said = await http.post(
                    f"http://{host}:{place.port}/janus",
                    json={"janus": "create", "transaction": "t", "apisecret": "guess"},
                )
                answers[host] = said.json().get("error", {}).get("code")
            except httpx.ConnectError:
                answers[host] = "refused"
    return answers


def readable_by_others(run: Path) -> list[str]:
    """Files of ours that somebody else on the machine could open."""
    files = [each for each in run.rglob("*") if each.is_file()]
    return [each.name for each in files if each.stat().st_mode & 0o77]


async def scene() -> dict[str, Any]:
    """Plays all of it."""
    with tempfile.TemporaryDirectory(prefix="janus-") as name:
        run = Path(name)
        stage = Stage(place_of(run))
        async with stage.link:
            saw: dict[str, Any] = {"up_without_janus": stage.link.send(RoomState("r", 1, []))}
            async with running(run) as janus:
                await stage.until(lambda: stage.ups)
                saw["strangers"] = await strangers(Place.read(place_of(run)))
                saw["readable_by_others"] = readable_by_others(run)
                saw["visit"] = await visit(stage)
                saw["lesson"] = await lesson(stage)
                saw["without_a_camera"] = await without_a_camera(stage)
                saw["held_up_ms"] = await held_up(stage)
                saw["bad_offers"] = await bad_offers(stage)
                janus.kill()
                await stage.until(lambda: stage.downs)
                saw["away"] = not stage.link.up
            for page in stage.pages.values():
                await page.close()
            stage.pages.clear()
            async with running(run):
                killed = time.monotonic()
                await stage.until(lambda: len(stage.ups) > 1)
                stage.state("visit", {"d": BOTH, "p": BOTH})
                doctor, _ = stage.join("visit", "d"), stage.join("visit", "p")
                await stage.until(lambda: stage.seen("visit", "p") == (True, True, True))
                saw["heard_again"] = await stage.play(
                    lambda: doctor.watch is not None and doctor.got("p", "audio") > 10
                )
                saw["back_after_s"] = round(time.monotonic() - killed, 2)
                for page in stage.pages.values():
                    await page.close()
    return saw


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asyncio.run(scene())) + "\n")
