"""A take's recording: what comes in as RTP comes out as one film without holes."""

from pathlib import Path

from rtc.recording.opus import SILENCE
from tests.rtc.recording_source import Camera, Microphone, Studio


def test_a_lesson_becomes_segments_that_an_independent_reader_plays(tmp_path: Path) -> None:
    """Picture and voice of twelve seconds, at their moments, without a hole."""
    studio = Studio(tmp_path)
    studio.on("camera", Camera())
    studio.on("voice", Microphone())
    studio.run(12)
    studio.close()
    segments = studio.segments
    film = studio.film()
    print([s[:3] for s in segments], len(film.pictures), len(film.sounds))
    film.assert_whole(0, 12_000)
    studio.voice().assert_whole(0, 12_000)
    assert sum(data != SILENCE for *_, data in film.sounds) >= 595
    assert 355 <= len(film.pictures) <= 362
