"""What the rhythm gives reason to look at, and what it must not say."""

import time

import numpy as np
import pytest

from devices.ecg.rhythm import Finding, RhythmCode, find_rhythm, live_rhythm, live_rhythms
from devices.ecg.rhythm_runs import joined_runs
from tests.devices.rhythm_maker import Made, fibrillating, made, steady


def found(ecg: Made, *usable: tuple[int, int]) -> tuple[Finding, ...]:
    whole = ((0, len(ecg.millivolts)),)
    return find_rhythm(ecg.millivolts, ecg.rate_hz, ecg.beats, usable or whole)


def codes(findings: tuple[Finding, ...]) -> set[RhythmCode]:
    return {finding.code for finding in findings}


def test_a_steady_rhythm_is_regular_and_nothing_else() -> None:
    assert codes(found(made(steady(90)))) == {RhythmCode.REGULAR}


def test_disorder_without_p_waves_is_suspected_as_fibrillation() -> None:
    said = found(made(fibrillating(90), p_waves=False))
    assert codes(said) == {RhythmCode.AF_SUSPECTED}
    assert said[0].inputs["odds"] > 0
    assert said[0].rule == "af.both/3"


def test_fibrillation_is_not_asked_under_thirty_seconds() -> None:
    ecg = made(fibrillating(90), p_waves=False)
    short = round(29.9 * ecg.rate_hz)
    said = found(ecg, (0, short))
    assert codes(said) == {RhythmCode.NOT_ENOUGH}
    assert said[0].inputs["longest_s"] == pytest.approx(29.9)


def test_thirty_seconds_may_have_short_unusable_parts_between() -> None:
    ecg = made(fibrillating(90), p_waves=False)
    cut = round(18 * ecg.rate_hz)
    ecg.millivolts[cut + 300 :] += 4.0  # another level behind a jump
    pieces = (0, cut), (cut + 500, 2 * cut + 500)
    said = found(ecg, *pieces)
    assert codes(said) == {RhythmCode.AF_SUSPECTED}
    assert (said[0].first, said[0].last) == (ecg.beats[0], ecg.beats[ecg.beats < 9500].max())
    far = found(ecg, pieces[0], (cut + 1300, 2 * cut + 1300))
    little = found(ecg, (0, cut), (cut + 500, round(28 * ecg.rate_hz)))
    assert codes(far) == codes(little) == {RhythmCode.NOT_ENOUGH}


def test_half_a_minute_may_have_one_doubtful_second_inside_and_no_more() -> None:
    ecg = made(fibrillating(90), p_waves=False)
    at = [round(seconds * ecg.rate_hz) for seconds in (12, 13, 13.5, 29.5, 30)]
    one = found(ecg, (0, at[0]), (at[1], at[4]))
    assert codes(one) == {RhythmCode.AF_SUSPECTED}
    assert (one[0].first, one[0].last) == (ecg.beats[0], ecg.beats[ecg.beats < at[4]].max())
    more = found(ecg, (0, at[0]), (at[2], at[4]))
    short = found(ecg, (0, at[0]), (at[1], at[3]))
    assert codes(more) == codes(short) == {RhythmCode.NOT_ENOUGH}
    assert short[0].inputs["longest_s"] == pytest.approx(29.5)


def test_no_interval_spans_what_lies_between_two_stretches() -> None:
    ecg = made(steady(60))
    ecg.millivolts[4500:] += 2.0
    (run,) = joined_runs(ecg.millivolts, 250.0, ecg.beats, [(0, 4000), (4999, 9000)])
    assert np.diff(run.beats).max() < 1.05 * 0.8 * 250
    assert run.x[run.beats] == pytest.approx(1.2, abs=0.1)
    assert len(run.x) < 4000 + 4001
    assert len(run.beats) == len(run.origin)
    assert set(run.origin) < set(ecg.beats)


def test_a_short_slow_rhythm_is_told() -> None:
    said = found(made(steady(5, 2.3)))
    assert codes(said) == {RhythmCode.BRADYCARDIA, RhythmCode.NOT_ENOUGH}


def test_one_early_beat_is_neither_told_nor_regular() -> None:
    intervals = steady(45)
    intervals[20:22] = [0.55, 0.85]
    assert codes(found(made(intervals))) == set()


@pytest.mark.parametrize(
    ("mean_s", "code"), [(1.3, RhythmCode.BRADYCARDIA), (0.5, RhythmCode.TACHYCARDIA)]
)
def test_slow_and_fast_are_told_with_their_rate(mean_s: float, code: RhythmCode) -> None:
    said = found(made(steady(80, mean_s)))
    assert codes(said) == {code}
    assert said[0].inputs["rate_bpm"] == pytest.approx(60 / mean_s, rel=0.05)


def test_a_pause_is_told_where_it_is() -> None:
    ecg = made([*steady(20), 3.4, *steady(30)])
    pause = next(f for f in found(ecg) if f.code is RhythmCode.PAUSE)
    assert (pause.first, pause.last) == (ecg.beats[19], ecg.beats[20])
    assert pause.inputs["seconds"] == pytest.approx(3.4, abs=0.02)


def test_three_seconds_are_no_pause_yet() -> None:
    assert RhythmCode.PAUSE not in codes(found(made([*steady(20), 2.98, *steady(30)])))


def test_a_beat_that_was_not_counted_makes_no_pause() -> None:
    ecg = made(steady(60))
    without = Made(ecg.millivolts, np.delete(ecg.beats, [20, 21, 22, 23]), ecg.rate_hz)
    assert RhythmCode.PAUSE not in codes(found(without))


@pytest.mark.parametrize("how", ["gap", "unusable"])
def test_a_pause_never_spans_a_gap(how: str) -> None:
    ecg = made([*steady(50), 3.4, *steady(50)])
    middle = int(ecg.beats[49] + 1.5 * ecg.rate_hz)
    if how == "gap":
        ecg.millivolts[middle : middle + 5] = np.nan
        said = found(ecg)
    else:
        said = found(ecg, (0, middle), (middle + 5, len(ecg.millivolts)))
    assert codes(said) == {RhythmCode.REGULAR}
    assert len(said) == 2


def test_early_wide_beats_come_from_the_ventricles() -> None:
    intervals = steady(80)
    for i in (10, 20, 30, 31):
        intervals[i] *= 0.6
    intervals[11] = intervals[21] = intervals[32] = 1.15
    said = found(made(intervals, wide=(10, 20, 30, 31)))
    assert codes(said) == {RhythmCode.VENTRICULAR_ECTOPY, RhythmCode.REGULAR}
    assert said[0].inputs["count"] == 4
    assert said[0].inputs["longest_run"] == 2


def test_a_lone_odd_beat_may_be_noise() -> None:
    intervals = steady(40)
    intervals[10:12] = [0.5, 1.1]
    assert RhythmCode.VENTRICULAR_ECTOPY not in codes(found(made(intervals, wide=(10,))))


def test_early_beats_of_the_usual_shape_come_from_above() -> None:
    intervals = steady(80)
    for i in (10, 30, 60):
        intervals[i] *= 0.7
    ecg = made(intervals)
    (said,) = found(ecg)
    assert said.code is RhythmCode.SUPRAVENTRICULAR_ECTOPY
    # The lone one of the second window is not told; a finding has the beats around it, so a length.
    assert said.inputs["count"] == 2
    assert (said.first, said.last) == (ecg.beats[9], ecg.beats[31])


def test_a_heart_that_speeds_up_with_every_breath_has_no_early_beats() -> None:
    breathing = (0.85 * (1 + 0.22 * np.sin(np.arange(90) * 1.1))).tolist()
    assert RhythmCode.SUPRAVENTRICULAR_ECTOPY not in codes(found(made(breathing)))


def test_bigeminy_is_ectopy_and_not_fibrillation() -> None:
    said = found(made([0.55, 1.05] * 45, wide=range(0, 90, 2)))
    assert codes(said) == {RhythmCode.VENTRICULAR_ECTOPY}


@pytest.mark.parametrize("gain", [-1.0, 0.2, 3.0])
@pytest.mark.parametrize("rate_hz", [125.0, 500.0])
def test_gain_polarity_offset_and_rate_change_nothing(gain: float, rate_hz: float) -> None:
    ecg = made(fibrillating(70), p_waves=False, rate_hz=rate_hz)
    turned = Made(ecg.millivolts * gain + 2.0, ecg.beats, rate_hz)
    assert codes(found(turned)) == {RhythmCode.AF_SUSPECTED}


@pytest.mark.parametrize(
    "signal", [np.empty(0), np.zeros(1), np.full(9000, np.nan), np.zeros(9000), np.full(9000, 1e30)]
)
@pytest.mark.parametrize("beats", [[], [0], [0, 1], [-5, 3, 3, 10**9], list(range(0, 9000, 200))])
def test_no_data_raises(signal: np.ndarray, beats: list[int]) -> None:
    said = find_rhythm(signal, 250.0, np.array(beats, np.int64), [(-3, 10**7), (50, 20)])
    assert RhythmCode.AF_SUSPECTED not in codes(said)


@pytest.mark.parametrize("rate_hz", [0.5, 2.0, 49.0])
def test_a_rate_too_low_for_beats_says_not_enough(rate_hz: float) -> None:
    beats = np.arange(0, 3000, 160, np.int64)
    said = find_rhythm(np.ones(3000), rate_hz, beats, [(0, 3000)])
    assert codes(said) == {RhythmCode.NOT_ENOUGH}


def test_time_grows_with_the_length_alone() -> None:
    hour = made(steady(160))
    long = Made(np.tile(hour.millivolts, 4), hour.beats, hour.rate_hz)
    apart = len(hour.millivolts)
    beats = np.concatenate([hour.beats + i * apart for i in range(4)])
    took = []
    for ecg in (hour, Made(long.millivolts, beats, long.rate_hz)):
        began = time.process_time()
        found(ecg)
        took.append(time.process_time() - began)
    assert took[1] < 10 * took[0]


def test_live_intervals_say_what_they_can() -> None:
    assert live_rhythm(steady(40)) is RhythmCode.REGULAR
    assert live_rhythm(steady(36)) is None
    assert live_rhythm(steady(25, 1.3)) is RhythmCode.BRADYCARDIA
    assert live_rhythm(steady(30, 0.5)) is RhythmCode.TACHYCARDIA
    assert live_rhythm(steady(18, 0.5)) is None
    assert live_rhythm(fibrillating(55)) is RhythmCode.AF_SUSPECTED
    assert live_rhythm(fibrillating(43)) is None
    assert live_rhythm([]) is None


@pytest.mark.parametrize("behind", [16, 36])
def test_a_live_pause_is_told_behind_ten_seconds_of_beats(behind: int) -> None:
    assert live_rhythm([*steady(behind), 3.2]) is RhythmCode.PAUSE
    assert live_rhythm([*steady(8), 3.2, *steady(behind)]) is not RhythmCode.PAUSE


def test_beats_that_were_overlooked_make_no_slow_rhythm() -> None:
    assert live_rhythm([2.9, 2.8, 2.9, *steady(10, 0.8)]) is None


@pytest.mark.parametrize("early", [[0.55, 1.05] * 20, [*steady(20), 0.55, 1.05, *steady(20)]])
def test_what_has_early_beats_is_never_regular(early: list[float]) -> None:
    assert live_rhythm(early) is None


def test_streams_asked_together_are_told_the_same() -> None:
    rows = [steady(40), fibrillating(55), steady(20), [0.55, 1.05] * 20]
    table = np.full((4, 64), np.nan)
    for row, intervals in zip(table, rows, strict=True):
        row[64 - len(intervals) :] = intervals
    assert live_rhythms(table) == [live_rhythm(row) for row in rows]
    assert live_rhythms(np.empty((0, 5))) == []
