"""A take's recording: what comes in as RTP comes out as one film without holes."""

import random
import struct
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

from rtc.recording import take_folder
from rtc.recording.tracks import PictureTap
from tests.rtc.recording_source import (
    Camera,
    Microphone,
    Studio,
    classroom,
    clip,
    spoken,
)


def test_a_lesson_becomes_segments_that_an_independent_reader_plays(studio: Studio) -> None:
    """Picture and voice of twelve seconds, at their moments, without a hole."""
    classroom(studio)
    studio.run(12)
    studio.close()
    film = studio.film()
    film.assert_whole(0, 12_000)
    studio.voice().assert_whole(0, 12_000)
    assert spoken(film) >= 595
    assert 355 <= len(film.pictures) <= 365
    assert film.sizes[-1] == (320, 180)


def test_every_segment_starts_with_a_key_picture_and_is_at_most_four_seconds(
    studio: Studio,
) -> None:
    """Asked for in time, a key picture is there every two and a half seconds."""
    camera, _ = classroom(studio)
    camera.frames = clip(320, 180, frames=600)  # no key picture of its own accord
    studio.run(15)
    studio.close()
    segments = studio.segments
    assert segments[0][0] == 0
    for (start, duration, _, _), (following, *_) in pairwise(segments):
        assert following == start + duration
    assert all(2000 <= duration <= 3000 for _, duration, *_ in segments[:-1])
    film = studio.film()
    film.assert_whole(0, 15_000)
    keys = {round(at * 1000) for at, _, key, _ in film.pictures if key}
    assert {start for start, *_ in segments} <= keys


def test_a_publisher_who_sends_no_key_picture_gets_segments_of_four_seconds(
    studio: Studio,
) -> None:
    """The last key picture is repeated, and what does not follow from it is left out."""
    camera, _ = classroom(studio)
    camera.frames = clip(320, 180, frames=600)
    studio.run(3)
    camera.key = lambda: None  # type: ignore[method-assign] # deaf from now on
    studio.run(12)
    studio.close()
    assert max(duration for _, duration, *_ in studio.segments) <= 4000
    studio.film().assert_whole(0, 15_000)


def test_packets_out_of_order_and_twice_change_nothing(tmp_path: Path) -> None:
    """The same lesson with every few packets swapped and repeated is the same film."""
    films = []
    for name in ("straight", "shuffled"):
        studio = Studio(tmp_path / name)
        classroom(studio)
        studio.run(1)
        if name == "shuffled":
            studio.through = shuffle()
        studio.run(5)
        studio.close()
        films.append(studio.film())
    straight, shuffled = films
    shuffled.assert_whole(0, 6000)
    most = len(straight.pictures) - 5
    shown = [[data for *_, data in film.pictures[:most]] for film in films]
    assert shown[0] == shown[1]
    assert spoken(shuffled) >= spoken(straight) - 10


def shuffle() -> Callable[[str, bytes], list[bytes]]:
    """Holds four packets back, gives them out in the wrong order, the newest twice."""
    held: dict[str, list[bytes]] = {"camera": [], "voice": []}

    def through(track: str, packet: bytes) -> list[bytes]:
        held[track].append(packet)
        if len(held[track]) < 4:
            return []
        out, held[track] = [*reversed(held[track]), packet], []
        return out

    return through


def test_a_lost_packet_costs_the_pictures_until_the_next_key_picture(studio: Studio) -> None:
    """It is asked for, the last whole picture lasts longer, and everything decodes."""
    camera, _ = classroom(studio)
    camera.frames = clip(320, 180, frames=600)
    studio.run(5)
    lost = [False]

    def lossy(track: str, packet: bytes) -> list[bytes]:
        if track == "camera" and not lost[0]:
            lost[0] = True
            return []
        return [packet]

    studio.through, before, asked = lossy, studio.now, len(studio.asked)
    studio.run(2)
    answered = studio.asked[asked:]
    studio.close()
    assert answered
    assert 0.4 <= answered[0][1] - before <= 0.8
    film = studio.film()
    film.assert_whole(0, 7000)
    longest = max(length for _, length, *_ in film.pictures)
    assert 0.4 < longest < 1.2
    assert spoken(film, 5, 7) >= 95


def test_steady_loss_leaves_a_film_that_decodes(studio: Studio) -> None:
    """Three packets of a hundred, never sent again."""
    dice = random.Random(3)  # noqa: S311 - the same loss in every run
    classroom(studio)
    studio.through = lambda _, packet: [packet] if dice.random() > 0.03 else []
    studio.run(20)
    studio.close()
    film = studio.film()
    film.assert_whole(0, 20_000)
    assert spoken(film) >= 920
    assert len(film.pictures) > 60


def test_sequence_and_time_wrap_around_unseen(studio: Studio) -> None:
    """Both streams begin just before their counters are full."""
    camera, microphone = Camera(sequence=65_530, timestamp=2**32 - 90_000), Microphone()
    microphone.sequence, microphone.timestamp = 65_520, 2**32 - 48_000
    studio.on("camera", camera)
    studio.on("voice", microphone)
    studio.run(5)
    studio.close()
    assert camera.sequence > 65_536
    film = studio.film()
    film.assert_whole(0, 5000)
    assert spoken(film) >= 245
    assert len(film.pictures) >= 145


def test_a_take_that_starts_before_any_media_is_black_and_silent_at_first(studio: Studio) -> None:
    """Nobody sends anything for five seconds."""
    studio.run(5)
    classroom(studio)
    studio.run(5)
    studio.close()
    film = studio.film()
    film.assert_whole(0, 10_000)
    assert spoken(film, 0, 4.9) == 0
    assert all(luma == 16 for luma in film.luma[:4])
    assert [lost for _, _, lost, _ in studio.segments] == [0] * len(studio.segments)


def test_a_take_lies_behind_the_takes_before_it(tmp_path: Path) -> None:
    """Its time line begins at its base."""
    studio = Studio(tmp_path, base_ms=61_234)
    classroom(studio)
    studio.run(5)
    studio.close()
    studio.film().assert_whole(61_234, 66_234)
    studio.voice().assert_whole(61_234, 66_234)


def test_a_minute_in_which_no_segment_can_be_opened_is_told_as_lost(
    studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the taps kept of it, oldest pictures and newest voice, is not half recorded."""
    classroom(studio)
    studio.run(6)
    with monkeypatch.context() as full:
        full.setattr(take_folder, "LEAST_FREE_BYTES", 1 << 62)
        studio.run(60)
    studio.run(9)
    studio.close()
    camera = studio.recorder.taps["camera"]
    assert isinstance(camera, PictureTap)
    assert camera._bytes == sum(len(view.data) for view in camera.ready)
    assert 58_000 <= sum(lost for _, _, lost, _ in studio.segments) <= 64_000
    film = studio.film()
    film.assert_whole(0, 75_000)
    assert spoken(film, 8.5, 65.9) == 0
    assert spoken(film, 68, 75) >= 345


def test_a_take_of_no_time_leaves_nothing(studio: Studio) -> None:
    """Started and stopped at once."""
    studio.close()
    assert studio.segments == []
    assert [path.name for path in studio.take_folder.iterdir()] == ["0.over"]


def test_hostile_packets_never_raise_and_hold_no_memory(studio: Studio) -> None:
    """Noise, cut packets, jumps and endless fragments beside a lesson that goes on."""
    dice = random.Random(11)  # noqa: S311 - the same noise in every run
    camera, microphone = classroom(studio)
    studio.run(3)
    for _ in range(3000):
        for name in ("camera", "screen", "voice", "floor"):
            kind = dice.randrange(6)
            noise = dice.randbytes(dice.randrange(0, 60))
            stamp, sequence = dice.getrandbits(32), dice.getrandbits(16)
            if kind == 0:
                packet = noise
            elif kind == 1:
                packet = camera.next(stamp)[0][: dice.randrange(0, 40)]
            else:
                head = bytes([dice.choice([0x80, 0x90, 0xA0, 0xB0, 0x8F]), dice.getrandbits(8)])
                packet = head + struct.pack("!HII", sequence, stamp, 7) + noise
            studio.recorder.taps[name].packet(packet, studio.now)
            if dice.random() < 0.01:
                studio.recorder.taps[name].report(dice.getrandbits(64), stamp, studio.now)
    for n in range(5000):  # a picture that never ends
        head = struct.pack("!BBHII", 0x80, 102, n & 0xFFFF, 5, 7)
        studio.recorder.taps["camera"].packet(head + b"\x7c\x05" + bytes(1100), studio.now)
    studio.run(3)
    assert held_bytes(studio) < 24 << 20
    for name in ("camera", "voice"):
        studio.recorder.taps[name].restarted()
    camera.sequence, microphone.sequence = 100, 100
    studio.run(12)
    studio.close()
    film = studio.film()
    assert film.pictures[-1][0] > 17
    film.assert_whole(0, 18_000)
    assert spoken(film, 14, 18) > 150


def held_bytes(studio: Studio) -> int:
    """What the recorder's tracks keep."""
    total = 0
    for tap in studio.recorder._tracks:
        held = tap._reorder._held.values()
        total += sum(len(each.payload) for each in held)
        total += sum(len(each.data) for each in tap.ready)  # type: ignore[attr-defined]
    total += studio.recorder.taps["camera"]._depacketiser._bytes  # type: ignore[attr-defined]
    return total
