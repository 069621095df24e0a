"""`python -m rtc.recording.make_black`: writes black.bin, the picture before any picture came.

One key picture of 320x180, constrained baseline: SPS, PPS and IDR, each behind its length.
"""

import re
from fractions import Fraction
from pathlib import Path

import av

from rtc.recording.h264 import prefixed

_SEI = 6
_LUMA, _CHROMA = 16, 128  # black in limited range
WIDTH, HEIGHT = 320, 180


def black() -> bytes:
    """The picture's bytes."""
    encoder = av.CodecContext.create("libx264", "w")
    encoder.width, encoder.height, encoder.pix_fmt = WIDTH, HEIGHT, "yuv420p"
    encoder.time_base = Fraction(1, 1)
    encoder.options = {"profile": "baseline", "preset": "veryslow", "qp": "30", "threads": "1"}
    frame = av.VideoFrame(WIDTH, HEIGHT, "yuv420p")
    for plane, value in zip(frame.planes, (_LUMA, _CHROMA, _CHROMA), strict=True):
        plane.update(bytes([value]) * plane.buffer_size)
    frame.pts = 0
    stream = b"".join(bytes(packet) for packet in [*encoder.encode(frame), *encoder.encode(None)])
    units = [unit for unit in re.split(b"\0{2,3}\1", stream) if unit]
    return b"".join(prefixed(unit) for unit in units if unit[0] & 0x1F != _SEI)


if __name__ == "__main__":
    Path(__file__).with_name("black.bin").write_bytes(black())
