"""Fragmented MP4, written box by box (ISO/IEC 14496-12, 14496-15; Opus in ISOBMFF 0.8.1).

Pictures are avc3: parameter sets travel in the samples, so the same init segment serves every take
and the picture may change its size. Track 1 is the picture (90 kHz) and track 2 the voice (48 kHz);
of the audio edition track 1 is the voice. Without B-pictures composition is decoding order.
"""

import struct
from collections.abc import Sequence
from typing import NamedTuple

VIDEO_SCALE = 90_000
AUDIO_SCALE = 48_000
VIDEO_MS = VIDEO_SCALE // 1000
AUDIO_MS = AUDIO_SCALE // 1000

_WIDTH, _HEIGHT = 1280, 720  # of the page's layout only: each picture brings its own size
_UNITY = struct.pack(">9I", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)
_KEY = 0x02000000  # depends on no other sample
_NOT_KEY = 0x01010000  # depends on others, is no sync sample
_BASE_IS_MOOF = 0x020000
_OFFSET, _DURATION, _SIZE, _FLAGS = 0x1, 0x100, 0x200, 0x400


class Picture(NamedTuple):
    """One access unit of length-prefixed NAL units, on the time line in ms."""

    start_ms: int
    duration_ms: int
    key: bool
    data: bytes


class Sound(NamedTuple):
    """One Opus packet, on the time line in samples of 48 kHz."""

    start: int
    duration: int
    data: bytes


def box(kind: bytes, *parts: bytes) -> bytes:
    """A box of its parts."""
    body = b"".join(parts)
    return struct.pack(">I4s", 8 + len(body), kind) + body


def _full(kind: bytes, version: int, flags: int, *parts: bytes) -> bytes:
    return box(kind, struct.pack(">I", version << 24 | flags), *parts)


def _avc3() -> bytes:
    # Constrained baseline 4.0, lengths of four bytes, no parameter sets here: they are in-band.
    config = box(b"avcC", bytes([1, 0x42, 0xE0, 0x28, 0xFF, 0xE0, 0]))
    entry = struct.pack(
        ">6xH16xHHIIIH32sHh", 1, _WIDTH, _HEIGHT, 72 << 16, 72 << 16, 0, 1, bytes(32), 24, -1
    )
    return box(b"avc3", entry, config)


def _opus() -> bytes:
    entry = struct.pack(">6xH8xHHHHI", 1, 2, 16, 0, 0, AUDIO_SCALE << 16)
    # Version, channels, pre-skip, input rate, gain, mapping family. No pre-skip: a recording
    # begins in the middle of a stream, whose first samples are no encoder's padding.
    return box(b"Opus", entry, box(b"dOps", struct.pack(">BBHIhB", 0, 2, 0, AUDIO_SCALE, 0, 0)))


def _track(number: int, *, picture: bool) -> bytes:
    width, height = (_WIDTH << 16, _HEIGHT << 16) if picture else (0, 0)
    volume = 0 if picture else 0x0100
    kept = struct.pack(">IIIII8xhhhH", 0, 0, number, 0, 0, 0, 0, volume, 0)
    header = _full(b"tkhd", 0, 3, kept, _UNITY, struct.pack(">II", width, height))
    scale = VIDEO_SCALE if picture else AUDIO_SCALE
    handler, name = (b"vide", b"picture\0") if picture else (b"soun", b"voice\0")
    media = box(
        b"mdia",
        _full(b"mdhd", 0, 0, struct.pack(">IIIIHH", 0, 0, scale, 0, 0x55C4, 0)),  # und
        _full(b"hdlr", 0, 0, struct.pack(">I4s12x", 0, handler), name),
        box(
            b"minf",
            _full(b"vmhd", 0, 1, bytes(8)) if picture else _full(b"smhd", 0, 0, bytes(4)),
            box(b"dinf", _full(b"dref", 0, 0, struct.pack(">I", 1), _full(b"url ", 0, 1))),
            box(
                b"stbl",
                _full(b"stsd", 0, 0, struct.pack(">I", 1), _avc3() if picture else _opus()),
                _full(b"stts", 0, 0, bytes(4)),
                _full(b"stsc", 0, 0, bytes(4)),
                _full(b"stsz", 0, 0, bytes(8)),
                _full(b"stco", 0, 0, bytes(4)),
            ),
        ),
    )
    return box(b"trak", header, media)


def _init(*tracks: bool) -> bytes:
    header = struct.pack(">IIIIIH10x", 0, 0, 1000, 0, 0x10000, 0x0100)
    numbered = list(enumerate(tracks, start=1))
    return box(b"ftyp", b"iso6", struct.pack(">I", 0), b"iso6", b"mp41") + box(
        b"moov",
        _full(b"mvhd", 0, 0, header, _UNITY, bytes(24), struct.pack(">I", len(tracks) + 1)),
        *[_track(number, picture=picture) for number, picture in numbered],
        box(
            b"mvex",
            *[
                _full(b"trex", 0, 0, struct.pack(">IIIII", number, 1, 0, 0, 0 if picture else _KEY))
                for number, picture in numbered
            ],
        ),
    )


INIT = _init(True, False)
VOICE_INIT = _init(False)


def _traf(number: int, decode_time: int, flags: int, count: int, samples: bytes) -> bytes:
    return box(
        b"traf",
        _full(b"tfhd", 0, _BASE_IS_MOOF, struct.pack(">I", number)),
        _full(b"tfdt", 1, 0, struct.pack(">Q", decode_time)),
        # The offset, filled in when the size of the whole moof is known.
        _full(b"trun", 0, flags | _OFFSET, struct.pack(">Ii", count, 0), samples),
    )


def _fragment(sequence: int, trafs: Sequence[tuple[bytes, int]], data: Sequence[bytes]) -> bytes:
    """A moof with its mdat; of every traf the length of its samples and data in that order."""
    header = _full(b"mfhd", 0, 0, struct.pack(">I", sequence))
    moof = bytearray(box(b"moof", header, *[traf for traf, _ in trafs]))
    at, offset = 8 + len(header), len(moof) + 8
    for traf, size in trafs:
        # In a traf: 8 of its own, tfhd 16, tfdt 20, then trun's 12 and the sample count.
        struct.pack_into(">i", moof, at + 60, offset)
        at, offset = at + len(traf), offset + size
    return bytes(moof) + box(b"mdat", *data)


def _pictures(pictures: Sequence[Picture]) -> tuple[bytes, int]:
    samples = b"".join(
        struct.pack(
            ">III", each.duration_ms * VIDEO_MS, len(each.data), _KEY if each.key else _NOT_KEY
        )
        for each in pictures
    )
    start = pictures[0].start_ms * VIDEO_MS
    traf = _traf(1, start, _DURATION | _SIZE | _FLAGS, len(pictures), samples)
    return traf, sum(len(each.data) for each in pictures)


def _sounds(number: int, sounds: Sequence[Sound]) -> tuple[bytes, int]:
    samples = b"".join(struct.pack(">II", each.duration, len(each.data)) for each in sounds)
    traf = _traf(number, sounds[0].start, _DURATION | _SIZE, len(sounds), samples)
    return traf, sum(len(each.data) for each in sounds)


def chunk(sequence: int, pictures: Sequence[Picture], sounds: Sequence[Sound]) -> bytes:
    """Pictures and voice; one of the two may be empty."""
    trafs = [_pictures(pictures)] if pictures else []
    if sounds:
        trafs.append(_sounds(2, sounds))
    data = [each.data for each in pictures] + [each.data for each in sounds]
    return _fragment(sequence, trafs, data)


def voice_chunk(sequence: int, sounds: Sequence[Sound]) -> bytes:
    """The audio edition."""
    return _fragment(sequence, [_sounds(1, sounds)], [each.data for each in sounds])
