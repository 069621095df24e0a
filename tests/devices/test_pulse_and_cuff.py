"""An oximeter's pulse wave and a cuff's trace: whether they may be believed, and why not."""

import numpy as np
import pytest
from numpy.typing import NDArray

from devices.cuff_trace import CuffDoubt, judge_cuff_trace
from devices.pulse_wave import PulseDoubt, judge_pulse_wave
from devices.simulated_waves import WaveFault, cuff_trace, pulse_wave


@pytest.mark.parametrize("bpm", [42.0, 72.0, 110.0, 165.0])
@pytest.mark.parametrize("rate_hz", [25.0, 60.0, 100.0, 500.0])
def test_a_clean_wave_has_its_rate_at_any_pace_and_sampling(bpm: float, rate_hz: float) -> None:
    judged = judge_pulse_wave(pulse_wave(1, rate_hz=rate_hz, bpm=bpm), rate_hz)
    assert judged.usable
    assert judged.rate_bpm == pytest.approx(bpm, rel=0.05)


def test_polarity_offset_and_gain_do_not_matter() -> None:
    x = pulse_wave(2)
    assert judge_pulse_wave(-0.001 * x + 7, 100).pulses == judge_pulse_wave(x, 100).pulses


def test_fibrillation_is_no_reason_to_doubt_the_wave() -> None:
    for seed in range(5):
        assert judge_pulse_wave(pulse_wave(seed, seconds=20, irregular=0.22), 100).usable


@pytest.mark.parametrize(
    ("fault", "doubt"),
    [
        (WaveFault.FLAT, PulseDoubt.FLAT),
        (WaveFault.OFF, PulseDoubt.OFF),
        (WaveFault.CLIPPED, PulseDoubt.CLIPPED),
        (WaveFault.MOVEMENT, PulseDoubt.MOVEMENT),
    ],
)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_fault_of_the_wave_is_named_and_gives_no_rate(
    fault: WaveFault, doubt: PulseDoubt, seed: int
) -> None:
    judged = judge_pulse_wave(pulse_wave(seed, fault=fault), 100)
    assert (judged.usable, judged.doubt, judged.rate_bpm) == (False, doubt, None)


NOTHING = [
    np.empty(0),
    np.zeros(1),
    np.zeros(3000),
    np.full(3000, np.nan),
    np.full(3000, np.inf),
    np.full(3000, -1e300),
    np.random.default_rng(4).standard_normal(3000),
]


@pytest.mark.parametrize("x", NOTHING)
def test_what_is_no_pulse_gives_no_rate_and_no_error(x: NDArray[np.float64]) -> None:
    assert judge_pulse_wave(x, 100).rate_bpm is None
    assert CuffDoubt.NO_TRACE in judge_cuff_trace(x, 100).doubts


def test_a_wave_of_a_few_samples_a_second_is_not_judged() -> None:
    assert judge_pulse_wave(pulse_wave(1), 10).doubt is PulseDoubt.FEW_PULSES
    assert judge_cuff_trace(cuff_trace(1), 1).doubts == (CuffDoubt.NO_TRACE,)


@pytest.mark.parametrize("rate_hz", [50.0, 100.0, 250.0])
@pytest.mark.parametrize("seed", [1, 2])
def test_a_clean_cuff_trace_has_no_doubts_and_counts_its_pulses(rate_hz: float, seed: int) -> None:
    judged = judge_cuff_trace(cuff_trace(seed, rate_hz=rate_hz), rate_hz)
    assert judged.doubts == ()
    assert judged.pulse_rate_bpm == pytest.approx(70, rel=0.05)


@pytest.mark.parametrize(
    ("fault", "doubt"),
    [
        (WaveFault.MOVEMENT, CuffDoubt.MOVEMENT),
        (WaveFault.STEPS, CuffDoubt.IRREGULAR_STEPS),
        (WaveFault.WEAK, CuffDoubt.FEW_PULSES),
        (WaveFault.TWO_MAXIMA, CuffDoubt.NO_SINGLE_MAXIMUM),
        (WaveFault.OFF, CuffDoubt.NO_TRACE),
    ],
)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_disturbed_cuff_trace_says_by_what(fault: WaveFault, doubt: CuffDoubt, seed: int) -> None:
    assert doubt in judge_cuff_trace(cuff_trace(seed, fault=fault), 100).doubts
