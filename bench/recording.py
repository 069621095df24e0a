"""What recording a lesson costs, loses and gets out of step; `python -m bench.recording`.

* record.cpu: packets of real 720p H264 of about 1 Mbit/s with Opus to segments on the disk,
  beside decoding and encoding the same stream (libx264 veryfast, libopus). Either way the segments
  have to be put up; what that costs is a row of its own.
* record.loss: a real worker process is killed in mid-recording, started again after the
  supervisor's delay, and a raw teacher joins again at once; how long the film then is black.
* record.av: an hour at speed, the voice's clock 50 ppm fast, packets and reports with jitter; the
  offset of marked pictures and packets of the last minute, read back by PyAV.
"""

import asyncio
import heapq
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any, cast
from uuid import uuid4

import av
import numpy as np

from bench.harness import Row, at_most, report
from bench.stores import running_stores
from rtc.messages import FromWorker, Recording, SegmentClosed, SegmentStored, TakeClosed
from rtc.recording import mp4
from rtc.recording.recorder import Recorder
from rtc.recording.spool import Spool
from storage.s3 import S3Objects
from storage.settings import Settings
from tests.rtc.recording_live import kill_and_restart, recorded_lesson
from tests.rtc.recording_source import Camera, Film, Microphone, Studio, clip

SECONDS = 60
TRANSCODED_S = 15  # of them; more of the same costs the same
BITRATE = 1_000_000
KILLS = 2
HOUR_S = 3600
SKEW_PPM = 50
JITTER_S = 0.08
MARK_EVERY_S = 1.0
BLACK_LUMA = 16


class Tape(Studio):
    """Keeps what the worker would hear, to play it to a recorder under the clock."""

    def __init__(self, folder: Path, frames: list[list[bytes]]) -> None:
        self.heard: list[Callable[[Recorder], None]] = []
        self.sent_bytes = 0
        super().__init__(folder)
        camera = Camera()
        camera.frames = frames
        self.on("camera", camera)
        self.on("voice", Microphone())
        self.run(SECONDS)
        self.heard.append(partial(Recorder.close, now=self.now))

    def _deliver(self, name: str, packet: bytes) -> None:
        self.sent_bytes += len(packet)
        now = self.now
        self.heard.append(lambda recorder: recorder.taps[name].packet(packet, now))

    def tick(self) -> None:
        """See Studio."""
        self.heard.append(partial(Recorder.tick, now=self.now))


def noisy_clip() -> list[list[bytes]]:
    """720p that fills its megabit, a key picture every 2.5 s: noise over a moving gradient."""
    return clip(1280, 720, frames=75, bitrate=BITRATE, noise=12)


async def remux(settings: Settings, frames: list[list[bytes]]) -> tuple[float, float, float]:
    """CPU seconds a second of media: packets to segments, uploads; and the stream's Mbit/s."""
    ended = asyncio.Event()
    spool: Spool

    def tell(message: FromWorker) -> None:
        if isinstance(message, SegmentClosed):
            spool.stored(SegmentStored(message.room, message.take, message.start_ms))
        elif isinstance(message, TakeClosed):
            ended.set()

    objects = S3Objects(settings)
    with tempfile.TemporaryDirectory(prefix="rec-") as folder:
        tape = Tape(Path(folder) / "tape", frames)
        async with (spool := Spool(Path(folder) / "spool", lambda: objects, tell)):
            recording = Recording(f"bench-{uuid4().hex}", tape.wall, 0)
            began = time.process_time()
            recorder = Recorder("bench", recording, spool, lambda _: None, tape.began, tape.wall)
            for each in tape.heard:
                each(recorder)
            remuxed = time.process_time()
            await ended.wait()
            uploaded = time.process_time()
    objects.close()
    mbit = tape.sent_bytes * 8 / SECONDS / 1e6
    return (remuxed - began) / SECONDS, (uploaded - remuxed) / SECONDS, mbit


def transcode(frames: list[list[bytes]]) -> float:
    """CPU seconds a second of media: decode and encode picture and voice."""
    microphone = Microphone()
    decoder = cast("Any", av.CodecContext.create("h264", "r"))
    encoder = cast("Any", av.CodecContext.create("libx264", "w"))
    encoder.width, encoder.height, encoder.pix_fmt = 1280, 720, "yuv420p"
    encoder.time_base, encoder.bit_rate = Fraction(1, 30), BITRATE
    encoder.options = {"preset": "veryfast"}
    voice_in = cast("Any", av.CodecContext.create("opus", "r"))
    voice_in.sample_rate, voice_in.layout = 48_000, "stereo"
    voice_out = cast("Any", av.CodecContext.create("libopus", "w"))
    voice_out.sample_rate, voice_out.layout, voice_out.format = 48_000, "stereo", "flt"
    resampler = av.AudioResampler("flt", "stereo", 48_000, 960)
    began, n = time.process_time(), 0
    for index in range(30 * TRANSCODED_S):
        units = frames[index % len(frames)]
        for picture in decoder.decode(av.Packet(b"".join(b"\0\0\0\1" + unit for unit in units))):
            picture.pts, picture.time_base, n = n, Fraction(1, 30), n + 1
            picture.pict_type = 0
            encoder.encode(picture)
    for index in range(50 * TRANSCODED_S):
        packet = av.Packet(microphone.packets[index % 50])
        for sound in voice_in.decode(packet):
            sound.pts, sound.time_base = index * 960, Fraction(1, 48_000)
            for piece in resampler.resample(sound):
                voice_out.encode(piece)
    assert n >= 30 * TRANSCODED_S - 5
    return (time.process_time() - began) / TRANSCODED_S


async def loss(settings: Settings) -> tuple[float, float]:
    """The longest hole of a lesson with kills and the longest absence of the worker, in s."""
    room, away = f"bench-{uuid4().hex}", []
    objects = S3Objects(settings)
    with tempfile.TemporaryDirectory(prefix="rec-", dir="/tmp") as home:
        async with recorded_lesson(settings, Path(home), room) as (worker, house):
            for _ in range(KILLS):
                at = house.segments[-1].start_ms if house.segments else 0
                await house.until(lambda at=at: real_until(house.segments) > at + 5000, 60)
                away.append(await kill_and_restart(worker, house))
            at = house.segments[-1].start_ms
            await house.until(lambda: real_until(house.segments) > at + 6000, 60)
            house.end()
            await house.until(lambda: house.end_ms is not None, 30)
            segments = house.segments
    data = mp4.INIT
    for each in segments:
        data += await objects.get(f"lessons/{room}/take-1/{each.start_ms:010d}.m4s")
    objects.close()
    film = await asyncio.to_thread(Film, data)
    holes = list(black(film))
    assert len(holes) == KILLS, holes
    return max(holes), max(away)


def real_until(segments: list[SegmentClosed]) -> int:
    """Up to where something was recorded."""
    real = [each for each in segments if each.lost_ms < each.duration_ms]
    return real[-1].start_ms + real[-1].duration_ms if real else 0


def black(film: Film) -> Iterator[float]:
    """Lengths of the black stretches, but for the beginning."""
    run, begun = 0.0, False
    for (_, length, *_), luma in zip(film.pictures, film.luma, strict=True):
        if luma == BLACK_LUMA:
            run += length
            continue
        if begun and run:
            yield run
        run, begun = 0.0, True


class SkewedStudio(Studio):
    """Packets and reports arrive late by a random time, up to `JITTER_S`."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.skew["voice"] = SKEW_PPM / 1e6
        self._dice = random.Random(5)  # noqa: S311 - the same jitter in every run
        self._under_way: list[tuple[float, int, str, bytes]] = []
        self._count = 0

    def _deliver(self, name: str, packet: bytes) -> None:
        self._count += 1
        arrival = self.now + self._dice.random() * JITTER_S
        heapq.heappush(self._under_way, (arrival, self._count, name, packet))
        while self._under_way and self._under_way[0][0] <= self.now:
            _, _, to, due = heapq.heappop(self._under_way)
            super()._deliver(to, due)

    def _report(self, name: str, stamp: int) -> None:
        self.report_late = self._dice.random() * JITTER_S
        super()._report(name, stamp)


def hour_at_speed() -> tuple[float, float]:
    """Offset in ms between picture and voice in the last minute, and the greatest of the hour."""
    with tempfile.TemporaryDirectory(prefix="rec-") as folder:
        studio = SkewedStudio(Path(folder))
        last = {"camera": 0.0, "voice": 0.0}

        def mark(name: str, now: float) -> bytes:
            if now - last[name] < MARK_EVERY_S:
                return b""
            last[name] = now
            return b"@@" + f"{now:012.3f}".encode() + b"@@"

        studio.mark = mark
        studio.on("camera", Camera(rate=15))
        studio.on("voice", Microphone())
        studio.run(HOUR_S)
        studio.close()
        segments = studio.segments
        offsets = [offset_ms(path) for *_, path in segments[10::40]]
        final = [offset_ms(path) for *_, path in segments[-24:-1]]
    found = [each for each in offsets if each is not None]
    ending = [each for each in final if each is not None]
    assert len(found) > 20
    assert len(ending) > 10
    return float(max(map(abs, ending))), float(max(map(abs, found)))


def offset_ms(path: Path) -> float | None:
    """How much earlier the voice is than the picture, by the marks of one segment."""
    film = Film(mp4.INIT + path.read_bytes(), decode=False)
    seen = [late for at, *_, data in film.pictures if (late := lateness(at, data)) is not None]
    heard = [late for at, _, data in film.sounds if (late := lateness(at, data)) is not None]
    return float(np.mean(seen) - np.mean(heard)) * 1000 if seen and heard else None


def lateness(at: float, data: bytes) -> float | None:
    """Time on the film less the time of making; None without a mark."""
    _, begins, rest = data.partition(b"@@")
    made, ends, _ = rest.partition(b"@@")
    return at - float(made) if begins and ends and len(made) == 12 else None


async def measure() -> list[Row]:
    """All rows of the recording."""
    frames = noisy_clip()
    with running_stores() as settings:
        objects = S3Objects(settings)
        await objects.make_bucket()
        objects.close()
        remuxed_s, uploaded_s, mbit = await remux(settings, frames)
        transcoded_s = transcode(frames)
        hole_s, away_s = await loss(settings)
    end_ms, most_ms = hour_at_speed()
    return [
        at_most("record.cpu", 100 * remuxed_s / transcoded_s, "% of transcoding", bar=1.0),
        Row("record.cpu.remux", 1000 * remuxed_s, "ms/s of media", 1000 * transcoded_s),
        Row(
            "record.cpu.uploading",
            100 * (remuxed_s + uploaded_s) / transcoded_s,
            "% of transcoding",
        ),
        Row("record.cpu.upload", 1000 * uploaded_s, "ms/s of media"),
        Row("record.cpu.stream", mbit, "Mbit/s"),
        at_most("record.loss", hole_s, "s of film", bar=4.0),
        Row("record.loss.away", away_s, "s without a worker"),
        at_most("record.av", end_ms, "ms", bar=80.0, peer=SKEW_PPM * HOUR_S / 1000),
        Row("record.av.most", most_ms, "ms"),
    ]


if __name__ == "__main__":
    sys.exit(report("recording", asyncio.run(measure())))
