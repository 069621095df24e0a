"""The picture every part of the media bench sends: real VP8 of a noisy moving scene."""

from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from typing import Any, cast

import av
import numpy as np
from aiortc.codecs.vpx import Vp8Encoder
from av import VideoFrame
from av.video.frame import PictureType

FRAME_RATE = 30
FRAMES = 90
KEY_EVERY = 10**6


@dataclass(frozen=True)
class Clip:
    """RTP payloads by frame; the first frame is a key frame and the only one."""

    frames: list[list[bytes]]

    @property
    def packets_per_frame(self) -> float:
        """Mean number of RTP packets of a frame."""
        return sum(map(len, self.frames)) / len(self.frames)

    @property
    def bps(self) -> float:
        """What the payloads come to, in bits a second."""
        return 8 * sum(sum(map(len, each)) for each in self.frames) * FRAME_RATE / len(self.frames)


def grain(width: int, height: int) -> np.ndarray:
    """A camera's noise, the same in every run."""
    return np.random.default_rng(7).integers(0, 40, (height, width), dtype=np.uint8)


def picture(n: int, noise: np.ndarray) -> VideoFrame:
    """A moving gradient under a camera's noise."""
    height, width = noise.shape
    x = np.arange(width, dtype=np.uint16)
    luma = ((x[None, :] + 4 * n) // 3 + np.arange(height, dtype=np.uint16)[:, None] // 4) % 200
    luma = np.roll(noise, 7 * n, axis=1) + luma.astype(np.uint8)
    chroma = np.full((height // 2, width), 128, dtype=np.uint8)
    frame = VideoFrame.from_ndarray(np.vstack([luma, chroma]), format="yuv420p")
    frame.pts, frame.time_base = n, Fraction(1, FRAME_RATE)
    return frame


@cache
def clip(width: int, height: int, bps: int) -> Clip:
    """Encodes it at a constant bit rate; aiortc's own encoder stops at 1.5 Mbit/s."""
    encoder = cast("Any", av.CodecContext.create("libvpx", "w"))
    encoder.width, encoder.height, encoder.pix_fmt = width, height, "yuv420p"
    encoder.time_base, encoder.bit_rate = Fraction(1, FRAME_RATE), bps
    encoder.gop_size, encoder.qmin, encoder.qmax = KEY_EVERY, 2, 56
    encoder.options = {
        "cpu-used": "-8",
        "deadline": "realtime",
        "lag-in-frames": "0",
        "bufsize": str(bps // 2),
        "minrate": str(bps),
        "maxrate": str(bps),
    }
    packer, noise = Vp8Encoder(), grain(width, height)
    frames = []
    for n in range(FRAMES):
        frame = picture(n, noise)
        frame.pict_type = PictureType.I if n == 0 else PictureType.NONE
        frames += [packer.pack(packet)[0] for packet in encoder.encode(frame)]
    return Clip(frames)
