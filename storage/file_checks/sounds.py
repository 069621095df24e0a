"""Recordings of a voice or a cough: listened to from end to end, then packed anew (runs in child).

Sound stays bit for bit as it was recorded; place, device, cover and other streams go.
"""

from pathlib import Path
from typing import Final, NamedTuple

import av
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.error import FFmpegError

from storage.file_checks.faults import BadFile, Fault
from storage.file_checks.judge import Verdict
from storage.file_checks.kinds import MAX_SOUND_S, Kind


class _About(NamedTuple):
    """How FFmpeg names what reads a kind, what writes it, and what may be inside."""

    reads: str
    writes: str
    codecs: frozenset[str]
    options: dict[str, str]


_ABOUT: Final = {
    Kind.M4A: _About("mov", "ipod", frozenset({"aac"}), {"movflags": "+faststart"}),
    Kind.MP3: _About("mp3", "mp3", frozenset({"mp3", "mp3float"}), {"id3v2_version": "0"}),
    Kind.OGG: _About("ogg", "ogg", frozenset({"opus", "libopus", "vorbis", "libvorbis"}), {}),
}
_MAX_RATE_HZ: Final = 192_000
_MAX_CHANNELS: Final = 8


def check(file: Path, kind: Kind, kept: Path) -> Verdict:
    """Decode all of it and write its packets anew. Raises BadFile."""
    about = _ABOUT[kind]
    try:
        with av.open(str(file), format=about.reads) as source:
            stream = _alone(source, about)
            _copy(source, stream, kept, about)
    except (FFmpegError, BadFile) as bad:
        kept.unlink(missing_ok=True)
        if isinstance(bad, BadFile):
            raise
        raise BadFile(Fault.BROKEN) from bad
    return Verdict(kind=kind, rewritten=True, preview=False)


def _alone(source: InputContainer, about: _About) -> AudioStream:
    """The one sound of a file; a picture may stand beside it, a film may not."""
    for video in source.streams.video:
        if not video.disposition & av.stream.Disposition.attached_pic:
            raise BadFile(Fault.MISMATCH)
    if len(source.streams.audio) != 1:
        raise BadFile(Fault.BROKEN if not source.streams.audio else Fault.POLYGLOT)
    stream = source.streams.audio[0]
    if stream.codec_context.name not in about.codecs:
        raise BadFile(Fault.TYPE_REFUSED)
    if not 0 < (stream.rate or 0) <= _MAX_RATE_HZ or not 0 < stream.channels <= _MAX_CHANNELS:
        raise BadFile(Fault.BROKEN)
    stream.codec_context.thread_count = 1
    return stream


def _copy(source: InputContainer, stream: AudioStream, kept: Path, about: _About) -> None:
    samples, most = 0, MAX_SOUND_S * stream.rate
    with av.open(
        str(kept), "w", format=about.writes, options={"fflags": "+bitexact", **about.options}
    ) as out:
        copied = out.add_stream_from_template(stream)
        copied.metadata.clear()
        for packet in source.demux(stream):
            for frame in packet.decode():
                samples += frame.samples
                if samples > most:
                    raise BadFile(Fault.TOO_LONG)
            if packet.size:
                packet.stream = copied
                out.mux(packet)
    if samples == 0:
        raise BadFile(Fault.BROKEN)
