"""Whether signals may be believed (part `quality`): streams under noise, twelve leads."""

import csv
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.ecg_data import data, lead_of, mixed, noises, recordings, spread
from bench.ecg_live import judgements
from bench.harness import Row, at_least, at_most
from devices.ecg.beats import find_beats
from devices.ecg.quality import Quality
from devices.ecg.score import Score, match
from devices.ecg.seconds import judge_seconds, usable
from devices.ecg.twelve import judge_twelve
from devices.ecg_files import EcgRecording
from devices.ecg_files.wfdb_marks import Beats

NOISE_RECORDS = 4
NOISY_S = (300, 420)
# Judgements come twice a second: the first six seconds are not counted.
SETTLING = 12


def judged(records: Sequence[EcgRecording]) -> list[tuple[float, float]]:
    """Of each, followed together: shares of the judgements, after settling, that are not good and
    that are without a rate."""
    settled = [said[SETTLING:] for said in judgements(records)]
    return [
        (
            sum(v.quality is not Quality.GOOD for v in some) / len(some),
            sum(v.heart_rate_bpm is None for v in some) / len(some),
        )
        for some in settled
    ]


CHALLENGE_HZ, CHALLENGE_PER_MV = 500.0, 200.0
# signals.md, on 490 other records of the challenge: five numbers; the best published program.
FIVE_NUMBERS = 0.916


def challenge_2011(folder: Path) -> Iterator[tuple[str, bool, NDArray[np.float64]]]:
    """Name, whether it is acceptable, and millivolts of each record of the challenge."""
    with (folder / "cinc2011" / "labels.csv").open(newline="") as lines:
        labels = {row["record"]: row["label"] for row in csv.DictReader(lines)}
    with np.load(folder / "cinc2011" / "signals_delta.npz") as signals:
        for name, label in labels.items():
            units = np.cumsum(signals[name], axis=1, dtype=np.int16)
            yield name, label == "acceptable", units / CHALLENGE_PER_MV


def twelve_rows() -> list[Row]:
    folder = data().folder
    if folder is None or not (folder / "cinc2011" / "labels.csv").is_file():
        return [Row("quality.cinc2011", 0, "cinc2011/ of the set is absent: not judged")]
    right: dict[bool, list[bool]] = {True: [], False: []}
    spent: list[float] = []
    for name, acceptable, x in challenge_2011(folder):
        started = time.process_time()
        said = judge_twelve(x, CHALLENGE_HZ, name)
        spent.append(time.process_time() - started)
        right[acceptable].append(said.acceptable == acceptable)
    every = right[True] + right[False]
    return [
        Row("quality.records", len(every), "12-lead records"),
        at_least(
            "quality.cinc2011", float(np.mean(every)), "accuracy", bar=0.93, peer=FIVE_NUMBERS
        ),
        Row("quality.unacceptable_found", float(np.mean(right[False])), "share"),
        Row("quality.acceptable_kept", float(np.mean(right[True])), "share"),
        at_most("quality.time", 1e3 * float(np.median(spent)), "ms/record", bar=5.0),
    ]


def quality_rows() -> list[Row]:
    """All of them."""
    return [*twelve_rows(), *gated_rows(), *stream_rows()]


def gated(record: EcgRecording, lead: int, beats: Beats) -> tuple[Score, Score, float, float]:
    """Our beats, all of them and those of usable seconds; seconds that are usable, and all."""
    row = record.leads[lead]
    x = (record.samples[:, lead].astype(np.float64) - row.baseline) / row.gain_per_mv
    found = find_beats(x, record.rate_hz).samples
    seconds = judge_seconds(x, record.rate_hz, found)
    runs = usable(seconds, record.rate_hz)
    every = match(beats.samples, found, record.rate_hz, beats.flutter)
    counted = np.zeros(len(x) + round(record.rate_hz) + 1, bool)
    for first, end in runs:
        counted[first:end] = True
    # Matched before the gate is applied: at its edges a beat must not lose its mark.
    marks, told = (at[~_within(at, beats.flutter)] for at in (beats.samples, found))
    right = sum(bool(counted[told[j]]) for _, j in every.pairs)
    hidden = int(counted[marks].sum())
    kept = Score(right, max(0, hidden - right), int(counted[told].sum()) - right)
    length = sum(end - first for first, end in runs) / record.rate_hz
    return every, kept, length, len(seconds)


def _within(at: NDArray[np.int64], spans: Sequence[tuple[int, int]]) -> NDArray[np.bool_]:
    inside = np.zeros(len(at), bool)
    for first, last in spans:
        inside |= (at >= first) & (at <= last)
    return inside


def gated_rows() -> list[Row]:
    """Muscle noise over whole records at 6 dB, and what is dropped of the same records as is."""
    sounds = noises()
    if "ma" not in sounds:
        return [Row("noise.gated", 0, "noise/ of the set is absent: not judged")]
    noisy, clean = [], []
    for _, record, beats in recordings():
        noisy.append(gated(mixed(record, beats, sounds["ma"][:, 0], 6), 0, beats))
        clean.append(gated(record, lead_of(record), beats))
    before = sum((one[0] for one in noisy), Score(0, 0, 0))
    after = sum((one[1] for one in noisy), Score(0, 0, 0))
    kept = [sum(one[2] for one in some) / sum(one[3] for one in some) for some in (noisy, clean)]
    return [
        at_least("noise.gated", 100 * after.predictivity, "% +P", bar=99.0),
        at_least("noise.gated_kept", 100 * kept[0], "% of time", bar=60.0),
        Row("noise.ungated", 100 * before.predictivity, "% +P"),
        Row("noise.clean_kept", 100 * kept[1], "% of time, no noise mixed in"),
    ]


def stream_rows() -> list[Row]:
    sounds = noises()
    if not sounds:
        return [Row("ecg.noise_records", 0, "noise/ of the set is absent: not judged")]
    chosen = spread([row for row in recordings() if not row[2].flutter], NOISE_RECORDS)
    rows = [Row("ecg.noise_records", len(chosen), "records")]
    kinds = [(*kind, db) for kind in (("ma", "muscle"), ("em0", "motion")) for db in (12, 6, 0)]
    strips = [
        _part(mixed(record, beats, sounds[kind][:, 0], ratio_db, NOISY_S))
        for kind, _, ratio_db in kinds
        for _, record, beats in chosen
    ]
    shares = np.array(judged(strips)).reshape(len(kinds), len(chosen), 2).mean(axis=1) * 100
    for (_, name, ratio_db), (flagged, silent) in zip(kinds, shares.tolist(), strict=True):
        rows.append(_share(f"ecg.{name}_{ratio_db}db_flagged", flagged, None if ratio_db else 80.0))
        rows.append(Row(f"ecg.{name}_{ratio_db}db_no_rate", silent, "% of time"))
    return rows


def _part(record: EcgRecording) -> EcgRecording:
    """What has noise in it."""
    first, last = (round(at * record.rate_hz) for at in NOISY_S)
    return EcgRecording(record.rate_hz, record.leads, record.samples[first:last])


def _share(name: str, share: float, bar: float | None) -> Row:
    if bar is None:
        return Row(name, share, "% of time")
    return at_least(name, share, "% of time", bar=bar)
