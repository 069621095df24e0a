"""What is said of live ECGs beside what is true (part `trust`): rhythms hidden, rates shown wrong.

docs/devices.md quotes these rows. Rhythms are those that the marks of MIT-BIH say, a judgement is
of the rhythm it was made in; a rate is right within 15 % of that of the marked beats of the same
six seconds. The shaking hand is made, and so is the motion: see `made_motion`, `shaking`.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.ecg_data import SAMPLE, Floats, data, lead_of, mixed, noises, recordings
from bench.ecg_live import judgements
from bench.harness import Row
from devices.ecg.live import EcgVitals
from devices.ecg.quality import Quality
from devices.ecg_files import EcgRecording
from devices.ecg_files.wfdb import read_beats, read_record
from devices.ecg_files.wfdb_marks import parse

RHYTHMS = {
    "(VT": "tachycardia",
    "(VFL": "flutter",
    "(B": "bigeminy",
    "(AFIB": "fibrillation",
    "(N": "normal",
}
SHOWN = {Quality.GOOD, Quality.NOISY}
SETTLED_S, RATE_S, RIGHT = 6.0, 6.0, 0.15
NOISY_S = 90.0
SEEDS = 12
SHAKES_HZ, SHAKES_MV = (4.0, 5.0, 6.0), (0.5, 1.0, 2.0)

Beats = NDArray[np.int64]


def hidden_rows() -> list[Row]:
    """Shares of the judgements in each rhythm of the whole records."""
    folder = data().part("mitdb")
    if folder is None:
        return [Row("trust.records", 0, "mitdb/ of the set is absent: not judged")]
    every = list(recordings())
    counts = {name: np.zeros(3) for name in RHYTHMS.values()}
    for (name, record, _), said in zip(every, judgements([each[1] for each in every]), strict=True):
        marks = _marks(folder / name)
        starts = np.array([at for at, _ in marks])
        for vitals in said:
            which = int(np.searchsorted(starts, vitals.at_sample, side="right")) - 1
            rhythm = RHYTHMS.get(marks[which][1]) if which >= 0 else None
            if rhythm is not None and vitals.at_sample > SETTLED_S * record.rate_hz:
                hidden = vitals.quality not in SHOWN, vitals.heart_rate_bpm is None
                counts[rhythm] += (1, *hidden)
    rows = []
    for rhythm, (judged, unusable, silent) in counts.items():
        of = f"% of {judged:.0f} judgements"
        rows.append(Row(f"trust.{rhythm}_unusable", float(100 * unusable / max(1, judged)), of))
        rows.append(Row(f"trust.{rhythm}_no_rate", float(100 * silent / max(1, judged)), of))
    return rows


def _marks(path: Path) -> list[tuple[int, str]]:
    marks = parse(path.with_suffix(".atr").read_bytes())
    return [(mark.at, mark.text) for mark in marks if mark.symbol == "+"]


def right_rows(name: str, records: Sequence[EcgRecording], beats: Sequence[Beats]) -> list[Row]:
    """Of these strips: how often a rate is shown, and how often it is right."""
    shown = {Quality.GOOD: [0, 0], Quality.NOISY: [0, 0]}
    judged = 0
    for record, marked, said in zip(records, beats, judgements(records), strict=True):
        for vitals in said:
            if vitals.at_sample <= SETTLED_S * record.rate_hz:
                continue
            judged += 1
            if vitals.heart_rate_bpm is not None:
                true = _rate(marked, vitals, record.rate_hz)
                count = shown[vitals.quality]
                count[0] += 1
                count[1] += bool(abs(vitals.heart_rate_bpm - true) <= RIGHT * true)
    return [
        Row(f"trust.{name}_shown", 100 * sum(n for n, _ in shown.values()) / judged, "% of time"),
        *(
            Row(f"trust.{name}_{quality}_right", 100 * right / max(1, n), f"% of {n} judgements")
            for quality, (n, right) in shown.items()
        ),
    ]


def _rate(beats: Beats, vitals: EcgVitals, rate_hz: float) -> float:
    last = beats[(beats <= vitals.at_sample) & (beats > vitals.at_sample - RATE_S * rate_hz)]
    return 60 * (len(last) - 1) * rate_hz / (last[-1] - last[0]) if len(last) > 1 else 0.0


def motion_rows() -> list[Row]:
    """Recorded motion of electrodes in 90 s of each record, at 6 dB."""
    sounds = noises()
    every = list(recordings())
    rows = []
    for kind, from_s in (("em0", 300), ("em1", 900)):
        if kind not in sounds or data().part("mitdb") is None:
            continue
        strips, marked = [], []
        for _, record, beats in every:
            first, last = (round(at * record.rate_hz) for at in (from_s, from_s + NOISY_S))
            noisy = mixed(record, beats, sounds[kind][:, 0], 6, (from_s, from_s + NOISY_S))
            strips.append(replace(noisy, samples=noisy.samples[first:last]))
            inside = beats.samples[(beats.samples >= first) & (beats.samples < last)]
            marked.append(inside - first)
        rows += right_rows(f"motion_{from_s}s", strips, marked)
    return rows


def made_motion(size: int, rate_hz: float, seed: int) -> Floats:
    """Slow noise that is louder and calmer by the second."""
    rng = np.random.default_rng(seed)
    slow = np.convolve(rng.standard_normal(size), np.hanning(round(0.15 * rate_hz)), "same")
    loud = np.repeat(rng.random(round(size / rate_hz) + 1) ** 2, round(rate_hz))[:size]
    return np.asarray(slow * loud)


def shaking(size: int, rate_hz: float, hertz: float, height: float, seed: int) -> Floats:
    """A tremor: two harmonics whose pace and height waver."""
    rng = np.random.default_rng(seed)
    second = np.hanning(round(rate_hz))
    pace, strength = (np.convolve(rng.standard_normal(size), second, "same") for _ in range(2))
    turn = 2 * np.pi * np.cumsum(hertz * (1 + 0.05 * pace / pace.std())) / rate_hz
    wave = np.sin(turn) + 0.4 * np.sin(2 * turn + 1)
    return np.asarray(height / 2 * np.clip(1 + 0.3 * strength / strength.std(), 0.1, None) * wave)


def made_rows() -> list[Row]:
    """Made noise on the record that comes with the product."""
    record, beats = read_record(SAMPLE), read_beats(SAMPLE).samples
    lead, rate_hz = lead_of(record), record.rate_hz
    gain = record.leads[lead].gain_per_mv
    clean = record.samples[:, lead].astype(np.float64)
    reach = round(0.05 * rate_hz)
    height = np.median([np.ptp(clean[at - reach : at + reach]) for at in beats[1:-1]])

    def strip(noise: Floats) -> EcgRecording:
        samples = np.clip(np.round(clean + noise), -32767, 32767).astype(np.int16)
        return EcgRecording(rate_hz, (record.leads[lead],), samples[:, None])

    motion = [made_motion(len(clean), rate_hz, seed) for seed in range(SEEDS)]
    moved = [
        strip(noise * np.sqrt(height**2 / 8 / (np.mean(noise**2) * 10 ** (ratio_db / 10))))
        for ratio_db in (18, 12, 6, 0)
        for noise in motion
    ]
    shaken = [
        strip(shaking(len(clean), rate_hz, hertz, gain * height_mv, seed))
        for seed in range(SEEDS // 4)
        for hertz in SHAKES_HZ
        for height_mv in SHAKES_MV
    ]
    return [
        *right_rows("made_motion", moved, [beats] * len(moved)),
        *right_rows("shaking_hand", shaken, [beats] * len(shaken)),
    ]


def trust_rows() -> list[Row]:
    """Every row of this part."""
    return [*hidden_rows(), *motion_rows(), *made_rows()]
