"""Quality of a whole ECG, second by second: each fault has its reason, no arrhythmia is one."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from devices.ecg.quality import Quality, Reason
from devices.ecg.seconds import Second, judge_seconds, usable

Floats = NDArray[np.float64]

RATE_HZ = 250.0
SECONDS = 40


def trace(
    beats_s: Sequence[float], wide: Sequence[bool] = (), rate_hz: float = RATE_HZ
) -> tuple[Floats, NDArray[np.int64]]:
    """Beats at these moments, wide ones tall and without a T wave, 5 uV of a converter's noise."""
    at = np.arange(round(SECONDS * rate_hz)) / rate_hz
    x = 0.005 * np.random.default_rng(3).standard_normal(len(at))
    for number, beat in enumerate(beats_s):
        if number < len(wide) and wide[number]:
            x += 1.6 * np.exp(-(((at - beat) / 0.045) ** 2))
            x -= 0.5 * np.exp(-(((at - beat - 0.2) / 0.08) ** 2))
        else:
            x += 1.0 * np.exp(-(((at - beat) / 0.014) ** 2))
            x += 0.25 * np.exp(-(((at - beat - 0.25) / 0.05) ** 2))
    return x, np.round(np.array(beats_s) * rate_hz).astype(np.int64)


STEADY = np.arange(0.5, SECONDS - 0.3, 0.8).tolist()


def said(x: Floats, beats: NDArray[np.int64]) -> list[Second]:
    return judge_seconds(x, RATE_HZ, beats)


def fibrillation() -> tuple[Floats, NDArray[np.int64]]:
    draw = np.random.default_rng(7)
    x, beats = trace((0.4 + np.cumsum(draw.uniform(0.35, 1.1, 50))).tolist())
    return x + 0.04 * np.sin(2 * np.pi * 6.3 * np.arange(len(x)) / RATE_HZ), beats


def bigeminy() -> tuple[Floats, NDArray[np.int64]]:
    pairs = [(start, start + 0.5) for start in np.arange(0.5, SECONDS - 1, 1.4)]
    return trace([at for pair in pairs for at in pair], [False, True] * len(pairs))


def one_extrasystole() -> tuple[Floats, NDArray[np.int64]]:
    return trace(STEADY, [number == 20 for number in range(len(STEADY))])


def tachycardia_run() -> tuple[Floats, NDArray[np.int64]]:
    run = np.arange(15.2, 20.0, 0.36).tolist()
    beats = sorted([at for at in STEADY if not 15 <= at <= 20.3] + run)
    return trace(beats, [15 <= at <= 20 for at in beats])


def pause() -> tuple[Floats, NDArray[np.int64]]:
    return trace([at for at in STEADY if not 12 < at < 18])


RHYTHMS: dict[str, Callable[[], tuple[Floats, NDArray[np.int64]]]] = {
    "fibrillation": fibrillation,
    "bigeminy": bigeminy,
    "one extrasystole": one_extrasystole,
    "tachycardia": tachycardia_run,
    "pause": pause,
}


@pytest.mark.parametrize("rhythm", RHYTHMS)
def test_an_arrhythmia_in_a_clean_trace_stays_usable(rhythm: str) -> None:
    x, beats = RHYTHMS[rhythm]()
    assert usable(said(x, beats), RATE_HZ) == [(0, len(x))]


def test_a_very_quiet_pause_is_told_as_hardly_moving_and_counted() -> None:
    x, beats = trace([at for at in STEADY if not 12 < at < 20])
    x[round(12.5 * RATE_HZ) : round(19.5 * RATE_HZ)] *= 0.4
    seconds = said(x, beats)
    assert set(seconds[14:19]) == {Second(Quality.NOISY, Reason.FLAT_LINE)}
    assert usable(seconds, RATE_HZ) == [(0, len(x))]


def test_an_input_that_hardly_moves_for_long_is_no_pause() -> None:
    x, beats = trace([at for at in STEADY if not 10 < at < 30])
    x[round(10.5 * RATE_HZ) : round(29.5 * RATE_HZ)] *= 0.4
    seconds = said(x, beats)
    assert set(seconds[12:28]) == {Second(Quality.UNUSABLE, Reason.FLAT_LINE)}


def fault(kind: str) -> Floats:
    """The steady trace with a fault from 15 to 25 s."""
    x, _ = trace(STEADY)
    low, high = round(15 * RATE_HZ), round(25 * RATE_HZ)
    at = np.arange(high - low) / RATE_HZ
    draw = np.random.default_rng(11)
    if kind == "flat":
        x[low:high] = 0.1
    elif kind == "clipped":
        x[low:high] = np.where(np.sin(2 * np.pi * 1.3 * at) > 0, 5.0, -5.0)
    elif kind == "off":
        x[low:high] = np.nan
    elif kind == "hum":
        x[low:high] += 0.4 * np.sin(2 * np.pi * 50 * at)
    elif kind == "muscle":
        x[low:high] += 0.5 * draw.standard_normal(len(at))
    elif kind == "movement":
        x[low:high] += 3 * np.sign(np.sin(2 * np.pi * 0.37 * at)) + 0.3 * np.sin(40 * at)
    elif kind == "drift":
        x[low:high] += 4 * np.sin(2 * np.pi * 0.2 * at)
    return x


@pytest.mark.parametrize(
    ("kind", "reason", "counted"),
    [
        ("flat", Reason.FLAT_LINE, False),
        ("clipped", Reason.SATURATION, False),
        ("off", Reason.ELECTRODE_OFF, False),
        ("hum", Reason.MAINS, True),
        ("muscle", Reason.MUSCLE, False),
        ("movement", Reason.MOVEMENT, True),
        ("drift", Reason.DRIFT, True),
    ],
)
def test_a_fault_has_its_reason_while_it_lasts_and_not_long_after(
    kind: str, reason: Reason, counted: bool
) -> None:
    _, beats = trace(STEADY)
    found = beats
    if kind == "muscle":
        # A detector in noise finds beats that are none.
        false = np.round(np.arange(15.2, 25, 0.47) * RATE_HZ).astype(np.int64)
        found = np.union1d(beats, false)
    seconds = said(fault(kind), found)
    assert {second.reason for second in seconds[16:24]} == {reason}
    if not counted:
        assert all(not first <= 20 * RATE_HZ < end for first, end in usable(seconds, RATE_HZ))
    assert all(second == Second(Quality.GOOD, None) for second in seconds[:12] + seconds[28:])


@pytest.mark.parametrize("rate_hz", [100.0, 128.5, 360.0, 1000.0])
def test_a_clean_trace_is_good_at_any_rate_and_offset(rate_hz: float) -> None:
    x, beats = trace(STEADY, rate_hz=rate_hz)
    seconds = judge_seconds(x + 7, rate_hz, beats)
    assert len(seconds) == SECONDS
    assert {second.quality for second in seconds} == {Quality.GOOD}


@pytest.mark.parametrize("count", [0, 1, 2, 37, 250, 251, 3000])
@pytest.mark.parametrize("value", [0.0, float("nan"), float("inf"), 1e300])
def test_what_is_no_ecg_is_never_usable_and_never_an_error(count: int, value: float) -> None:
    seconds = judge_seconds(np.full(count, value), RATE_HZ, np.empty(0, np.int64))
    assert len(seconds) == int(np.ceil(count / RATE_HZ))
    assert usable(seconds, RATE_HZ) == []


def test_usable_seconds_are_told_as_runs_of_samples() -> None:
    good, bad = Second(Quality.GOOD, None), Second(Quality.UNUSABLE, Reason.MUSCLE)
    noisy = Second(Quality.NOISY, Reason.MAINS)
    assert usable([good, noisy, bad, good], 100.0) == [(0, 200), (300, 400)]


def test_a_long_recording_is_judged_in_pieces_as_if_it_were_one() -> None:
    x, _ = trace(STEADY)
    long = np.tile(x, 32)
    beats = np.concatenate([trace(STEADY)[1] + len(x) * turn for turn in range(32)])
    seconds = judge_seconds(long, RATE_HZ, beats)
    assert len(seconds) == 32 * SECONDS
    assert {second.quality for second in seconds} == {Quality.GOOD}


def test_a_rate_too_low_for_an_ecg_is_never_usable() -> None:
    x, beats = trace(STEADY)
    assert {second.quality for second in judge_seconds(x, 5.0, beats)} == {Quality.NO_SIGNAL}
