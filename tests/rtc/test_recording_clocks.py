"""Voice and picture of a take lie together, whatever their senders' clocks do."""

import pytest

from rtc.recording import mp4
from rtc.recording.opus import SILENCE
from rtc.recording.programme import BLACK
from tests.rtc.recording_source import Camera, Film, Microphone, Studio, classroom, sizes_at, spoken


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
