"""Many live ECGs together: the same beats in any company, faults named in time, rhythms left be."""

from pathlib import Path
from uuid import UUID

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import devices
from devices.ecg.live import Beat, EcgVitals, LiveEcg
from devices.ecg.quality import Quality, Reason
from devices.ecg.score import match
from devices.ecg_files.wfdb import read_beats, read_record
from devices.frames import MISSING, StreamHeader

SAMPLE = Path(devices.__file__).parent / "samples" / "100_2min"
ECG: NDArray[np.int16] = read_record(SAMPLE).samples[:, 0]
ANNOTATED = read_beats(SAMPLE).samples
RATE = 360
TICK = 72
SHOWN = {Quality.GOOD, Quality.NOISY}


def header(rate_hz: float = RATE) -> StreamHeader:
    return StreamHeader(
        stream=UUID(int=1), rate_hz=rate_hz, gain_per_mv=200, baseline=1024, lead="MLII"
    )


def together(
    strips: list[NDArray[np.generic]], size: int = TICK
) -> list[tuple[list[Beat], list[EcgVitals]]]:
    """Beats and judgements of streams that are followed side by side."""
    live = LiveEcg()
    slots = [live.open(header()) for _ in strips]
    seen: dict[int, tuple[list[Beat], list[EcgVitals]]] = {slot: ([], []) for slot in slots}
    for start in range(0, max(map(len, strips)), size):
        for slot, strip in zip(slots, strips, strict=True):
            live.push(slot, strip[start : start + size])
        for told in live.tick():
            seen[told.slot][0].extend(told.beats)
            if told.vitals is not None:
                seen[told.slot][1].append(told.vitals)
    return [seen[slot] for slot in slots]


SPOILT = ECG[: RATE * 12].copy()
# Noise has maxima that a bit's difference in the energy would move.
SPOILT[RATE * 5 : RATE * 8] += np.random.default_rng(5).integers(-300, 300, RATE * 3, np.int16)
SPOILT[RATE * 4 : RATE * 5] = MISSING
SPOILT[RATE * 8 : RATE * 8 + 90] = MISSING
SPOILT[RATE * 10 : RATE * 10 + 20] = MISSING
ALONE = together([SPOILT], size=len(SPOILT))[0]


@settings(deadline=None, max_examples=6)
@given(
    sizes=st.lists(st.integers(30, 900), min_size=1, max_size=8),
    company=st.integers(0, 6),
    place=st.integers(0, 6),
    seed=st.integers(0, 99),
)
def test_beats_are_the_same_for_any_cut_and_any_company(
    sizes: list[int], company: int, place: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    live = LiveEcg()
    others = []
    ours = -1
    for number in range(company + 1):
        if number == min(place, company):
            ours = live.open(header())
        else:
            others.append(live.open(header(float(rng.choice([250, 360, 500])))))
    beats: list[Beat] = []
    vitals: list[EcgVitals] = []
    at = turn = 0
    while at < len(SPOILT):
        size = sizes[turn % len(sizes)]
        live.push(ours, SPOILT[at : at + size])
        for other in others:
            first = int(rng.integers(0, 20_000))
            live.push(other, ECG[first : first + int(rng.integers(0, 400))], gap=rng.random() < 0.1)
        for told in live.tick():
            if told.slot == ours:
                beats += told.beats
        vitals.append(live.vitals(ours))
        at, turn = at + size, turn + 1
    assert beats == ALONE[0]
    assert vitals[-1] == ALONE[1][-1]


def test_a_row_given_back_leaves_nothing_to_the_next_stream() -> None:
    live = LiveEcg()
    keep = live.open(header())
    first = live.open(header())
    live.push(first, ECG[::-1][: RATE * 10].copy())
    live.tick()
    live.push(first, ECG[:TICK])
    live.close(first)
    second = live.open(header())
    live.push(second, SPOILT)
    beats = [beat for told in live.tick() if told.slot == second for beat in told.beats]
    assert keep != second != first
    assert beats == ALONE[0]


def test_a_hole_of_a_quarter_second_costs_no_filter_and_ends_the_interval() -> None:
    holed = ECG[: RATE * 30].copy()
    holed[RATE * 15 : RATE * 15 + 90] = MISSING
    holed[RATE * 15 + 90 :] += 300  # and the electrode comes back at another level
    beats, _ = together([holed])[0]
    places = np.array([beat.sample for beat in beats])
    score = match(ANNOTATED[ANNOTATED < RATE * 29], places[places < RATE * 29], RATE)
    assert (score.missed, score.false) == (0, 0)
    after = next(beat for beat in beats if beat.sample > RATE * 15)
    assert after.rr_s is None


def test_beats_are_told_in_time() -> None:
    live = LiveEcg()
    slot = live.open(header())
    delays = []
    for start in range(0, RATE * 60, TICK):
        live.push(slot, ECG[start : start + TICK])
        for told in live.tick():
            delays += [(start + TICK - beat.sample) / RATE for beat in told.beats]
    settled = sorted(delays[2:])
    assert settled[len(settled) // 2] <= 0.3
    assert settled[-1] <= 0.45


def test_a_low_beat_before_a_silence_is_told_in_time_or_not_at_all() -> None:
    """What is told late is looked for among samples that are no longer kept."""
    quiet = int(ANNOTATED[25]) + 180
    level = float(ECG[quiet])
    low = ECG[ANNOTATED[26] - 100 : ANNOTATED[26] + 100] - float(ECG[ANNOTATED[26] - 100])
    low *= 0.44 * np.interp(np.arange(200), (0, 40, 160, 199), (0, 1, 1, 0))
    silent = np.full(RATE * 9 // 2, level)
    rest = ECG[ANNOTATED[30] - 100 : ANNOTATED[30] + RATE * 3]
    strip = np.round(np.concatenate((ECG[:quiet], low + level, silent, rest))).astype(np.int16)
    live = LiveEcg()
    slot = live.open(header())
    delays = []
    for start in range(0, len(strip), TICK):
        live.push(slot, strip[start : start + TICK])
        for told in live.tick():
            delays += [(start + TICK - beat.sample) / RATE for beat in told.beats]
    assert len(delays) > 20
    assert max(delays[2:]) <= 4


def fault(  # noqa: PLR0911 - one answer a fault
    name: str, size: int, rng: np.random.Generator
) -> tuple[NDArray[np.float64], bool]:
    """What a fault adds to the trace, or puts in its place."""
    time = np.arange(size) / RATE
    white = rng.standard_normal(size)
    match name:
        case "electrode":
            return np.full(size, float(MISSING)), True
        case "flat":
            return 1000 + rng.integers(-1, 2, size).astype(float), True
        case "saturation":
            return np.where(np.sin(2 * np.pi * 0.9 * time) > 0, 2047.0, 0.0), True
        case "hum50":
            return 80 * np.sin(2 * np.pi * 50 * time), False
        case "hum60":
            return 80 * np.sin(2 * np.pi * 60 * time), False
        case "muscle":
            return 90 * (white - np.convolve(white, np.ones(18) / 18, "same")), False
        case "movement":
            slow = np.convolve(white, np.hanning(70), "same")
            return 300 * slow / slow.std(), False
        case _:
            return 700 * np.sin(2 * np.pi * 0.2 * time), False


FAULTS = {
    "electrode": Reason.ELECTRODE_OFF,
    "flat": Reason.FLAT_LINE,
    "saturation": Reason.SATURATION,
    "hum50": Reason.MAINS,
    "hum60": Reason.MAINS,
    "muscle": Reason.MUSCLE,
    "movement": Reason.MOVEMENT,
    "drift": Reason.DRIFT,
}
BEGINS_S, ENDS_S, LASTS_S = 15, 27, 40


def faulty(name: str, seed: int) -> NDArray[np.int16]:
    strip = ECG[seed * 3000 : seed * 3000 + RATE * LASTS_S].astype(float)
    within = slice(RATE * BEGINS_S, RATE * ENDS_S)
    added, instead = fault(name, RATE * (ENDS_S - BEGINS_S), np.random.default_rng(seed))
    strip[within] = added if instead else strip[within] + added
    return np.round(strip).astype(np.int16)


STRIPS = [(name, seed) for name in FAULTS for seed in range(3)]
FOLLOWED = dict(zip(STRIPS, together([faulty(name, seed) for name, seed in STRIPS]), strict=True))


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_named_within_three_seconds_and_gone_within_four(name: str) -> None:
    for seed in range(3):
        _, vitals = FOLLOWED[name, seed]
        told = {v.at_sample / RATE: v for v in vitals}
        before = [v for at, v in told.items() if 6 <= at <= BEGINS_S]
        during = [v.reason for at, v in told.items() if BEGINS_S + 3 <= at <= ENDS_S]
        after = [v for at, v in told.items() if at >= ENDS_S + 4]
        assert {v.quality for v in before} == {Quality.GOOD}
        assert during.count(FAULTS[name]) >= 0.8 * len(during), during
        assert {v.quality for v in after} == {Quality.GOOD}


def changing(*parts: tuple[int, NDArray[np.float64]]) -> list[EcgVitals]:
    """Judgements of half a minute with something added from these seconds on."""
    strip = ECG[: RATE * 30].astype(float)
    for from_s, added in parts:
        strip[RATE * from_s :][: len(added)] += added
    ((_, vitals),) = together([np.round(strip).astype(np.int16)])
    return vitals


def muscles(size_s: int, strength: float) -> NDArray[np.float64]:
    return strength * fault("muscle", RATE * size_s, np.random.default_rng(1))[0]


def test_noise_that_stays_but_is_no_longer_loud_shows_a_rate_again() -> None:
    vitals = changing((8, muscles(5, 1.0)), (13, muscles(17, 0.25)))
    told = {v.at_sample / RATE: v for v in vitals}
    loud = {told[at / 2].quality for at in range(22, 32)}
    mild = [told[at / 2] for at in range(41, 47)]
    assert loud == {Quality.UNUSABLE}
    assert {(v.quality, v.reason) for v in mild} == {(Quality.NOISY, Reason.MUSCLE)}
    assert [v.heart_rate_bpm for v in mild] == pytest.approx([74] * 6, abs=3)


def test_noise_that_came_back_must_be_calm_for_longer() -> None:
    vitals = changing((8, muscles(2, 1.0)), (15, muscles(2, 1.0)))
    told = {v.at_sample / RATE: v.quality for v in vitals}
    assert told[14] is Quality.GOOD
    assert {told[at / 2] for at in range(36, 45)} <= {Quality.NOISY, Quality.UNUSABLE}
    assert told[25] is Quality.GOOD


def test_hum_that_follows_noise_is_named_in_time() -> None:
    hum = fault("hum50", RATE * 8, np.random.default_rng(1))[0]
    told = {v.at_sample / RATE: v.reason for v in changing((8, muscles(4, 1.0)), (13, hum))}
    assert {told[at / 2] for at in range(32, 42)} == {Reason.MAINS}


def beat_like(width_s: float, height: float) -> NDArray[np.float64]:
    """One QRS and T of a wide beat."""
    time = np.arange(-0.3, 0.4, 1 / RATE)
    wide = np.exp(-0.5 * (time / width_s) ** 2) - 0.45 * np.exp(-0.5 * ((time - 0.2) / 0.06) ** 2)
    return height * wide


def rhythm(name: str) -> NDArray[np.int16]:
    """A trace of another rhythm, built of the sample's own beats and baseline."""
    rng = np.random.default_rng(7)
    calm = ECG[ANNOTATED[5] - 120 : ANNOTATED[5] + 170].astype(float)
    calm -= np.median(calm)
    wide = beat_like(0.045, 260)
    size = RATE * 40
    trace = 3 * rng.standard_normal(size) + 12 * np.sin(2 * np.pi * 0.2 * np.arange(size) / RATE)
    if name == "fibrillation":
        time = np.arange(size) / RATE
        trace += 12 * np.sin(2 * np.pi * 5.5 * time + 2 * np.sin(2 * np.pi * 0.3 * time))
    at, turn = 200, 0
    while at < size - 400:
        shape = wide if name == "tachycardia" or (name == "bigeminy" and turn % 2) else calm
        if name == "two foci" and turn % 2:
            shape = beat_like(0.04, 320 if turn % 4 == 1 else -320)
        trace[at - 120 : at - 120 + len(shape)] += shape
        match name:
            case "fibrillation":
                step = rng.uniform(0.4, 1.1)
            case "bigeminy" | "two foci":
                step = 0.55 if turn % 2 == 0 else 1.15
            case "pauses":
                step = 3.2 if turn % 6 == 5 else 0.85
            case _:
                step = 0.36
        at, turn = at + round(step * RATE), turn + 1
    drawn: NDArray[np.int16] = np.round(trace + 1024).astype(np.int16)
    return drawn


RHYTHMS = ("fibrillation", "bigeminy", "two foci", "pauses", "tachycardia")
RUNS = dict(zip(RHYTHMS, together([rhythm(name) for name in RHYTHMS]), strict=True))


@pytest.mark.parametrize("name", RHYTHMS)
def test_no_arrhythmia_is_called_noise(name: str) -> None:
    _, vitals = RUNS[name]
    settled = [v for v in vitals if v.at_sample >= RATE * 6]
    good = sum(v.quality is Quality.GOOD for v in settled)
    assert good >= 0.95 * len(settled), [(v.quality, v.reason) for v in settled]
    assert all(v.quality in SHOWN for v in settled)


def test_the_rhythm_is_told_with_the_vitals_after_half_a_minute() -> None:
    _, vitals = RUNS["tachycardia"]
    assert vitals[10].rhythm is None
    assert vitals[-1].rhythm is not None
    assert vitals[-1].rhythm.value == "tachycardia"


def test_what_comes_behind_a_gap_is_judged_anew() -> None:
    lost = np.full(RATE, MISSING, np.int16)
    strip = np.concatenate([rhythm("fibrillation"), lost, rhythm("tachycardia")[: RATE * 17]])
    ((_, vitals),) = together([strip])
    told = [v.rhythm and v.rhythm.value for v in vitals]
    assert "af_suspected" in told
    assert told[-1] == "tachycardia"
