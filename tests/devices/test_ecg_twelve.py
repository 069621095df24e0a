"""Whether a recording of twelve leads may be read, and which lead is in doubt."""

import numpy as np
import pytest
from numpy.typing import NDArray

from devices.ecg.quality import Reason
from devices.ecg.twelve import LeadDoubt, judge_twelve, table

Floats = NDArray[np.float64]

HEIGHTS = (0.8, 1.2, 0.5, -1.0, 0.3, 0.9, -0.7, -1.1, 0.6, 1.4, 1.2, 0.9)


def resting(rate_hz: float = 500.0, seconds: float = 10.0) -> Floats:
    """Twelve clean leads with a beat every 0.8 s."""
    at = np.arange(round(seconds * rate_hz)) / rate_hz
    since = (at + 0.3) % 0.8 - 0.4
    beat = np.exp(-((since / 0.012) ** 2)) + 0.25 * np.exp(-(((since - 0.2) / 0.05) ** 2))
    draw = np.random.default_rng(5)
    return np.outer(HEIGHTS, beat) + 0.01 * draw.standard_normal((12, len(at)))


@pytest.mark.parametrize("rate_hz", [100.0, 250.0, 360.0, 500.0, 1000.0])
def test_a_clean_recording_is_acceptable_at_any_rate_and_offset(rate_hz: float) -> None:
    judged = judge_twelve(resting(rate_hz) + 3.0, rate_hz)
    assert judged.acceptable
    assert judged.doubts == ()


def spoilt(lead: int, first_s: float, values: Floats | float) -> Floats:
    x = resting()
    start = round(first_s * 500)
    count = 5000 - start if isinstance(values, float) else len(values)
    x[lead, start : start + count] = values
    return x


def movement() -> Floats:
    x = resting()
    at = np.arange(1500) / 500
    x[7:10, 1000:2500] += 4 * np.sign(np.sin(2 * np.pi * 0.8 * at)) * np.sin(np.pi * at / 3)
    return x


def muscles() -> Floats:
    x = resting()
    x[:6] += 0.4 * np.random.default_rng(1).standard_normal((6, 5000))
    return x


@pytest.mark.parametrize(
    ("x", "lead", "reason"),
    [
        (spoilt(4, 0.0, 0.0), 4, Reason.FLAT_LINE),
        (spoilt(4, 6.0, 0.2), 4, Reason.FLAT_LINE),
        (spoilt(11, 0.0, float("nan")), 11, Reason.ELECTRODE_OFF),
        (spoilt(6, 8.0, 16.0), 6, Reason.SATURATION),
        (movement(), 8, Reason.MOVEMENT),
        (muscles(), 2, Reason.MUSCLE),
    ],
)
def test_a_spoilt_lead_makes_it_unacceptable_and_is_named(
    x: Floats, lead: int, reason: Reason
) -> None:
    judged = judge_twelve(x, 500.0)
    assert not judged.acceptable
    assert LeadDoubt(lead, reason) in judged.doubts


def test_a_lead_that_wanders_slowly_is_in_doubt() -> None:
    x = resting()
    x[3] += 2.5 * np.sin(2 * np.pi * 0.15 * np.arange(5000) / 500)
    assert judge_twelve(x, 500.0).doubts == (LeadDoubt(3, Reason.DRIFT),)


@pytest.mark.parametrize(
    "x",
    [
        np.empty((12, 0)),
        np.zeros((12, 1)),
        np.zeros((12, 5000)),
        np.full((12, 5000), np.nan),
        np.full((12, 5000), np.inf),
        np.full((12, 5000), 1e300),
        np.random.default_rng(2).standard_normal((12, 5000)),
        np.zeros((0, 5000)),
        np.zeros((1, 1200)),
    ],
)
def test_what_is_no_ecg_is_unacceptable_and_never_an_error(x: Floats) -> None:
    judged = judge_twelve(x, 500.0)
    assert not judged.acceptable
    assert len(judged.doubts) >= min(1, len(x))


def test_an_irregular_rhythm_and_wide_beats_are_no_reason_to_refuse() -> None:
    draw = np.random.default_rng(9)
    at = np.arange(5000) / 500
    x = 0.01 * draw.standard_normal((12, 5000))
    beats = np.cumsum(draw.uniform(0.4, 1.1, 14))
    for number, beat in enumerate(beats):
        width = 0.05 if number % 3 == 1 else 0.014
        x += np.outer(
            HEIGHTS, (1.5 if width > 0.02 else 1.0) * np.exp(-(((at - beat) / width) ** 2))
        )
    assert judge_twelve(x, 500.0).acceptable


def test_a_record_of_the_learning_set_is_judged_by_the_fold_that_never_saw_it() -> None:
    numbers = np.ones(6)
    name, fold = next(iter(table().folds.items()))
    assert table().odds(numbers, name) == table().lines[fold].odds(numbers)
    every = [line.odds(numbers) for line in table().lines]
    assert table().odds(numbers, "another") == pytest.approx(sum(every) / len(every))


@pytest.mark.parametrize("rate_hz", [0.001, 1.0, 30.0])
def test_a_rate_too_low_for_an_ecg_is_unacceptable(rate_hz: float) -> None:
    judged = judge_twelve(resting(), rate_hz)
    assert {doubt.reason for doubt in judged.doubts} == {Reason.FEW_BEATS}
