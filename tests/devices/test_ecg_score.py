"""Scoring of detected beats: one to one, within 150 ms."""

import numpy as np
import pytest

from devices.ecg.score import Score, match


def scored(true: list[int], found: list[int], *leave_out: tuple[int, int]) -> tuple[int, int, int]:
    score = match(np.array(true, np.int64), np.array(found, np.int64), 100, leave_out)
    return score.right, score.missed, score.false


@pytest.mark.parametrize(
    ("true", "found", "counts"),
    [
        ([], [], (0, 0, 0)),
        ([100, 200], [100, 200], (2, 0, 0)),
        ([100], [115], (1, 0, 0)),
        ([100], [116], (0, 1, 1)),
        ([100], [95, 105], (1, 0, 1)),
        ([100, 110], [105], (1, 1, 0)),
        ([100, 200], [], (0, 2, 0)),
        ([], [50], (0, 0, 1)),
    ],
)
def test_each_beat_is_matched_once_within_150_ms(
    true: list[int], found: list[int], counts: tuple[int, int, int]
) -> None:
    assert scored(true, found) == counts


def test_the_nearer_of_two_detections_is_the_beat() -> None:
    score = match(np.array([100]), np.array([90, 101]), 100)
    assert score.pairs == ((0, 1),)


def test_flutter_counts_neither_way() -> None:
    assert scored([100, 200, 300], [100, 220, 300], (150, 250)) == (2, 0, 0)


def test_figures_follow_from_the_counts() -> None:
    score = Score(98, 2, 1) + Score(1, 0, 0)
    assert score.sensitivity == pytest.approx(99 / 101)
    assert score.predictivity == pytest.approx(99 / 100)
    assert score.f1 == pytest.approx(198 / 201)


def test_nothing_to_find_and_nothing_found_is_no_error() -> None:
    empty = Score(0, 0, 0)
    assert (empty.sensitivity, empty.predictivity, empty.f1) == (1, 1, 1)
