"""Real H264 and Opus as RTP, and a stage on which hours of a lesson pass in seconds."""

import re
import struct
from collections.abc import Callable
from fractions import Fraction
from functools import cache
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

import av
import numpy as np

from rtc.messages import Recording
from rtc.recording import mp4
from rtc.recording.opus import SILENCE
from rtc.recording.recorder import Recorder
from rtc.recording.spool import Spool
from storage.objects import Objects

H264_CAMERA, H264_SCREEN, OPUS = 102, 104, 111
MOST_PAYLOAD = 1100
STEP_S = 0.01
TICK_S = 0.1


@cache
def clip(
    width: int, height: int, frames: int = 60, bitrate: int = 300_000, noise: int = 0
) -> list[list[bytes]]:
    """NAL units of pictures that begin with a key picture and follow from one another."""
    grain = np.random.default_rng(7).integers(0, noise + 1, (height, width), dtype=np.uint8)
    encoder = cast("Any", av.CodecContext.create("libx264", "w"))
    encoder.width, encoder.height, encoder.pix_fmt = width, height, "yuv420p"
    encoder.time_base, encoder.bit_rate = Fraction(1, 30), bitrate
    encoder.options = {
        "profile": "baseline",
        "preset": "ultrafast",
        "tune": "zerolatency",
        "x264-params": f"keyint={frames + 1}:annexb=1:repeat-headers=1:scenecut=0:threads=1",
    }
    x = np.arange(width, dtype=np.uint16)
    y = np.arange(height, dtype=np.uint16)[:, None]
    out = []
    for n in range(frames):
        luma = (((x[None, :] + 4 * n) // 2 + y // 2) % 200 + 20).astype(np.uint8)
        luma += np.roll(grain, 7 * n, axis=1)
        chroma = np.full((height // 2, width), 128, dtype=np.uint8)
        frame = av.VideoFrame.from_ndarray(np.vstack([luma, chroma]), format="yuv420p")
        frame.pts = n
        stream = b"".join(bytes(packet) for packet in encoder.encode(frame))
        units = [unit for unit in re.split(b"\0{2,3}\1", stream) if unit]
        out.append([unit for unit in units if unit[0] & 0x1F != 6])
    assert all(out)
    return out


@cache
def tone(hertz: int = 440) -> list[bytes]:
    """Opus packets of 20 ms, one second of them."""
    encoder = cast("Any", av.CodecContext.create("libopus", "w"))
    encoder.sample_rate, encoder.layout, encoder.format = 48_000, "stereo", "s16"
    encoder.bit_rate = 32_000
    out = []
    for n in range(51):
        at = np.arange(n * 960, (n + 1) * 960) / 48_000
        wave = (8000 * np.sin(2 * np.pi * hertz * at)).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(np.repeat(wave, 2)[None, :], "s16", "stereo")
        frame.sample_rate, frame.pts = 48_000, n * 960
        out += [bytes(packet) for packet in encoder.encode(frame)]
    return out[:50]


def opus_with_mark(packet: bytes, mark: bytes) -> bytes:
    """The same sound in a packet of code 3 whose padding is the mark (RFC 6716 section 3.2.5)."""
    assert packet[0] & 3 == 0
    return bytes([packet[0] | 3, 0x41, len(mark)]) + packet[1:] + mark


def rtp(
    kind: int,
    sequence: int,
    timestamp: int,
    payload: bytes,
    *,
    marker: bool,
    extension: bytes = b"",
) -> bytes:
    """A plain packet; `extension` is a whole header extension."""
    first = 0x90 if extension else 0x80
    fields = (first, kind | 0x80 * marker, sequence & 0xFFFF, timestamp & 0xFFFFFFFF, 7)
    return struct.pack("!BBHII", *fields) + extension + payload


def packetise(units: list[bytes]) -> list[bytes]:
    """RTP payloads of one picture as libwebrtc makes them: STAP-A, single units, FU-A."""
    small = [unit for unit in units if unit[0] & 0x1F in {6, 7, 8}]
    payloads = []
    if small:
        stap = b"".join(len(unit).to_bytes(2, "big") + unit for unit in small)
        payloads.append(b"\x78" + stap)
    for unit in units:
        if unit in small:
            continue
        if len(unit) <= MOST_PAYLOAD:
            payloads.append(unit)
            continue
        parts = [unit[at : at + MOST_PAYLOAD] for at in range(1, len(unit), MOST_PAYLOAD)]
        for n, part in enumerate(parts):
            edge = 0x80 * (n == 0) | 0x40 * (n == len(parts) - 1)
            payloads.append(bytes([unit[0] & 0xE0 | 28, unit[0] & 0x1F | edge]) + part)
    return payloads


def level(loud: int, *, two_bytes: bool = False) -> bytes:
    """The audio-level extension, of -dBov."""
    if two_bytes:
        return b"\x10\x00\x00\x01\x01\x01" + bytes([loud, 0])
    return b"\xbe\xde\x00\x01\x10" + bytes([loud, 0, 0])


class Camera:
    """A picture's stream: it begins its clip anew when a key picture is asked for."""

    def __init__(
        self,
        width: int = 320,
        height: int = 180,
        *,
        rate: int = 30,
        sequence: int = 65_500,
        timestamp: int = 0xFFFF_0000,
        kind: int = H264_CAMERA,
    ) -> None:
        self.frames = clip(width, height)
        self.rate = rate
        self.sequence, self.timestamp, self.kind = sequence, timestamp, kind
        self.index = 0
        self.sent = 0

    def key(self) -> None:
        """The next picture is a key picture."""
        self.index = 0

    def resize(self, width: int, height: int) -> None:
        """Another picture size from the next picture on."""
        self.frames, self.index = clip(width, height), 0

    def next(self, timestamp: int, mark: bytes = b"") -> list[bytes]:
        """The packets of the next picture; `mark` is written into an SEI of it."""
        units = list(self.frames[self.index % len(self.frames)])
        if mark:
            units.insert(0, b"\x06\x05" + bytes([16 + len(mark)]) + b"M" * 16 + mark + b"\x80")
        self.index += 1
        self.sent += 1
        payloads = packetise(units)
        packets = []
        for n, payload in enumerate(payloads):
            last = n == len(payloads) - 1
            packets.append(rtp(self.kind, self.sequence, timestamp, payload, marker=last))
            self.sequence += 1
        return packets


class Microphone:
    """A voice's stream."""

    def __init__(
        self, *, hertz: int = 440, sequence: int = 65_530, timestamp: int = 0xFFFF_F000
    ) -> None:
        self.packets = tone(hertz)
        self.sequence, self.timestamp = sequence, timestamp
        self.sent = 0
        self.loud: int | None = 20
        self.two_bytes = False

    def next(self, timestamp: int, mark: bytes = b"") -> bytes:
        """The next 20 ms; `mark` is written into their padding."""
        payload = self.packets[self.sent % len(self.packets)]
        if mark:
            payload = opus_with_mark(payload, mark)
        self.sent += 1
        self.sequence += 1
        extension = b"" if self.loud is None else level(self.loud, two_bytes=self.two_bytes)
        return rtp(OPUS, self.sequence, timestamp, payload, marker=False, extension=extension)


class Nobody:
    """What the spool's uploader would need; a stage that never enters its spool needs none."""


class Studio:
    """A recorder with its room: sources send, time passes, and nobody waits for it."""

    def __init__(
        self,
        folder: Path,
        *,
        base_ms: int = 0,
        spool: Spool | None = None,
        room: str = "room-1",
        now: float = 1000.0,
        wall: float = 1_700_000_000.0,
        late_s: float = 0.0,
    ) -> None:
        self.folder, self.room = folder, room
        self.spool = spool or Spool(folder, lambda: cast("Objects", Nobody()), lambda _: None)
        self.now, self.wall = now, wall
        self.began = now
        self.asked: list[tuple[str, float]] = []
        self.recording = Recording("take-1", wall, base_ms)
        self.cameras: dict[str, Camera] = {}
        self.microphones: dict[str, Microphone] = {}
        self.next_at: dict[str, float] = {}
        self.skew: dict[str, float] = {}
        self.ntp_of: dict[str, float] = {}
        self.reports = True
        self.report_late = 0.0  # so long a report is under way
        self.report_after: dict[str, float] = {}
        self.through: Callable[[str, bytes], list[bytes]] = lambda _, packet: [packet]
        self.mark: Callable[[str, float], bytes] = lambda _name, _now: b""
        self.advance(late_s)
        self.record()

    def record(self) -> None:
        """A recorder begins, or goes on after the one before was lost."""
        wall = self.wall + self.now - self.began
        self.recorder = Recorder(self.room, self.recording, self.spool, self._ask, self.now, wall)
        self.tick_at = self.now + TICK_S

    def advance(self, seconds: float) -> None:
        """Time passes without anybody."""
        self.now += seconds

    def _ask(self, name: str) -> None:
        self.asked.append((name, self.now))
        if name in self.cameras:
            self.cameras[name].key()

    def on(self, name: str, source: Camera | Microphone) -> None:
        """A source begins to send."""
        if isinstance(source, Camera):
            self.cameras[name] = source
        else:
            self.microphones[name] = source
        self.next_at[name] = self.now
        self.report_after[name] = self.now + 0.3

    def off(self, name: str) -> None:
        """A source falls silent."""
        self.cameras.pop(name, None)
        self.microphones.pop(name, None)
        del self.next_at[name]

    def rtp_time(self, name: str, rate: int) -> int:
        """RTP time now of a source whose clock runs fast by its skew."""
        source = self.cameras.get(name) or self.microphones[name]
        elapsed = (self.now - self.began) * (1 + self.skew.get(name, 0.0))
        return source.timestamp + round(elapsed * rate)

    def run(self, seconds: float) -> None:
        """Time passes: everything that is due is sent, reported, ticked."""
        until = self.now + seconds
        while self.now < until - 1e-9:
            self.now = round(self.now + STEP_S, 6)
            self._send()
            if self.now >= self.tick_at:
                self.tick_at += TICK_S
                self.tick()

    def tick(self) -> None:
        """What the worker does ten times a second."""
        self.recorder.tick(self.now)

    def _send(self) -> None:
        for name, camera in self.cameras.items():
            while self.next_at[name] <= self.now:
                self.next_at[name] += 1 / camera.rate
                stamp = self.rtp_time(name, 90_000)
                for packet in camera.next(stamp, self.mark(name, self.now)):
                    self._deliver(name, packet)
                self._report(name, stamp)
        for name, microphone in self.microphones.items():
            while self.next_at[name] <= self.now:
                self.next_at[name] += 0.02 / (1 + self.skew.get(name, 0.0))
                stamp = self.rtp_time(name, 48_000)
                self._deliver(name, microphone.next(stamp, self.mark(name, self.now)))
                self._report(name, stamp)

    def _deliver(self, name: str, packet: bytes) -> None:
        for each in self.through(name, packet):
            self.recorder.taps[name].packet(each, self.now)

    def _report(self, name: str, stamp: int) -> None:
        if not self.reports or self.now < self.report_after[name]:
            return
        self.report_after[name] = self.now + 1.0
        made = self.now - self.report_late
        stamp -= round(self.report_late * (90_000 if name in self.cameras else 48_000))
        ntp = int((made + self.ntp_of.get(name, 3.9e9)) * (1 << 32))
        self.recorder.taps[name].report(ntp, stamp & 0xFFFFFFFF, self.now)

    def close(self) -> None:
        """The teacher stops the recording."""
        self.recorder.close(self.now)

    @property
    def take_folder(self) -> Path:
        """Where the take lies."""
        return self.folder / self.room / "take-1"

    @property
    def segments(self) -> list[tuple[int, int, int, Path]]:
        """Start, duration and loss in ms of the whole segments, and their files."""
        out = []
        for path in sorted(self.take_folder.glob("*.*.*.m4s")):
            start, duration, lost, _ = path.name.split(".")
            out.append((int(start), int(duration), int(lost), path))
        return out

    def film(self) -> "Film":
        """What a player finds in the whole of it."""
        return Film(mp4.INIT + b"".join(path.read_bytes() for *_, path in self.segments))

    def voice(self) -> "Film":
        """What a player finds in the audio edition."""
        starts = [start for start, *_ in self.segments]
        files = [self.take_folder / f"{start:010d}.a.m4s" for start in starts]
        return Film(mp4.VOICE_INIT + b"".join(path.read_bytes() for path in files))


class Film:
    """A file read and decoded by an independent reader."""

    def __init__(self, data: bytes, *, decode: bool = True) -> None:
        self.pictures: list[tuple[float, float, bool, bytes]] = []  # start, duration in s, key
        self.sounds: list[tuple[float, float, bytes]] = []
        self.sizes: list[tuple[int, int]] = []  # of the decoded pictures
        self.samples = 0
        self.luma: list[float] = []
        with av.open(BytesIO(data)) as file:
            for packet in file.demux():
                if packet.size == 0 or packet.pts is None or packet.time_base is None:
                    continue
                start = float(packet.pts * packet.time_base)
                length = float((packet.duration or 0) * packet.time_base)
                assert packet.pts == packet.dts
                if packet.stream.type == "video":
                    self.pictures.append((start, length, packet.is_keyframe, bytes(packet)))
                else:
                    self.sounds.append((start, length, bytes(packet)))
        if decode:
            self._decode(data)

    def _decode(self, data: bytes) -> None:
        with av.open(BytesIO(data)) as file:
            for stream in file.streams:
                stream.codec_context.options = {"err_detect": "explode"}
            for frame in file.decode():
                if isinstance(frame, av.VideoFrame):
                    self.sizes.append((frame.width, frame.height))
                    self.luma.append(float(frame.to_ndarray()[: frame.height].mean()))
                    assert not frame.is_corrupt
                else:
                    self.samples += cast("av.AudioFrame", frame).samples

    def assert_whole(self, start_ms: int, end_ms: int) -> None:
        """Both tracks run from start to end without hole or overlap, and every picture decodes."""
        for track in (self.pictures, self.sounds):
            if not track:
                continue
            assert round(track[0][0] * 1000, 3) == start_ms
            for one, other in pairwise(track):
                assert abs(one[0] + one[1] - other[0]) < 1e-6, (one[:2], other[:2])
            assert round((track[-1][0] + track[-1][1]) * 1000, 3) == end_ms
        if self.pictures:
            assert len(self.sizes) == len(self.pictures)


def classroom(studio: Studio) -> tuple[Camera, Microphone]:
    """The presenter's camera and voice, both on."""
    camera, microphone = Camera(), Microphone()
    studio.on("camera", camera)
    studio.on("voice", microphone)
    return camera, microphone


def spoken(film: Film, start_s: float = 0.0, end_s: float = 1e9) -> int:
    """How many packets of real voice lie between two moments."""
    return sum(start_s <= at < end_s and data != SILENCE for at, _, data in film.sounds)


def sizes_at(film: Film, second: float) -> tuple[int, int]:
    """Size of the picture that is shown at a moment."""
    pairs = zip(film.pictures, film.sizes, strict=True)
    return next(size for (at, length, *_), size in pairs if at <= second < at + length)
