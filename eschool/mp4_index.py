"""One file out of many: the index that lets a player seek, and which bytes lie in which object.

A recording is an init segment and media segments. Between them a segment index (`sidx`, ISO/IEC
14496-12 §8.16.3) says how long and how large each is: with it the concatenation is one seekable
file although nobody ever writes it down.
"""

import struct
from collections.abc import Iterable, Sequence
from typing import NamedTuple

# Starts with a stream access point of type 1: every segment begins with a key frame.
_KEY_FRAME_FIRST = 0x9000_0000
# Version 1, 64-bit times; one reference is a u32 of type and size, a u32 and a u32 of flags.
_HEADER = struct.Struct(">I4sIIIQQHH")
_REFERENCE = struct.Struct(">III")


class Piece(NamedTuple):
    """One object of the concatenation."""

    key: str
    size: int


class Span(NamedTuple):
    """A segment on the time line: where it begins, how long it lasts, how large it is."""

    start_ms: int
    duration_ms: int
    size: int


def sidx(spans: Sequence[Span], timescale: int, reference_id: int = 1) -> bytes:
    """Index of segments that follow one another right behind this box.

    `timescale` has to be that of the track: FFmpeg, and with it Chromium, takes the index's ticks
    for the track's when it says how long the file is.

    A segment lasts until the next one begins, as it does for the player, so that a hole in the
    time line (a take somebody may not watch) does not shift what comes after it.
    """
    ends = [*(span.start_ms for span in spans[1:]), spans[-1].start_ms + spans[-1].duration_ms]
    size = _HEADER.size + len(spans) * _REFERENCE.size
    start = _ticks(spans[0].start_ms, timescale)
    head = _HEADER.pack(size, b"sidx", 1 << 24, reference_id, timescale, start, 0, 0, len(spans))
    references = (
        _REFERENCE.pack(
            span.size,
            _ticks(end, timescale) - _ticks(span.start_ms, timescale),
            _KEY_FRAME_FIRST,
        )
        for span, end in zip(spans, ends, strict=True)
    )
    return head + b"".join(references)


def plan(pieces: Iterable[Piece], start: int, length: int) -> list[tuple[str, int, int]]:
    """Say which bytes of which objects are `length` bytes from `start`: (key, offset, length).

    As with a slice, what lies beyond the end is left out.
    """
    wanted: list[tuple[str, int, int]] = []
    end = start + length
    position = 0
    for piece in pieces:
        first, last = max(start, position), min(end, position + piece.size)
        if first < last:
            wanted.append((piece.key, first - position, last - first))
        position += piece.size
        if position >= end:
            break
    return wanted


def _ticks(ms: int, timescale: int) -> int:
    return ms * timescale // 1000
