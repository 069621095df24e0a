"""The averaged beat and its widths, on a made ECG of known waves."""

import numpy as np
import pytest

from devices.ecg.average import AveragedBeat, average_beat, bazett, fridericia
from devices.ecg.quality import Reason
from tests.devices.rhythm_maker import Made, made, steady


def averaged(ecg: Made) -> AveragedBeat:
    said = average_beat(ecg.millivolts, ecg.rate_hz, ecg.beats)
    assert isinstance(said, AveragedBeat)
    return said


@pytest.mark.parametrize("rate_hz", [125.0, 250.0, 1000.0])
@pytest.mark.parametrize("gain", [1.0, -0.5])
def test_widths_are_read_in_seconds(rate_hz: float, gain: float) -> None:
    ecg = made(steady(40), rate_hz=rate_hz)
    said = averaged(Made(ecg.millivolts * gain + 1.0, ecg.beats, rate_hz))
    assert said.qrs_s == pytest.approx(0.085, abs=0.02)
    assert said.pr_s == pytest.approx(0.175, abs=0.03)
    assert said.qt_s == pytest.approx(0.39, abs=0.03)


def test_the_average_is_freer_of_noise_than_a_beat() -> None:
    noisy = averaged(made(steady(100), noise_mv=0.1))
    clean = averaged(made(steady(100), noise_mv=0.0))
    left = np.subtract(noisy.millivolts, clean.millivolts)
    assert np.std(left) < 0.02
    assert noisy.noise_mv == pytest.approx(np.std(left), rel=0.4)


def test_no_p_wave_is_read_where_there_is_none() -> None:
    assert averaged(made(steady(60), p_waves=False)).pr_s is None


def test_beats_of_another_shape_are_left_out() -> None:
    assert averaged(made(steady(60), wide=range(0, 60, 4))).beats < 46


def test_a_few_beats_are_refused_with_a_reason() -> None:
    ecg = made(steady(7))
    assert average_beat(ecg.millivolts, ecg.rate_hz, ecg.beats) is Reason.FEW_BEATS
    assert average_beat(np.empty(0), 250.0, np.empty(0, np.int64)) is Reason.FEW_BEATS
    gone = made(steady(40))
    nothing = np.full(len(gone.millivolts), np.nan)
    assert average_beat(nothing, gone.rate_hz, gone.beats) is Reason.ELECTRODE_OFF


def test_corrections_of_qt() -> None:
    assert bazett(0.4, 0.64) == pytest.approx(0.5)
    assert fridericia(0.4, 0.512) == pytest.approx(0.5)
