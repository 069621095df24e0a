"""A real worker process, a teacher who goes on teaching it, and an API that acknowledges."""

import asyncio
import os
import socket
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from aiortc.rtp import RtcpPacket, RtcpPsfbPacket, RtcpSenderInfo, RtcpSrPacket

from rtc.messages import (
    FromWorker,
    Recording,
    SegmentClosed,
    SegmentStored,
    TakeClosed,
    TakeStored,
)
from rtc.track import PSFB_PLI
from storage.settings import Settings
from tests.rtc.media_house import LESSON, MediaHouse
from tests.rtc.raw_client import RawTransport
from tests.rtc.recording_source import Camera, Microphone

SUPERVISOR_DELAY_S = 0.1  # so long ops/supervisor.py waits with a worker that ran steadily
REPORT_EVERY_S = 1.0
CAMERA_SSRC, VOICE_SSRC = 1001, 1002
NTP_EPOCH = 2_208_988_800  # 1970 in seconds of NTP


class WorkerProcess:
    """`python -m rtc`, killed and started again."""

    def __init__(self, stores: Settings, home: Path) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self._env = {
            **os.environ,
            "YANASHA_HOME": str(home),
            "YANASHA_RTC_PORT": str(port),
            "S3_ENDPOINT": stores.s3_endpoint,
            "S3_ACCESS_KEY": stores.s3_access_key,
            "S3_SECRET_KEY": stores.s3_secret_key,
            "S3_BUCKET": stores.s3_bucket,
        }
        self.link_path = home / "run" / "rtc-0.sock"
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Until it says that it is ready."""
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "rtc", env=self._env, stdout=asyncio.subprocess.PIPE
        )
        assert self._process.stdout is not None
        assert b"ready" in await self._process.stdout.readline()

    async def kill(self) -> None:
        """`kill -9`."""
        assert self._process is not None
        self._process.kill()
        await self._process.communicate()

    async def stop(self) -> None:
        """As the supervisor stops it."""
        assert self._process is not None
        if self._process.returncode is None:
            self._process.terminate()
        await self._process.communicate()


class RecordingHouse(MediaHouse):
    """An API that says the room and lets the teacher join at every new link, and acknowledges."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.recording: Recording | None = None
        self.room = LESSON
        self._teaching: asyncio.Task[None] | None = None

    @property
    def segments(self) -> list[SegmentClosed]:
        """The segments told, each once."""
        found = {each.start_ms: each for each in self.heard if isinstance(each, SegmentClosed)}
        return [found[start] for start in sorted(found)]

    @property
    def end_ms(self) -> int | None:
        """The end of the take, when it is told."""
        ends = [each.end_ms for each in self.heard if isinstance(each, TakeClosed)]
        return ends[-1] if ends else None

    def say(self) -> None:
        """The state of the lesson."""
        grants = {"teacher": ["audio", "video"], "pupil": []}
        self.lesson(grants, recording=self.recording, room=self.room)  # type: ignore[arg-type]

    def _hear(self, message: FromWorker) -> None:
        super()._hear(message)
        if isinstance(message, SegmentClosed):
            self.link.send(SegmentStored(message.room, message.take, message.start_ms))
        elif isinstance(message, TakeClosed):
            self.link.send(TakeStored(message.room, message.take))

    def _up(self, worker_id: str) -> None:
        super()._up(worker_id)
        if self.recording is not None:
            self.say()
            self._teaching = asyncio.create_task(self._teach())

    def _down(self) -> None:
        super()._down()
        if self._teaching is not None:
            self._teaching.cancel()

    def begin(self, recording: Recording) -> None:
        """The lesson and its recording begin."""
        self.recording = recording
        self.say()
        self._teaching = asyncio.create_task(self._teach())

    def end(self) -> None:
        """The teacher stops the recording."""
        self.recording = None
        self.say()

    async def _teach(self) -> None:
        page = self.join("teacher", room=self.room)
        await teach(await page.publishing())

    async def close(self) -> None:
        """See MediaHouse."""
        if self._teaching is not None:
            self._teaching.cancel()
        await super().close()


async def teach(transport: RawTransport) -> None:
    """Sends camera and voice at their own pace, reports, and answers requests for key pictures."""
    camera, microphone = Camera(), Microphone()
    # A page that has just begun takes nothing over from the one before.
    camera.sequence, microphone.sequence = (int.from_bytes(os.urandom(2), "big") for _ in range(2))

    def on_rtcp(data: bytes) -> None:
        for packet in RtcpPacket.parse(data):
            if isinstance(packet, RtcpPsfbPacket) and packet.fmt == PSFB_PLI:
                camera.key()

    transport.on_rtcp = on_rtcp
    loop = asyncio.get_running_loop()
    began = next_picture = next_voice = next_report = loop.time()
    while True:
        now = loop.time()
        while next_picture <= now:
            for packet in camera.next(camera.timestamp + round((next_picture - began) * 90_000)):
                transport.send_rtp(with_ssrc(packet, CAMERA_SSRC))
            next_picture += 1 / camera.rate
        while next_voice <= now:
            stamp = microphone.timestamp + round((next_voice - began) * 48_000)
            transport.send_rtp(with_ssrc(microphone.next(stamp), VOICE_SSRC))
            next_voice += 0.02
        if next_report <= now:
            next_report += REPORT_EVERY_S
            for ssrc, source, rate in (
                (CAMERA_SSRC, camera, 90_000),
                (VOICE_SSRC, microphone, 48_000),
            ):
                info = RtcpSenderInfo(
                    ntp_timestamp=int((time.time() + NTP_EPOCH) * (1 << 32)),
                    rtp_timestamp=(source.timestamp + round((loop.time() - began) * rate))
                    & 0xFFFFFFFF,
                    packet_count=1,
                    octet_count=1,
                )
                transport.send_rtcp(bytes(RtcpSrPacket(ssrc=ssrc, sender_info=info)))
        await asyncio.sleep(max(0.0, min(next_picture, next_voice) - loop.time()))


def with_ssrc(packet: bytes, ssrc: int) -> bytes:
    """The same packet of another source."""
    return packet[:8] + ssrc.to_bytes(4, "big") + packet[12:]


@asynccontextmanager
async def recorded_lesson(
    stores: Settings, home: Path, room: str
) -> AsyncIterator[tuple[WorkerProcess, RecordingHouse]]:
    """A worker process and an API whose teacher is already being recorded."""
    worker = WorkerProcess(stores, home)
    await worker.start()
    house = RecordingHouse(worker.link_path)
    house.room = room
    try:
        async with house.link:
            await house.until(lambda: bool(house.ups))
            house.begin(Recording("take-1", time.time(), 0))
            try:
                yield worker, house
            finally:
                await house.close()
    finally:
        await worker.stop()


async def kill_and_restart(worker: WorkerProcess, house: RecordingHouse) -> float:
    """`kill -9`, then what the supervisor does; seconds until the teacher is connected again."""
    ups, began = len(house.ups), time.monotonic()
    await worker.kill()
    await asyncio.sleep(SUPERVISOR_DELAY_S)
    await worker.start()
    await house.until(lambda: len(house.ups) > ups, 60)
    await house.pages["teacher"].publishing()
    return time.monotonic() - began
