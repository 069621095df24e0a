"""One rule says what a link is worth; its figures are those of the E-model."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from people.call_minutes import Stretch, joined
from people.call_words import LEAST_PACKETS, Measured, Word, rating, word_of, worst

AT = datetime(2026, 11, 23, 5, tzinfo=UTC)


def test_the_rating_is_that_of_the_published_model() -> None:
    """R is 93.2 without impairments; Cole and Rosenbluth's delay term bends at 177.3 ms."""
    assert rating(0.0, 0.0) == pytest.approx(93.2)
    assert rating(0.0, 177.3) == pytest.approx(93.2 - 4.2552)
    assert rating(0.0, 400.0) == pytest.approx(93.2 - 9.6 - 24.497)
    assert rating(0.02, 0.0) == pytest.approx(93.2 - 95 * 2 / 27.1)


@pytest.mark.parametrize(
    ("measured", "word"),
    [
        (Measured(packets=250, rtt_ms=40, jitter_ms=5), "good"),
        (Measured(packets=250, lost=7, rtt_ms=80), "good"),
        (Measured(packets=250, lost=20, rtt_ms=80), "fair"),
        (Measured(packets=250, lost=50, rtt_ms=80), "poor"),
        (Measured(packets=250, rtt_ms=250), "fair"),
        (Measured(packets=250, rtt_ms=500), "poor"),
        (Measured(packets=250, rtt_ms=40, jitter_ms=80), "fair"),
        # The ear's own figure counts for more than what was lost on the way.
        (Measured(packets=250, lost=50, rtt_ms=40, concealed=0.01), "good"),
        (Measured(packets=250, rtt_ms=40, concealed=0.3), "poor"),
        (Measured(packets=LEAST_PACKETS - 1, lost=LEAST_PACKETS - 1), "good"),
        (Measured(frozen=0.04), "good"),
        (Measured(frozen=0.1), "fair"),
        (Measured(frozen=0.5), "poor"),
        (Measured(step="high"), "good"),
        (Measured(step="slow"), "fair"),
        (Measured(step="voice"), "poor"),
        (Measured(packets=250, silent=True), "lost"),
    ],
)
def test_the_word_is_the_worst_of_voice_picture_and_ladder(measured: Measured, word: Word) -> None:
    """Two borders for each, and silence beneath them all."""
    assert word_of(measured) == word


def test_the_worst_of_words() -> None:
    assert worst("good", "poor", "fair") == "poor"
    assert worst("poor", "lost") == "lost"


def stretch(word: Word, since_s: int, until_s: int, **more: Any) -> Stretch:
    """Some seconds of a viewer's way."""
    values: dict[str, Any] = {"kbps": 500, "rtt_ms": None, "lost_permille": None} | more
    return Stretch(
        direction="subscribe",
        word=word,
        since=AT + timedelta(seconds=since_s),
        until=AT + timedelta(seconds=until_s),
        jitter_ms=None,
        concealed_permille=None,
        step="h",
        frozen_ms=100,
        **values,
    )


def test_minutes_of_one_word_are_one_stretch_with_its_worst_figures() -> None:
    """A break or another word ends it."""
    minutes = [
        stretch("good", 0, 60, rtt_ms=40),
        stretch("good", 60, 120, rtt_ms=90, kbps=300),
        stretch("poor", 120, 135, lost_permille=200),
        stretch("good", 135, 195),
        stretch("good", 300, 360),
    ]
    found = joined(minutes)
    assert [(one.word, (one.until - one.since).seconds) for one in found] == [
        ("good", 120),
        ("poor", 15),
        ("good", 60),
        ("good", 60),
    ]
    assert (found[0].rtt_ms, found[0].kbps, found[0].frozen_ms) == (90, 300, 200)
