"""What a frame of samples costs to read, beside struct alone (part `frames`)."""

import struct
import time
from collections.abc import Callable
from uuid import UUID

import numpy as np

from bench.harness import Row, at_least
from devices.frames import HEAD_BYTES, decode, encode, frame_of


def frame_rows() -> list[Row]:
    data = encode(frame_of(UUID(int=7), 5, 1_770_000_000_000_000, np.zeros(72, np.int16)))
    bare = struct.Struct("<4s16sIqH")

    def struct_only() -> None:
        bare.unpack_from(data)
        bytes(data[HEAD_BYTES:])

    ours = _rate(lambda: decode(data))
    limit = _rate(struct_only)
    return [
        Row("frames.decode", ours, "frames/s", peer=limit),
        at_least("frames.decode_ratio", ours / limit, "of struct alone", bar=0.08, peer=1.0),
    ]


def _rate(work: Callable[[], object], count: int = 50_000) -> float:
    best = float("inf")
    for _ in range(3):
        started = time.perf_counter()
        for _ in range(count):
            work()
        best = min(best, time.perf_counter() - started)
    return count / best
