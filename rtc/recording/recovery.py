"""Reads back what `rtc.recording.mp4` wrote: a killed worker leaves a segment half made."""

import struct
from dataclasses import dataclass

from rtc.recording.mp4 import AUDIO_MS, VIDEO_MS

_TRUN_FIELDS = (0x100, 0x200, 0x400)  # duration, size, flags: four bytes each


@dataclass
class Found:
    """The whole chunks at the beginning of a file."""

    size: int = 0  # their bytes; what follows was never finished
    sequence: int = -1  # of the last
    video_end: int = 0  # ticks of 90 kHz
    audio_end: int = 0  # ticks of 48 kHz
    last_duration_at: int | None = None  # where the last picture's duration is written

    @property
    def end_ms(self) -> int:
        """When both tracks are over."""
        return max(-(-self.video_end // VIDEO_MS), -(-self.audio_end // AUDIO_MS))


def read(data: bytes, *, picture: bool, upto: int | None = None) -> Found:
    """The whole chunks of a segment's file; those after the sequence number `upto` do not count."""
    found = Found()
    while (moof := _size(data, found.size, b"moof")) and (
        mdat := _size(data, found.size + moof, b"mdat")
    ):
        sequence = int.from_bytes(data[found.size + 20 : found.size + 24], "big")
        if upto is not None and sequence > upto:
            break
        if not _read_moof(data, found, found.size + moof, picture=picture):
            break
        found.sequence = sequence
        found.size += moof + mdat
    return found


def lengthen(data: bytes, found: Found, end_ms: int) -> tuple[int, bytes] | None:
    """Where to write what, so that the last picture lasts until `end_ms`; None: it does."""
    more = end_ms * VIDEO_MS - found.video_end
    if more <= 0 or found.last_duration_at is None:
        return None
    at = found.last_duration_at
    return at, struct.pack(">I", int.from_bytes(data[at : at + 4], "big") + more)


def _size(data: bytes, at: int, kind: bytes) -> int:
    """Size of the whole box of this kind that begins here; 0 when there is none."""
    if data[at + 4 : at + 8] != kind:
        return 0
    size = int.from_bytes(data[at : at + 4], "big")
    return size if size >= 8 and at + size <= len(data) else 0  # noqa: PLR2004 - its header


def _read_moof(data: bytes, found: Found, end: int, *, picture: bool) -> bool:
    """Takes over when the tracks of a chunk end; False for one that was spoiled by a power cut."""
    at = found.size + 24
    tracks: list[tuple[int, int, int]] = []  # number, end, where the last duration is written
    while at < end:
        size = _size(data, at, b"traf")
        number = int.from_bytes(data[at + 20 : at + 24], "big")
        ends_at = int.from_bytes(data[at + 36 : at + 44], "big")
        flags = int.from_bytes(data[at + 52 : at + 56], "big") & 0xFFFFFF
        count = int.from_bytes(data[at + 56 : at + 60], "big")
        step = 4 * sum(bool(flags & each) for each in _TRUN_FIELDS)
        first = at + 64
        if size == 0 or step == 0 or count == 0 or first + count * step > min(at + size, end):
            return False
        for sample in range(first, first + count * step, step):
            ends_at += int.from_bytes(data[sample : sample + 4], "big")
        tracks.append((number, ends_at, first + (count - 1) * step))
        at += size
    for number, ends_at, last_at in tracks:
        if picture and number == 1:
            found.video_end, found.last_duration_at = ends_at, last_at
        else:
            found.audio_end = ends_at
    return True
