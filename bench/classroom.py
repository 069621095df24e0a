"""A class of thirty at the media worker: a Chromium teacher, a Chromium pupil and 28 raw pupils.

The teacher sends a noisy picture at 1 Mbit/s (H264) and a voice, and is recorded. The share
delivered is what the pupils received of what the teacher's browser says it sent; the cores are the
worker's own CPU time over the time of the wall. Everything runs where only loopback exists.
"""

import asyncio
import os
import shutil
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from playwright.async_api import Page, Playwright, async_playwright

from bench.harness import Row, at_least, at_most
from rtc.messages import FromWorker, Join, Member, Offer, Recording, RoomState
from tests.rtc.browser_scene import FLAGS, served_page
from tests.rtc.media_house import MediaHouse, watcher

ROOM = "class-30"
TEACHER, PUPIL = "teacher", "pupil-0"
RAW_PUPILS = 28
BITRATE = 1_000_000
WARM_BITRATE = 0.9 * BITRATE
WARM_WITHIN_S = 60.0
SECONDS = 20.0
SHARE = 0.99
CORES = 0.5
WIDTH, HEIGHT, FRAMES, FRAME_RATE = 640, 480, 60, 30

# Holds the encoder of the teacher's camera at the bench's bit rate, in one layer, as the lesson's
# page does with a camera this small.
LIMIT = """async (bps) => {
    for (const pc of Object.values(connections)) {
        for (const sender of pc.getSenders()) {
            if (sender.track?.kind !== 'video') continue;
            const parameters = sender.getParameters();
            for (const encoding of parameters.encodings) {
                encoding.maxBitrate = bps;
                if (encoding.rid) encoding.active = encoding.rid === 'f';
            }
            await sender.setParameters(parameters);
        }
    }
}"""
SENT = """async () => {
    let packets = 0, bytes = 0;
    for (const pc of Object.values(connections)) {
        for (const report of (await pc.getStats()).values()) {
            if (report.type !== 'outbound-rtp') continue;
            packets += report.packetsSent - (report.retransmittedPacketsSent ?? 0);
            if (report.kind === 'video') bytes += report.bytesSent;
        }
    }
    return { packets, bytes };
}"""


@dataclass(frozen=True)
class Moment:
    """Counters of all ends at one moment."""

    at: float
    cpu_s: float
    sent: int
    received: dict[str, int]


def write_clip(path: Path) -> None:
    """A moving gradient under a camera's noise, as Chromium's fake camera reads it (Y4M)."""
    noise = np.random.default_rng(7).integers(0, 40, (HEIGHT, WIDTH), dtype=np.uint8)
    x = np.arange(WIDTH, dtype=np.uint16)[None, :]
    y = np.arange(HEIGHT, dtype=np.uint16)[:, None]
    chroma = np.full(WIDTH * HEIGHT // 2, 128, dtype=np.uint8).tobytes()
    with path.open("wb") as file:
        file.write(f"YUV4MPEG2 W{WIDTH} H{HEIGHT} F{FRAME_RATE}:1 Ip A1:1 C420jpeg\n".encode())
        for n in range(FRAMES):
            luma = ((x + 4 * n) // 3 + y // 4) % 200
            file.write(
                b"FRAME\n" + (luma.astype(np.uint8) + np.roll(noise, 7 * n, axis=1)).tobytes()
            )
            file.write(chroma)


class Classroom(MediaHouse):
    """The API's part for raw pupils and for browsers alike."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.browsers: dict[str, Page] = {}
        self._offers: asyncio.Queue[Offer] = asyncio.Queue()

    def _hear(self, message: FromWorker) -> None:
        if isinstance(message, Offer) and message.member in self.browsers:
            self._offers.put_nowait(message)
        super()._hear(message)

    async def carry(self) -> None:
        """Hands every offer to its browser and the answer back."""
        while True:
            offer = await self._offers.get()
            page = self.browsers[offer.member]
            await page.evaluate("offer => offered(offer)", msgspec.to_builtins(offer))
            for answer in await page.evaluate("drain()"):
                self.answer(offer.member, answer["transport"], answer["sdp"], room=ROOM)

    def begin(self, raw: list[str]) -> None:
        """A lesson of the teacher and everybody else, without a floor."""
        members = [
            Member(TEACHER, ["audio", "video"], subscribe=True),
            *map(watcher, [PUPIL, *raw]),
        ]
        self.version += 1
        take = Recording("take", time.time(), 0)
        self.link.send(
            RoomState(ROOM, self.version, members, "h264", presenter=TEACHER, recording=take)
        )
        for name in self.browsers:
            self.link.send(Join(ROOM, name, audio=True, video=True, resume=[]))

    async def moment(self, views: dict[str, Any]) -> Moment:
        """Reads every end's counters, as near together as they can be read."""
        stats = await self.stats()
        sent = await self.browsers[TEACHER].evaluate(SENT)
        received = {name: view.encrypted_packets for name, view in views.items()}
        received[PUPIL] = (await self.browsers[PUPIL].evaluate("inbound()"))["packets"]
        return Moment(time.monotonic(), stats.cpu_s, sent["packets"], received)


async def measure() -> list[Row]:
    """The rows of a class of thirty."""
    with tempfile.TemporaryDirectory(prefix="rtc-") as home:
        clip = Path(home) / "clip.y4m"
        write_clip(clip)
        async with worker(home) as link, served_page() as url, async_playwright() as driver:
            room = Classroom(link)
            async with room.link, asyncio.TaskGroup() as group:
                await room.until(lambda: bool(room.ups))
                carrier = group.create_task(room.carry())
                try:
                    return await lesson(room, driver, url, clip)
                finally:
                    carrier.cancel()
                    await room.close()


async def lesson(room: Classroom, driver: Playwright, url: str, clip: Path) -> list[Row]:
    """Everybody joins, the teacher's picture warms up, then the class is watched."""
    raw = [f"pupil-{n}" for n in range(1, RAW_PUPILS + 1)]
    files = {TEACHER: [f"--use-file-for-fake-video-capture={clip}"], PUPIL: []}
    for name, extra in files.items():
        browser = await driver.chromium.launch(
            executable_path=shutil.which("chromium"), args=[*FLAGS, *extra]
        )
        room.browsers[name] = page = await browser.new_page()
        await page.goto(url)
        if name == TEACHER:
            await page.evaluate("ready()")
    room.begin(raw)
    views: dict[str, Any] = {}
    for name in raw:
        page = room.join(name, room=ROOM)
        view, _ = await page.watching(TEACHER, "video")
        view.count_only = True
        views[name] = view
    await warm(room.browsers[TEACHER])
    before = await room.moment(views)
    await asyncio.sleep(SECONDS)
    after = await room.moment(views)
    return rows_of(before, after)


async def warm(teacher: Page) -> None:
    """Waits until the teacher's encoder sends about what the bench names."""
    deadline = time.monotonic() + WARM_WITHIN_S
    before, at = 0, time.monotonic()
    while True:
        await asyncio.sleep(2)
        await teacher.evaluate(LIMIT, BITRATE)
        sent, now = (await teacher.evaluate(SENT))["bytes"], time.monotonic()
        if 8 * (sent - before) / (now - at) >= WARM_BITRATE:
            return
        assert now < deadline, "the teacher's picture never reached the bench's bit rate"
        before, at = sent, now


def rows_of(before: Moment, after: Moment) -> list[Row]:
    """Share delivered, of the worst pupil too, and the worker's cores."""
    sent = after.sent - before.sent
    shares = [(after.received[name] - n) / sent for name, n in before.received.items()]
    cores = (after.cpu_s - before.cpu_s) / (after.at - before.at)
    return [
        at_least("class.30.delivered", min(1.0, sum(shares) / len(shares)), "of sent", bar=SHARE),
        at_least("class.30.worst", min(1.0, *shares), "of sent, worst pupil", bar=SHARE),
        at_most("class.30.cores", cores, "cores", bar=CORES),
        Row("class.30.packets", sent / (after.at - before.at), "packets/s a pupil"),
    ]


@asynccontextmanager
async def worker(home: str) -> AsyncIterator[Path]:
    """A media worker as its own process; gives the path of its link."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "rtc"),
        env={**os.environ, "YANASHA_HOME": home, "YANASHA_RTC_PORT": "47123"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,  # there is no store here: segments wait, and it says so
    )
    try:
        assert process.stdout is not None
        assert b"ready" in await process.stdout.readline()
        yield Path(home) / "run" / "rtc-0.sock"
    finally:
        process.terminate()
        await process.communicate()
