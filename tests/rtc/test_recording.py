"""A take's recording: what comes in as RTP comes out as one film without holes."""

import random
import struct
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

from rtc.recording import mp4, take_folder
from rtc.recording.opus import SILENCE
from rtc.recording.programme import BLACK
from rtc.recording.tracks import PictureTap
from tests.rtc.recording_source import H264_SCREEN, Camera, Film, Microphone, Studio, clip


@pytest.fixture
def studio(tmp_path: Path) -> Studio:
    return Studio(tmp_path)


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


def test_a_report_that_comes_late_puts_voice_and_picture_together(studio: Studio) -> None:
    """The voice arrives 300 ms after the picture of its moment; reports say so after 1.5 s."""
    camera, microphone = classroom(studio)
    del camera
    late: list[tuple[float, bytes]] = []

    def slow(track: str, packet: bytes) -> list[bytes]:
        if track == "camera":
            return [packet]
        late.append((studio.now + 0.3, packet))
        due = [each for at, each in late if at <= studio.now]
        late[:] = [pair for pair in late if pair[0] > studio.now]
        return due

    studio.through = slow
    for name in ("camera", "voice"):
        studio.report_after[name] = studio.now + 1.5
    studio.run(8)
    studio.close()
    film = studio.film()
    film.assert_whole(0, 8000)
    assert microphone.sent > 390
    first_voice = next(at for at, _, data in film.sounds if data != SILENCE)
    first_picture = next(at for at, _, _, data in film.pictures if data != BLACK)
    assert abs(first_voice - first_picture) <= 0.04


def test_without_reports_the_arrival_counts(studio: Studio) -> None:
    """After two seconds of waiting; nothing of them is lost."""
    studio.reports = False
    classroom(studio)
    studio.run(6)
    studio.close()
    film = studio.film()
    film.assert_whole(0, 6000)
    assert spoken(film) >= 295
    assert len(film.pictures) >= 175


def test_a_report_after_the_arrival_counted_moves_nothing_backwards(studio: Studio) -> None:
    """The clock is slewed: no picture is out of order, no voice is cut by more than it is off."""
    classroom(studio)
    for name in ("camera", "voice"):
        studio.report_after[name] = studio.now + 4
    studio.run(12)
    studio.close()
    film = studio.film()
    film.assert_whole(0, 12_000)
    assert spoken(film) >= 590


def test_a_voice_whose_clock_runs_fast_stays_with_the_picture(studio: Studio) -> None:
    """Of a clock two in a thousand fast, 240 ms in two minutes, nothing is left."""
    classroom(studio)
    studio.skew["voice"] = 0.002
    studio.run(115)
    made: dict[str, float] = {}

    def mark(name: str, now: float) -> bytes:
        if name in made:
            return b""
        made[name] = now
        return b"@@" + name.encode()

    studio.mark = mark
    studio.run(5)
    studio.close()
    film = Film(mp4.INIT + b"".join(path.read_bytes() for *_, path in studio.segments[-4:]))
    seen = next(at for at, _, _, data in film.pictures if b"@@camera" in data)
    heard = next(at for at, _, data in film.sounds if b"@@voice" in data)
    assert abs((seen - made["camera"]) - (heard - made["voice"])) < 0.045


def test_a_new_source_with_another_clock_goes_on_in_its_place(studio: Studio) -> None:
    """The presenter reloads his page: other clocks, a key picture, one line."""
    classroom(studio)
    studio.run(4)
    studio.off("camera")
    studio.off("voice")
    studio.run(2)
    for name in ("camera", "voice"):
        studio.recorder.taps[name].restarted()
        studio.ntp_of[name] = 1.0e9
    studio.on("camera", Camera(640, 360, timestamp=77, sequence=9))
    studio.on("voice", Microphone(timestamp=88, sequence=99))
    studio.run(6)
    studio.close()
    film = studio.film()
    film.assert_whole(0, 12_000)
    assert spoken(film, 4.2, 5.9) == 0
    assert spoken(film, 6.1, 12) >= 290
    assert sizes_at(film, 7) == (640, 360)


@pytest.mark.parametrize("behind_s", [0.9, 0.5])
def test_the_next_one_on_the_floor_is_heard_though_his_clock_is_behind(
    studio: Studio, behind_s: float
) -> None:
    """His reports are not taken for slow ones of the pupil before him."""
    studio.on("floor", Microphone())
    studio.run(5)
    studio.off("floor")
    studio.run(1)
    studio.recorder.taps["floor"].restarted()
    studio.ntp_of["floor"] = 3.9e9 - behind_s
    studio.on("floor", Microphone(timestamp=88, sequence=99))
    studio.run(10)
    studio.close()
    film = studio.film()
    film.assert_whole(0, 16_000)
    assert spoken(film, 0, 5) >= 245
    assert spoken(film, 6, 16) >= 495


@pytest.mark.parametrize("set_s", [-3600, -0.9, -0.5, 0.5, 3600])
def test_a_clock_that_is_set_in_the_middle_moves_nothing(studio: Studio, set_s: float) -> None:
    """Neither picture nor voice: their own clocks go on."""
    classroom(studio)
    studio.run(5)
    for name in ("camera", "voice"):
        studio.ntp_of[name] = 3.9e9 + set_s
    studio.run(10)
    studio.close()
    film = studio.film()
    film.assert_whole(0, 15_000)
    assert spoken(film) >= 745
    assert max(length for _, length, *_ in film.pictures) < 0.06


def test_camera_off_repeats_the_last_key_picture_and_mute_is_silence(studio: Studio) -> None:
    """About once a second, so that there is always something to start a segment with."""
    classroom(studio)
    studio.run(4)
    studio.off("camera")
    studio.off("voice")
    studio.run(10)
    studio.close()
    film = studio.film()
    film.assert_whole(0, 14_000)
    still = [picture for picture in film.pictures if 5.6 < picture[0] < 14]
    assert 7 <= len(still) <= 11
    assert all(key for _, _, key, _ in still)
    assert len({data for *_, data in still}) == 1
    assert spoken(film, 4.1, 14) == 0


def test_after_the_camera_is_back_pictures_begin_with_a_key_picture(studio: Studio) -> None:
    """A repeated key picture has broken the chain of those that follow from one another."""
    camera, _ = classroom(studio)
    camera.frames = clip(320, 180, frames=600)
    studio.run(4)
    studio.off("camera")
    studio.run(4)
    asked = len(studio.asked)
    studio.on("camera", camera)
    studio.run(4)
    studio.close()
    assert len(studio.asked) > asked
    film = studio.film()
    film.assert_whole(0, 12_000)
    assert sum(at >= 9 for at, *_ in film.pictures) > 60
    repeated = max(n for n, (at, *_) in enumerate(film.pictures) if at < 8)
    follows = film.pictures[repeated + 1]
    assert follows[2], "the first picture after the repeated ones is a key picture"


def test_the_screen_is_the_picture_while_it_arrives(studio: Studio) -> None:
    """Camera, screen, camera again; each begins with its key picture."""
    classroom(studio)
    studio.run(4)
    studio.on("screen", Camera(640, 480, rate=5, kind=H264_SCREEN, sequence=5, timestamp=6))
    studio.run(6)
    studio.off("screen")
    studio.run(8)
    studio.close()
    film = studio.film()
    film.assert_whole(0, 18_000)
    assert sizes_at(film, 3) == (320, 180)
    assert sizes_at(film, 6) == (640, 480)
    assert sizes_at(film, 9.5) == (640, 480)
    assert sizes_at(film, 15) == (320, 180)


def test_a_still_screen_of_one_picture_a_second_is_no_absence(studio: Studio) -> None:
    """Its pictures are kept as they come: none is repeated in between."""
    classroom(studio)
    studio.on("screen", Camera(640, 480, rate=1, kind=H264_SCREEN))
    studio.run(15)
    studio.close()
    film = studio.film()
    film.assert_whole(0, 15_000)
    assert set(film.sizes[5:]) == {(640, 480)}
    assert 0.9 < max(length for _, length, *_ in film.pictures[3:]) < 1.6
    assert len(film.pictures) <= 20


def test_the_picture_may_change_its_size_in_the_middle(studio: Studio) -> None:
    """A weak link makes the browser send smaller pictures."""
    camera, _ = classroom(studio)
    studio.run(4)
    camera.resize(640, 360)
    studio.run(4)
    studio.close()
    film = studio.film()
    film.assert_whole(0, 8000)
    assert {(320, 180), (640, 360)} == set(film.sizes)


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


def test_the_louder_of_presenter_and_floor_is_heard(studio: Studio) -> None:
    """And whoever is alone is heard anyway; a short noise does not take the word."""
    presenter, floor = Microphone(hertz=440), Microphone(hertz=880)
    floor.two_bytes = True
    studio.on("voice", presenter)
    studio.on("floor", floor)
    presenter.loud, floor.loud = 20, 90
    studio.run(3)
    presenter.loud, floor.loud = 90, 20
    studio.run(3)
    floor.loud, presenter.loud = 100, 20
    studio.run(0.1)  # he coughs
    floor.loud, presenter.loud = 20, 90
    studio.run(1.9)
    studio.off("floor")
    presenter.loud = 127
    studio.run(2)
    studio.close()
    film = studio.film()
    film.assert_whole(0, 10_000)
    own, other = set(presenter.packets), set(floor.packets)

    def share(of: set[bytes], start_s: float, end_s: float) -> float:
        heard = [data for at, _, data in film.sounds if start_s <= at < end_s]
        return sum(data in of for data in heard) / len(heard)

    assert share(own, 0.1, 2.9) == 1
    assert share(other, 3.7, 7.9) == 1
    assert share(own, 8.3, 9.8) == 1


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
