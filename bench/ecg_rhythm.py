"""Suspicion of atrial fibrillation: single-lead records of CinC 2017, half minutes of MIT-BIH.

A record that the tables were learnt from is judged by the fold that never saw its person. Rates of
the challenge are weighted back to the natural shares of its labels. Beats are ours throughout.
"""

import csv
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.ecg_data import data, lead_of, recordings
from bench.harness import Row, at_least
from devices.ecg.af import INTERVALS_RULE, WAVE_RULE, judge_intervals, judge_waves, table
from devices.ecg.beats import find_beats
from devices.ecg.rhythm import Finding, RhythmCode, find_rhythm
from devices.ecg.score import match
from devices.ecg.seconds import judge_seconds, usable
from devices.ecg_files import wfdb_marks
from devices.ecg_files.wfdb import read_record

Floats = NDArray[np.float64]

# Labels of the whole training set of the challenge: normal, fibrillation, other, too noisy.
NATURAL = {"N": 5076, "A": 758, "O": 2415, "~": 279}
CHALLENGE_HZ, CHALLENGE_PER_MV = 300.0, 1000.0
WINDOW_S = 30.0
# signals.md: a random forest on 13 numbers, learnt from the same records, judged on others.
FOREST_F1 = 0.745
MOST_OF_IT = 0.5
# Symbols of what is told; a fusion beat is half a ventricle's.
EARLY = {
    RhythmCode.VENTRICULAR_ECTOPY: frozenset("VEF"),
    RhythmCode.SUPRAVENTRICULAR_ECTOPY: frozenset("AaJSe"),
}


def challenge(folder: Path) -> Iterator[tuple[str, str, Floats, NDArray[np.int64]]]:
    """Name, label, signal and our beats of each record of the challenge."""
    with (folder / "cinc2017" / "labels.csv").open(newline="") as lines:
        labels = {row["record"]: row["label"] for row in csv.DictReader(lines)}
    with np.load(folder / "cinc2017" / "signals.npz") as signals:
        for name, label in labels.items():
            x = signals[name].astype(np.float64)
            yield name, label, x, find_beats(x, CHALLENGE_HZ).samples


def weighted_f1(labels: NDArray[np.str_], said: NDArray[np.bool_]) -> float:
    """F1 of fibrillation with every label weighted to its natural share."""
    share = {
        label: count * float(said[labels == label].mean())
        for label, count in NATURAL.items()
        if (labels == label).any()
    }
    right = share.get("A", 0.0)
    return 2 * right / (sum(share.values()) + NATURAL["A"])


def windows(folder: Path) -> Iterator[tuple[str, Floats, float]]:
    """Half minutes of MIT-BIH: record, our intervals, share of the time in atrial fibrillation.

    Half minutes with atrial or ventricular flutter in them are left out.
    """
    for path in sorted((folder / "mitdb").glob("*.hea")):
        record = read_record(path)
        marks = wfdb_marks.parse(path.with_suffix(".atr").read_bytes())
        changes = [(mark.at, mark.text) for mark in marks if mark.symbol == "+"]
        count, size = len(record.samples), round(WINDOW_S * record.rate_hz)
        beats = find_beats(record.samples[:, lead_of(record)], record.rate_hz).samples
        ends = [at for at, _ in changes[1:]] + [count]
        for first in range(0, count - size + 1, size):
            last = first + size
            share: Counter[str] = Counter()
            for (at, text), end in zip(changes, ends, strict=True):
                share[text] += max(0, min(end, last) - max(at, first))
            if not share["(AFL"] and not share["(VFL"]:
                inside = beats[(beats >= first) & (beats < last)]
                yield path.stem, np.diff(inside) / record.rate_hz, share["(AFIB"] / size


def fibrillation(folder: Path) -> dict[str, float]:
    """Sensitivity and specificity over the half minutes, by what most of each is; and counts."""
    seen: Counter[tuple[bool, bool]] = Counter()
    for name, rr_s, share in windows(folder):
        said = judge_intervals(rr_s, name)
        seen[share > MOST_OF_IT, said is not None and said.suspected] += 1
    yes, no = seen[True, True] + seen[True, False], seen[False, True] + seen[False, False]
    return {
        "sensitivity": seen[True, True] / max(1, yes),
        "specificity": seen[False, False] / max(1, no),
        "yes": yes,
        "no": no,
    }


def rhythm_rows() -> list[Row]:
    """What the issue promises of atrial fibrillation, and how far early beats are to be trusted."""
    return [*_challenge_rows(), *_episode_rows(), *_ectopy_rows()]


def _challenge_rows() -> list[Row]:
    folder = data().folder
    if folder is None or not (folder / "cinc2017").is_dir():
        return [Row("af.records", 0, "cinc2017/ is absent: not judged")]
    labels, said, known = [], [], 0
    for name, label, x, beats in challenge(folder):
        judged = judge_waves(x, CHALLENGE_HZ, beats, name)
        labels.append(label)
        said.append(judged is not None and judged.suspected)
        known += name in table(WAVE_RULE).names
    marks, flags = np.array(labels), np.array(said)
    rates = [
        Row(f"af.said_of_{label}", 100 * float(flags[marks == label].mean()), f"% of {name}")
        for label, name in (("A", "fibrillation"), ("N", "normal"), ("O", "other"), ("~", "noise"))
        if (marks == label).any()
    ]
    what = f"records, {known} of them judged by the fold that never saw them"
    f1 = weighted_f1(marks, flags)
    return [
        Row("af.records", len(marks), what),
        at_least("af.cinc2017", f1, "F1", bar=0.78, peer=FOREST_F1),
        *rates,
    ]


def _episode_rows() -> list[Row]:
    folder = data().folder
    if folder is None or not (folder / "mitdb").is_dir():
        return [Row("af.mitbih_windows", 0, "mitdb/ is absent: not judged")]
    found = fibrillation(folder)
    known = sum(name.isdigit() for name in table(INTERVALS_RULE).names)
    unit = (
        f"half minutes of fibrillation and {found['no']:.0f} without; {known} records were learnt"
    )
    return [
        Row("af.mitbih_windows", found["yes"], unit),
        at_least("af.mitbih_se", 100 * found["sensitivity"], "%", bar=97.0),
        at_least("af.mitbih_sp", 100 * found["specificity"], "%", bar=96.0),
    ]


def _ectopy_rows() -> list[Row]:
    """Early beats as they are told of usable half minutes: without a bar."""
    told: dict[RhythmCode, Counter[bool]] = {code: Counter() for code in EARLY}
    for _, record, annotated in recordings():
        lead = lead_of(record)
        scale = record.leads[lead]
        x = (record.samples[:, lead].astype(np.float64) - scale.baseline) / scale.gain_per_mv
        beats = find_beats(x, record.rate_hz).samples
        pairs = match(annotated.samples, beats, record.rate_hz, annotated.flutter).pairs
        symbols = {int(beats[j]): annotated.symbols[i] for i, j in pairs}
        for finding in _early(x, record.rate_hz, beats):
            span = (beats >= finding.first) & (beats <= finding.last)
            right = sum(
                symbols.get(beat, "") in EARLY[finding.code] for beat in beats[span].tolist()
            )
            told[finding.code][2 * right >= finding.inputs["count"]] += 1
    unit = "half minutes so told have at least half as many such beats annotated"
    rows = [
        Row(
            f"{code}.right",
            100 * count[True] / max(1, count.total()),
            f"% of {count.total()} {unit}",
        )
        for code, count in told.items()
    ]
    return rows + _normal_rows()


def _normal_rows() -> list[Row]:
    """In how many normal records of the challenge early beats are told all the same."""
    folder = data().part("cinc2017")
    if folder is None:
        return []
    said: list[set[RhythmCode]] = []
    for _, label, x, beats in challenge(folder.parent):
        if label == "N":
            found = _early(x / CHALLENGE_PER_MV, CHALLENGE_HZ, beats)
            said.append({finding.code for finding in found})
    return [
        Row(
            f"{code}.of_normal",
            100 * sum(code in codes for codes in said) / max(1, len(said)),
            f"% of {len(said)} hand-held records that readers called normal",
        )
        for code in EARLY
    ]


def _early(x: Floats, rate_hz: float, beats: NDArray[np.int64]) -> list[Finding]:
    """Findings of early beats, half a minute of usable signal at a time."""
    found = []
    for first, end in usable(judge_seconds(x, rate_hz, beats), rate_hz):
        cuts = np.linspace(first, end, max(1, int((end - first) / rate_hz / WINDOW_S)) + 1)
        for low, high in pairwise(cuts.astype(np.int64).tolist()):
            said = find_rhythm(x, rate_hz, beats, [(low, high)])
            found += [finding for finding in said if finding.code in EARLY]
    return found
