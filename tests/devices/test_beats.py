"""Beats of whole recordings: true on a real one, whatever its units, and never an exception."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from scipy.signal import resample_poly

import devices
from devices.ecg import beats as offline
from devices.ecg.beats import find_beats
from devices.ecg.quality import Reason
from devices.ecg.score import Score, match
from devices.ecg_files.wfdb import read_beats, read_record

SAMPLE = Path(devices.__file__).parent / "samples" / "100_2min"
ANNOTATED = read_beats(SAMPLE).samples
RATE = 360.0
BOTH: NDArray[np.float64] = read_record(SAMPLE).samples.astype(np.float64)
ECG = BOTH[:, 0]
USUAL = find_beats(ECG, RATE).samples
# Enough of it for a property that is tried many times.
SHORT = ECG[: round(30 * RATE)]
OF_SHORT = find_beats(SHORT, RATE).samples

Samples = NDArray[np.float64]


def scored(samples: NDArray[np.generic], rate_hz: float = RATE) -> Score:
    found = find_beats(samples, rate_hz).samples
    return match(np.round(ANNOTATED * rate_hz / RATE).astype(np.int64), found, rate_hz)


@pytest.mark.parametrize("samples", [ECG, BOTH, BOTH[:, ::-1], BOTH[:, 1]])
def test_every_beat_of_the_sample_is_found_in_one_lead_and_in_two(samples: Samples) -> None:
    score = scored(samples)
    assert (score.missed, score.false) == (0, 0)


def test_a_beat_is_told_within_thirty_milliseconds_of_where_people_marked_it() -> None:
    away = [abs(int(USUAL[j]) - int(ANNOTATED[i])) for i, j in scored(ECG).pairs]
    assert np.percentile(away, 95) <= 0.03 * RATE


@settings(max_examples=25, deadline=None)
@given(st.floats(1e-6, 1e2), st.floats(-1e6, 1e6), st.booleans(), st.sampled_from([1.0, -1.0]))
def test_units_offset_and_polarity_do_not_move_a_beat(
    gain: float, offset: float, after: bool, polarity: float
) -> None:
    changed = (SHORT + offset) * gain if not after else SHORT * gain + offset * gain
    found = find_beats(changed * polarity, RATE).samples
    assert len(found) == len(OF_SHORT)
    assert np.abs(found - OF_SHORT).max() <= 2


@pytest.mark.parametrize("kind", [np.int16, np.uint16, np.int32, np.float32])
def test_whole_numbers_are_read_as_they_are(kind: type) -> None:
    assert np.array_equal(find_beats(ECG.astype(kind), RATE).samples, USUAL)


@pytest.mark.parametrize("rate_hz", [100, 128, 180, 200, 250, 257, 300, 400, 500, 512, 1000])
def test_the_rate_of_sampling_does_not_matter(rate_hz: int) -> None:
    sampled = resample_poly(ECG - ECG[0], rate_hz, 360)
    score = scored(sampled, rate_hz)
    assert (score.missed, score.false) == (0, 0)
    found = find_beats(sampled, rate_hz).samples / rate_hz
    assert np.abs(found - USUAL / RATE).max() <= 2 / min(rate_hz, RATE)


@pytest.mark.parametrize(
    ("samples", "reason"),
    [
        (np.empty(0), Reason.FEW_BEATS),
        (np.empty((0, 2)), Reason.FEW_BEATS),
        (np.empty((400, 0)), Reason.FEW_BEATS),
        (np.array(1024.0), Reason.FEW_BEATS),
        (np.array([1024.0]), Reason.FEW_BEATS),
        (np.full(20_000, 1024.0), Reason.FLAT_LINE),
        (np.full((20_000, 2), -7, np.int16), Reason.FLAT_LINE),
        (np.full(20_000, np.nan), Reason.ELECTRODE_OFF),
        (np.full((20_000, 2), np.inf), Reason.ELECTRODE_OFF),
        (np.full(20_000, 1e300), Reason.ELECTRODE_OFF),
    ],
)
def test_where_there_is_no_heart_there_are_no_beats_and_a_reason(
    samples: Samples, reason: Reason
) -> None:
    found = find_beats(samples, RATE)
    assert found.samples.tolist() == []
    assert found.reason is reason


@settings(max_examples=60, deadline=None)
@given(
    st.data(),
    st.integers(0, 1200),
    st.integers(1, 3),
    st.sampled_from([100.0, 333.3, 360.0, 1000.0]),
)
def test_no_samples_raise(data: st.DataObject, count: int, leads: int, rate_hz: float) -> None:
    value = st.one_of(st.floats(-1e4, 1e4), st.sampled_from([np.nan, np.inf, -np.inf, 1e300, 0.0]))
    samples = data.draw(arrays(np.float64, (count, leads), elements=value, fill=st.just(0.0)))
    found = find_beats(samples, rate_hz)
    assert (found.reason is None) == bool(found.samples.size)
    assert (np.diff(found.samples) > 0).all()
    assert ((found.samples >= 0) & (found.samples < max(1, count))).all()


def test_no_beat_is_told_where_samples_are_missing_and_none_is_lost_beside_them() -> None:
    torn = ECG.copy()
    first, last = round(40 * RATE), round(47 * RATE)
    torn[first:last] = np.nan
    torn[::997] = np.nan
    found = find_beats(torn, RATE).samples
    assert not ((found > first) & (found < last)).any()
    there = ANNOTATED[(first - 60 > ANNOTATED) | (last + 60 < ANNOTATED)]
    assert match(there, found, RATE, [(first - 60, last + 60)]).missed == 0


def test_a_lead_full_of_noise_or_dead_does_not_spoil_the_other() -> None:
    noise = np.random.default_rng(1).normal(0, 300, len(ECG))
    for other in (noise, np.full(len(ECG), np.nan), np.zeros(len(ECG))):
        for leads in (np.column_stack((ECG, other)), np.column_stack((other, ECG))):
            score = scored(leads)
            assert (score.missed, score.false) == (0, 0)


def test_a_bump_in_one_lead_only_is_no_beat() -> None:
    bumped = BOTH.copy()
    time = np.arange(-30, 31) / 30
    for at in ((ANNOTATED[20:60:5] + ANNOTATED[21:61:5]) // 2).tolist():
        bumped[at - 30 : at + 31, 1] += 120 * np.cos(time * np.pi / 2) * np.cos(time * 5)
    assert scored(bumped).false == 0


def test_a_small_beat_is_found_where_one_is_due() -> None:
    low = ECG.copy()
    for at in ANNOTATED[10:-10:12].tolist():
        near = slice(at - 40, at + 40)
        level = np.median(ECG[near])
        low[near] = level + (ECG[near] - level) * np.interp(
            np.arange(80), (0, 15, 65, 80), (1, 0.35, 0.35, 1)
        )
    assert scored(low).missed == 0


def test_a_pause_is_not_filled_with_beats() -> None:
    first, last = int(ANNOTATED[50]) + 180, int(ANNOTATED[55]) - 120
    silent = ECG.copy()
    hiss = np.random.default_rng(2).normal(0, 2, last - first)
    silent[first:last] = np.linspace(ECG[first], ECG[last], last - first) + hiss
    found = find_beats(silent, RATE).samples
    assert not ((found > first) & (found < last)).any()


def test_the_hiss_of_an_electrode_that_is_off_has_no_beats() -> None:
    first, last = round(40 * RATE), round(70 * RATE)
    off = ECG.copy()
    off[first:last] = ECG[first] + np.random.default_rng(3).normal(0, 0.5, last - first)
    found = find_beats(off, RATE).samples
    assert not ((found > first + RATE) & (found < last - RATE)).any()


def test_a_recording_in_many_blocks_has_the_beats_of_one_in_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(offline, "BLOCK_S", 11.0)
    found = find_beats(ECG, RATE).samples
    assert len(found) == len(USUAL)
    assert np.abs(found - USUAL).max() <= 1
