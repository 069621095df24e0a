"""One file out of many: an independent reader seeks in it, and any range is the right bytes."""

import io
import struct
from collections.abc import Iterator
from fractions import Fraction

import av
import numpy as np
import pytest
from av import AudioFrame, VideoFrame
from hypothesis import given
from hypothesis import strategies as st

from eschool.mp4_index import Piece, Span, plan, sidx

SECONDS, SEGMENT_S, RATE = 24, 2, 25


class Film:
    """A fragmented MP4 cut into its init segment and its segments, by a muxer that is not ours."""

    def __init__(self, made: bytes, timescale: int) -> None:
        found = list(boxes(made))
        self.timescale = timescale
        self.init = found[0][1] + found[1][1]
        self.segments = [b""] * (SECONDS // SEGMENT_S)
        for kind, box in found[2:]:
            if kind == b"moof":  # several chunks make a segment, as the media worker writes them
                second = struct.unpack_from(">Q", box, box.index(b"tfdt") + 8)[0] / timescale
                segment = min(int((second + 0.1) / SEGMENT_S), len(self.segments) - 1)
            if kind in {b"moof", b"mdat"}:
                self.segments[segment] += box

    def whole(self, *, skip: range = range(0)) -> bytes:
        """Give init, index and segments as one file, without those of `skip`."""
        kept = [n for n in range(len(self.segments)) if n not in skip]
        spans = [Span(n * SEGMENT_S * 1000, SEGMENT_S * 1000, len(self.segments[n])) for n in kept]
        return b"".join([self.init, sidx(spans, self.timescale), *(self.segments[n] for n in kept)])


class Traced(io.BytesIO):
    """A file that remembers where it was read."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.places: list[int] = []

    def read(self, size: int | None = -1, /) -> bytes:
        self.places.append(self.tell())
        return super().read(size)


def boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    position = 0
    while position < len(data):
        size, kind = struct.unpack_from(">I4s", data, position)
        yield kind, data[position : position + size]
        position += size


def made_film(edition: str) -> Film:
    """Noise on purpose: files as large as real ones, relative to what a reader reads at once."""
    out = io.BytesIO()
    options = {"movflags": "empty_moov+default_base_moof", "frag_duration": "500000"}
    if edition == "lesson":
        options["movflags"] += "+frag_keyframe"
    with av.open(out, "w", format="mp4", options=options) as file:
        if edition == "lesson":
            screen = file.add_stream("libx264", rate=RATE, width=320, height=180)
            keys = str(RATE * SEGMENT_S)
            screen.options = {"g": keys, "sc_threshold": "0", "preset": "ultrafast", "bf": "0"}
        voice = file.add_stream("libopus", rate=48000)
        noise = np.random.default_rng(7)
        size = 48000 // RATE
        for n in range(RATE * SECONDS):
            if edition == "lesson":
                shown = noise.integers(0, 255, (180, 320, 3), dtype=np.uint8)
                frame = VideoFrame.from_ndarray(shown, "rgb24")
                frame.pts, frame.time_base = n, Fraction(1, RATE)
                file.mux(screen.encode(frame))
            said = noise.integers(-9000, 9000, (1, size), dtype=np.int16)
            heard = AudioFrame.from_ndarray(said, "s16", "mono")
            heard.sample_rate, heard.pts, heard.time_base = 48000, n * size, Fraction(1, 48000)
            file.mux(voice.encode(heard))
        if edition == "lesson":
            file.mux(screen.encode())
        file.mux(voice.encode())
    return Film(out.getvalue(), 12800 if edition == "lesson" else 48000)


@pytest.fixture(scope="module", params=["lesson", "audio"])
def film(request: pytest.FixtureRequest) -> Film:
    """A film of 24 seconds in twelve segments, and the same as voice alone."""
    return made_film(request.param)


def length_s(file: "av.container.InputContainer") -> float:
    assert file.duration is not None
    return file.duration / av.time_base


def shown_at(file: "av.container.InputContainer", second: float) -> float:
    """Seek as a player does; give the time of the first frame that comes."""
    stream = file.streams[0]
    assert stream.time_base is not None
    file.seek(int(second / stream.time_base), stream=stream)
    frame = next(file.decode(stream))
    assert isinstance(frame, VideoFrame | AudioFrame)
    assert frame.time is not None
    return frame.time


def test_a_reader_knows_the_length_and_seeks_without_reading_on(film: Film) -> None:
    """FFmpeg, which also plays in Chromium; without the index it walks through the whole file."""
    indexed, bare = Traced(film.whole()), Traced(film.init + b"".join(film.segments))
    size = len(film.whole())
    with av.open(indexed) as file, av.open(bare):
        assert max(indexed.places) < size * 0.2
        assert max(bare.places) > size * 0.8, "the control: it has to look everywhere"
        assert length_s(file) == SECONDS
        for second in (20.5, 3.0, 12.25, 23.5, 0.0):
            segment = second // SEGMENT_S * SEGMENT_S
            assert segment <= shown_at(file, second) + 0.03 <= second + 0.06
        indexed.places.clear()
        shown_at(file, 20.5)
        assert min(indexed.places) > len(film.init), "nothing is read again from the start"


def test_a_hole_in_the_time_line_shifts_nothing_behind_it(film: Film) -> None:
    """Eight seconds that this viewer may not watch."""
    with av.open(io.BytesIO(film.whole(skip=range(4, 8)))) as file:
        assert length_s(file) == SECONDS
        assert shown_at(file, 17.0) == pytest.approx(16.5, abs=0.55)
        assert shown_at(file, 12.0) == pytest.approx(7.0, abs=1.05), "the last one before the hole"


def test_a_recording_may_begin_later_than_nought(film: Film) -> None:
    """The first take was for the class alone."""
    with av.open(io.BytesIO(film.whole(skip=range(6)))) as file:
        assert file.start_time is not None
        assert file.start_time / av.time_base == pytest.approx(12, abs=0.01)
        assert shown_at(file, 20.5) == pytest.approx(20.25, abs=0.3)


def test_the_box_is_as_the_standard_writes_it() -> None:
    """ISO/IEC 14496-12, 8.16.3: read field by field."""
    spans = [Span(5000, 2500, 111_111), Span(7500, 1333, 222_222)]
    box = sidx(spans, 90_000, reference_id=1)
    assert box == bytes.fromhex(
        "00000040 73696478 01 000000"  # 64 bytes, sidx, version 1
        "00000001 00015f90"  # of track 1, in ticks of 1/90000
        "000000000006ddd0 0000000000000000"  # from 5 s on, right behind this box
        "0000 0002"
        "0001b207 00036ee8 90000000"  # 111111 bytes, 2.5 s, begins with a key frame
        "0003640e 0001d4a2 90000000"
    )


@given(
    st.lists(st.binary(max_size=40), max_size=12),
    st.integers(min_value=0, max_value=600),
    st.integers(min_value=0, max_value=600),
)
def test_any_range_is_the_slice_of_the_whole(parts: list[bytes], start: int, length: int) -> None:
    """Pieces read as planned, put one after the other."""
    pieces = [Piece(str(n), len(part)) for n, part in enumerate(parts)]
    planned = plan(pieces, start, length)
    got = b"".join(parts[int(key)][offset : offset + size] for key, offset, size in planned)
    assert got == b"".join(parts)[start : start + length]
    assert all(size > 0 for _, _, size in planned)
