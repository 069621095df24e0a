"""What forwarding costs the media worker, beside decoding and encoding the same picture again.

The worker runs as its own process and tells its own CPU time (user and system); clients run here.
One publisher sends about 1 Mbit/s of real VP8 and an Opus-sized voice; viewers count datagrams.
The peer is the codec pair a mixing server (aiortc's MediaRelay and sender) runs for every viewer:
decode once, encode per viewer, of the very same frames; its network costs are left out, in its
favour.
"""

import asyncio
import os
import secrets
import shutil
import socket
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
from aiortc.codecs.vpx import Vp8Decoder, Vp8Encoder, vp8_depayload
from aiortc.jitterbuffer import JitterFrame
from av import VideoFrame

from bench import classroom, hls, recording, slides
from bench.harness import Row, at_least, report
from rtc.messages import Stats
from rtc.sdp import OPUS, VP8
from tests.rtc.media_house import MediaHouse, both, connected_to, watcher
from tests.rtc.raw_client import RawPage, rtp

SECONDS = 8.0
FRAME_RATE = 30
VOICE_EVERY_S = 0.02
SOURCE_FRAMES = 90
BITRATE = 1_000_000
SHARE = 0.99
VIEWERS = (1, 20)
# A mixing server's per-packet cost over ours: what "nothing is decoded" must at least mean. With
# one viewer the wake-up per incoming packet weighs most, and it is no cheaper for anybody.
LEAST_RATIO = {1: 4.0, 20: 30.0}


@dataclass(frozen=True)
class Clip:
    """A noisy moving picture, its VP8 payloads per frame, and what recoding one frame costs."""

    frames: list[list[bytes]]
    decode_s: float
    encode_s: float

    @property
    def packets_per_frame(self) -> float:
        """Mean number of RTP packets of a frame."""
        return sum(map(len, self.frames)) / len(self.frames)

    def recoding_us(self, viewers: int) -> float:
        """CPU µs per outgoing packet of a server that decodes once and encodes per viewer."""
        return (self.decode_s / viewers + self.encode_s) / self.packets_per_frame * 1e6


def picture(n: int, noise: np.ndarray) -> VideoFrame:
    """A moving gradient under a camera's noise, 640x480."""
    x = np.arange(640, dtype=np.uint16)
    luma = ((x[None, :] + 4 * n) // 3 + np.arange(480, dtype=np.uint16)[:, None] // 4) % 200
    luma = np.roll(noise, 7 * n, axis=1) + luma.astype(np.uint8)
    chroma = np.full((240, 640), 128, dtype=np.uint8)
    frame = VideoFrame.from_ndarray(np.vstack([luma, chroma]), format="yuv420p")
    frame.pts, frame.time_base = n, Fraction(1, FRAME_RATE)
    return frame


def make_clip() -> Clip:
    """Encodes the clip as a browser would, then decodes and encodes it again under the clock."""
    noise = np.random.default_rng(7).integers(0, 40, (480, 640), dtype=np.uint8)
    camera, server_in, server_out = Vp8Encoder(), Vp8Decoder(), Vp8Encoder()
    camera.target_bitrate = server_out.target_bitrate = BITRATE
    frames, decode_s, encode_s = [], 0.0, 0.0
    for n in range(SOURCE_FRAMES):
        payloads, timestamp = camera.encode(picture(n, noise), force_keyframe=n == 0)
        frames.append(payloads)
        whole = b"".join(map(vp8_depayload, payloads))
        began = time.process_time()
        decoded = server_in.decode(JitterFrame(whole, timestamp))
        decode_s += time.process_time() - began
        for each in decoded:
            each.pts, each.time_base = n, Fraction(1, FRAME_RATE)
            began = time.process_time()
            server_out.encode(each)
            encode_s += time.process_time() - began
    return Clip(frames, decode_s / SOURCE_FRAMES, encode_s / SOURCE_FRAMES)


@contextmanager
def media_port() -> Iterator[int]:
    """A UDP port that was free a moment ago."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    yield port


async def publish(page: RawPage, clip: Clip) -> int:
    """Sends the clip again and again at its own pace for `SECONDS`; the packets sent."""
    transport = await page.publishing()
    loop = asyncio.get_running_loop()
    sequences = {OPUS: secrets.randbelow(1000), VP8: secrets.randbelow(1000)}
    sent, began = 0, loop.time()
    next_frame = next_voice = began
    frame = 0

    def send(kind: int, timestamp: int, payload: bytes) -> None:
        sequences[kind] += 1
        transport.send_rtp(rtp(kind, sequences[kind], timestamp, kind, payload))

    while (now := loop.time()) < began + SECONDS:
        while next_frame <= now:
            for payload in clip.frames[frame % SOURCE_FRAMES]:
                send(VP8, frame * 90_000 // FRAME_RATE, payload)
                sent += 1
            frame += 1
            next_frame += 1 / FRAME_RATE
        while next_voice <= now:
            send(OPUS, int((next_voice - began) * 48_000), bytes(80))
            sent += 1
            next_voice += VOICE_EVERY_S
        await asyncio.sleep(min(next_frame, next_voice) - now)
    return sent


async def forwarding(house: MediaHouse, clip: Clip, viewers: int) -> tuple[float, float]:
    """CPU µs of the worker per forwarded packet, and the share of packets that arrived."""
    room = f"bench-{viewers}"
    names = [f"viewer-{n}" for n in range(viewers)]
    house.state(both("publisher"), *map(watcher, names), room=room)
    publisher = house.join("publisher", room=room)
    await publisher.publishing()
    pages = [house.join(name, room=room) for name in names]
    views = []
    for page in pages:
        view, _ = await page.watching("publisher", "video")
        view.count_only = True
        views.append(view)
    before = await house.stats()
    sent = await publish(publisher, clip)
    after = await quiet(house)
    arrived = sum(view.encrypted_packets for view in views)
    cpu_us = (after.cpu_s - before.cpu_s) * 1e6 / (after.packets_out - before.packets_out)
    house.state(room=room)
    await house.close()
    return cpu_us, arrived / (sent * viewers)


async def quiet(house: MediaHouse) -> Stats:
    """The counters once the worker has forwarded all it was sent."""
    last = await house.stats()
    while (now := await house.stats()).packets_out != last.packets_out:
        last = now
    return now


async def measure() -> list[Row]:
    """All rows of the media worker."""
    clip = make_clip()
    rows = []
    with tempfile.TemporaryDirectory(prefix="rtc-") as home, media_port() as port:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "rtc",
            env={**os.environ, "YANASHA_HOME": home, "YANASHA_RTC_PORT": str(port)},
            stdout=asyncio.subprocess.PIPE,
        )
        try:
            assert process.stdout is not None
            assert b"ready" in await process.stdout.readline()
            async with connected_to(Path(home) / "run" / "rtc-0.sock") as house:
                for viewers in VIEWERS:
                    rows += rows_of(clip, viewers, *await forwarding(house, clip, viewers))
        finally:
            process.terminate()
            await process.communicate()
    return [*rows, *await recording.measure()]


def rows_of(clip: Clip, viewers: int, cpu_us: float, share: float) -> list[Row]:
    """The rows of one run; a run that lost packets measured something else."""
    assert share >= SHARE, f"only {share:.1%} of the packets arrived at {viewers} viewers"
    peer = clip.recoding_us(viewers)
    return [
        Row(f"forward.cpu.{viewers}", cpu_us, "us/packet", peer),
        at_least(
            f"forward.ratio.{viewers}",
            peer / cpu_us,
            "recoding/forwarding",
            bar=LEAST_RATIO[viewers],
        ),
        at_least(f"forward.delivered.{viewers}", share, "of sent", bar=SHARE),
    ]


def main() -> int:
    """Everything of the media worker; what needs a browser fails the run where there is none."""
    rows = asyncio.run(measure())
    if shutil.which("chromium") is None:
        print(
            "class.30, hls.delay and slides.turn need the Debian package chromium.", file=sys.stderr
        )
        return report("rtc", rows) or 1
    rows += asyncio.run(classroom.measure())
    return report("rtc", rows + hls.measure() + slides.measure())


if __name__ == "__main__":
    sys.exit(main())
