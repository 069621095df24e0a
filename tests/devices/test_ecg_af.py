"""The learnt suspicion of fibrillation: its numbers, its tables and who is judged by what."""

import numpy as np
import pytest

from devices.ecg import af, intervals
from devices.ecg.trees import trees_of
from tests.devices.rhythm_maker import fibrillating, made, steady


def named(row: np.ndarray) -> dict[str, float]:
    return dict(zip(intervals.NAMES, row.tolist(), strict=True))


def test_numbers_of_intervals_reckoned_by_hand() -> None:
    said = named(intervals.describe(np.array([1.0, 1.0, 0.6, 1.4, 1.0, 1.0, 1.0, 1.0, 1.0])))
    assert said["rate"] == pytest.approx(60)
    assert said["shortest"] == pytest.approx(0.6)
    assert said["longest"] == pytest.approx(1.4)
    assert said["premature"] == said["compensated"] == said["late"] == pytest.approx(1 / 9)
    # Steps 0, 0.4, 0.8, 0.4, 0, 0, 0, 0.
    assert said["steps_20"] == said["steps_3"] == pytest.approx(3 / 8)
    assert said["step_75"] == pytest.approx(0.4)


def test_zhou_entropy_of_different_and_equal_words() -> None:
    # 100, 75, 60, 50 a minute: two words, both different: all the entropy there can be.
    assert intervals.zhou_entropy(np.array([0.6, 0.8, 1.0, 1.2])) == pytest.approx(1)
    assert intervals.zhou_entropy(np.full(20, 0.8)) == 0


def test_cosen_grows_with_disorder() -> None:
    assert intervals.cosen(np.array(steady(40))) < -1.5
    assert intervals.cosen(np.array(fibrillating(40))) > -1.0


def test_few_intervals_are_not_judged() -> None:
    assert intervals.describe(np.full(7, 0.8)) is None
    assert af.judge_intervals(np.full(7, 0.8)) is None
    ecg = made(steady(5))
    assert af.judge_waves(ecg.millivolts, ecg.rate_hz, ecg.beats) is None


@pytest.mark.parametrize("rule", [af.WAVE_RULE, af.INTERVALS_RULE])
def test_a_table_is_small_and_the_same_bytes_again(rule: str) -> None:
    data = af.path_of(rule).read_bytes()
    with np.load(af.path_of(rule)) as arrays:
        assert trees_of(arrays).to_bytes() == data
    assert len(data) < 300_000


def test_somebody_of_the_learning_set_is_judged_by_the_fold_without_them() -> None:
    trees = af.table(af.INTERVALS_RULE)
    row = intervals.describe(np.array(fibrillating(50)))
    assert row is not None
    by_fold = [trees.odds(row, trees.names[trees.fold.tolist().index(i)]) for i in range(5)]
    assert len(set(by_fold)) == 5
    assert trees.odds(row) == pytest.approx(np.mean(by_fold))
    assert trees.odds(row, "somebody new") == trees.odds(row)


def test_one_person_is_in_one_fold() -> None:
    trees = af.table(af.INTERVALS_RULE)
    fold = dict(zip(trees.names, trees.fold.tolist(), strict=True))
    assert fold["201"] == fold["202"]


def test_p_waves_speak_against_fibrillation() -> None:
    with_p = made(fibrillating(60))
    without = made(fibrillating(60), p_waves=False)
    said, other = (af.judge_waves(e.millivolts, e.rate_hz, e.beats) for e in (with_p, without))
    assert said is not None
    assert other is not None
    assert said.odds < other.odds
    assert other.suspected
