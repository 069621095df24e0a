"""What a take shows and whose voice it has at each moment."""

from tests.rtc.recording_source import (
    H264_SCREEN,
    Camera,
    Microphone,
    Studio,
    classroom,
    clip,
    sizes_at,
    spoken,
)


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
