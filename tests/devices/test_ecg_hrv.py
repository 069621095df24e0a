"""Variability of the heart rate against numbers reckoned by hand and made tachograms."""

import numpy as np
import pytest

from devices.ecg import hrv
from devices.ecg.hrv import Hrv, HrvReason, heart_rate_variability


def breathing(seconds: float, hertz: float, depth_s: float = 0.04) -> np.ndarray:
    """Intervals around 0.8 s that swing at one frequency."""
    ends, rr = 0.0, []
    while ends < seconds:
        rr.append(0.8 + depth_s * np.sin(2 * np.pi * hertz * ends))
        ends += rr[-1]
    return np.array(rr)


def judged(rr: np.ndarray) -> Hrv:
    said = heart_rate_variability(rr)
    assert isinstance(said, Hrv)
    return said


def test_formulas_of_the_task_force() -> None:
    nn = np.array([0.8, 0.9, 0.84, 0.82])
    steps = np.diff(nn)  # 100, -60, -20 ms
    assert hrv.sdnn(nn) == pytest.approx(np.sqrt((40**2 + 60**2 + 0 + 20**2) / 3) / 1000)
    assert hrv.rmssd(steps) == pytest.approx(np.sqrt((100**2 + 60**2 + 20**2) / 3) / 1000)
    assert hrv.pnn50(steps) == pytest.approx(200 / 3)
    # Bins of 7.8125 ms: 0.8 and 0.803 lie in the one from 796.9, 0.82 in another.
    assert hrv.triangular_index(np.array([0.8, 0.803, 0.82])) == pytest.approx(1.5)


@pytest.mark.parametrize(("hertz", "lf_nu"), [(0.1, 100.0), (0.25, 0.0)])
def test_a_swing_lies_in_its_band_with_its_power(hertz: float, lf_nu: float) -> None:
    said = judged(breathing(320, hertz))
    assert said.lf_nu == pytest.approx(lf_nu, abs=3)
    assert said.lf_nu + said.hf_nu == pytest.approx(100)
    # A sine of 40 ms has a power of 800 ms².
    assert said.lf_ms2 + said.hf_ms2 == pytest.approx(800, rel=0.12)


def test_the_triangular_index_wants_twenty_minutes() -> None:
    assert judged(breathing(320, 0.1)).triangular_index is None
    assert judged(breathing(1210, 0.1)).triangular_index is not None


def test_there_is_a_reason_where_there_are_no_numbers() -> None:
    rr = breathing(320, 0.1)
    assert heart_rate_variability(rr[:300]) is HrvReason.TOO_SHORT
    assert heart_rate_variability(np.empty(0)) is HrvReason.TOO_SHORT
    assert heart_rate_variability(rr, fibrillation=True) is HrvReason.FIBRILLATION
    rr[5::15] = 0.5
    assert heart_rate_variability(rr) is HrvReason.CORRECTED


def test_nothing_is_joined_over_an_interval_that_is_missing() -> None:
    rr = breathing(500, 0.1)
    rr[300] = np.nan
    assert heart_rate_variability(rr) is HrvReason.TOO_SHORT
    rr[:300] = 0.4
    rr[300:302] = np.nan
    assert judged(np.append(rr, breathing(160, 0.1))).mean_rr_ms == pytest.approx(800, rel=0.02)


def test_a_few_early_beats_are_left_out() -> None:
    rr = breathing(400, 0.25)
    early = rr.copy()
    early[40], early[41] = 0.45, 1.15
    clean, without = judged(rr), judged(early)
    assert without.corrected == pytest.approx(2 / len(rr))
    assert without.rmssd_ms == pytest.approx(clean.rmssd_ms, rel=0.03)
    assert without.hf_ms2 == pytest.approx(clean.hf_ms2, rel=0.1)
