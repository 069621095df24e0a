"""Devices: beats against annotations, delay, cost, noise, frames, FHIR (`python -m bench.devices`).

Beats are judged on every recording of the set at YANASHA_DATA (its mitdb/ and noise/ folders);
without it on the two minutes that come with the product, and the row `ecg.records` says so.
"""

import os
import struct
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

import devices
from bench.device_files import rows as file_rows
from bench.fhir import fhir_rows
from bench.gatt import gatt_rows
from bench.harness import Row, at_least, at_most, percentile, report
from devices.ecg.quality import Quality
from devices.ecg.score import Score, match
from devices.ecg.stream import EcgStream
from devices.ecg_files import EcgRecording
from devices.ecg_files.wfdb import read_beats, read_record
from devices.ecg_files.wfdb_marks import Beats
from devices.frames import HEAD_BYTES, StreamHeader, decode, encode, frame_of

SAMPLE = Path(devices.__file__).parent / "samples" / "100_2min"
TICK_S = 0.2
# F1 of the prototype this detector was grown from, causal, on the same 23 records.
PROTOTYPE_F1 = 99.44
NOISE_RECORDS = ("100", "106", "118", "209")
NOISE_FROM_S, NOISE_UNTIL_S = 300, 420

# Delay and cost are taken at the pace of a device, on so much of some recordings; the beats are the
# same for any chunking, so the rest is pushed in larger pieces.
TICKED, TICKED_S = 6, 300

Found = tuple[NDArray[np.int64], NDArray[np.int64]]  # beat, and samples pushed when it was told


def header(record: EcgRecording, lead: int) -> StreamHeader:
    row = record.leads[lead]
    return StreamHeader(
        stream=UUID(int=1),
        rate_hz=record.rate_hz,
        gain_per_mv=row.gain_per_mv,
        baseline=row.baseline,
        lead=row.name,
    )


def recordings() -> Iterator[tuple[str, EcgRecording, Beats]]:
    data = os.environ.get("YANASHA_DATA", "")
    folder = Path(data) / "mitdb"
    paths = sorted(folder.glob("*.hea")) if data and folder.is_dir() else [SAMPLE]
    for path in paths:
        yield path.stem, read_record(path), read_beats(path)


def follow(record: EcgRecording, piece_s: float, seconds: float = float("inf")) -> Found:
    """The recording (its first `seconds`) in pieces, as it comes from a device."""
    lead = record.lead("MLII")
    stream = EcgStream(header(record, lead))
    piece = round(piece_s * record.rate_hz)
    samples = record.samples[: round(min(seconds, 1e6) * record.rate_hz), lead]
    beats: list[int] = []
    told: list[int] = []
    for start in range(0, len(samples), piece):
        for beat in stream.push(samples[start : start + piece]):
            beats.append(beat.sample)
            told.append(start + piece)
    return np.array(beats, np.int64), np.array(told, np.int64)


def beats_rows() -> list[Row]:
    total = Score(0, 0, 0)
    worst = (1.0, "")
    count = 0
    for name, record, beats in recordings():
        found, _ = follow(record, piece_s=10)
        score = match(beats.samples, found, record.rate_hz, beats.flutter)
        total += score
        worst = min(worst, (score.f1, name))
        count += 1
    enough = "23 developers' records" if count > 1 else "sample only: YANASHA_DATA is not set"
    return [
        Row("ecg.records", count, enough),
        at_least("ecg.causal_f1", 100 * total.f1, "%", bar=99.4, peer=PROTOTYPE_F1),
        Row("ecg.causal_sensitivity", 100 * total.sensitivity, "%"),
        Row("ecg.causal_predictivity", 100 * total.predictivity, "%"),
        Row("ecg.worst_record_f1", 100 * worst[0], f"% ({worst[1]})"),
    ]


def pace_rows() -> list[Row]:
    delays: list[float] = []
    cpu = seconds = 0.0
    every = [(record, beats) for _, record, beats in recordings() if not beats.flutter]
    for record, beats in every[:: max(1, len(every) // TICKED)]:
        started = time.process_time()
        found, told = follow(record, TICK_S, TICKED_S)
        cpu += time.process_time() - started
        length = min(TICKED_S, len(record.samples) / record.rate_hz)
        seconds += length
        there = beats.samples[beats.samples < length * record.rate_hz]
        pairs = match(there, found, record.rate_hz).pairs
        delays += [(int(told[j]) - int(there[i])) / record.rate_hz for i, j in pairs]
    return [
        at_most("ecg.delay_p50", percentile(delays, 0.5), "s", bar=0.35),
        at_most("ecg.delay_p99", percentile(delays, 0.99), "s", bar=0.45),
        Row("ecg.cpu", cpu / seconds * TICK_S * 1e6, "us/tick"),
        at_least("ecg.real_time_factor", seconds / cpu, "x", bar=100),
    ]


def mixed(
    record: EcgRecording, beats: Beats, noise: NDArray[np.float64], ratio_db: float
) -> EcgRecording:
    """The record with noise in it as Moody 1984 sets its level, from five minutes on."""
    lead = record.lead("MLII")
    clean = record.samples[:, lead]
    reach = round(0.05 * record.rate_hz)
    height = np.median([np.ptp(clean[at - reach : at + reach]) for at in beats.samples[1:-1]])
    second = round(record.rate_hz)
    blocks = noise[: len(noise) // second * second].reshape(-1, second)
    power = np.sort(((blocks - blocks.mean(axis=1, keepdims=True)) ** 2).mean(axis=1))
    trimmed = power[len(power) // 20 : len(power) - len(power) // 20].mean()
    gain = np.sqrt(height**2 / 8 / (trimmed * 10 ** (ratio_db / 10)))
    first, last = NOISE_FROM_S * second, NOISE_UNTIL_S * second
    part = np.resize(noise, last - first) * gain
    samples = np.clip(np.round(clean[first:last] + part), -32767, 32767).astype(np.int16)
    return EcgRecording(record.rate_hz, (record.leads[lead],), samples[:, None])


def judged(record: EcgRecording) -> tuple[float, float]:
    """Shares of the time, after settling, that are not good and that are without a rate."""
    stream = EcgStream(header(record, 0))
    half = round(record.rate_hz / 2)
    vitals = []
    for start in range(0, len(record.samples), half):
        stream.push(record.samples[start : start + half, 0])
        vitals.append(stream.vitals())
    vitals = vitals[12:]
    return (
        sum(v.quality is not Quality.GOOD for v in vitals) / len(vitals),
        sum(v.heart_rate_bpm is None for v in vitals) / len(vitals),
    )


def noise_rows() -> list[Row]:
    data = Path(os.environ.get("YANASHA_DATA", ""))
    if not (data / "noise" / "noise.npz").is_file():
        return [Row("ecg.noise_records", 0, "noise/ of YANASHA_DATA is absent: not judged")]
    sounds = np.load(data / "noise" / "noise.npz")
    chosen = [(r, b) for name, r, b in recordings() if name in NOISE_RECORDS]
    rows = [Row("ecg.noise_records", len(chosen), "records")]
    for kind, name in (("ma", "muscle"), ("em0", "motion")):
        noise = sounds[kind][:, 0].astype(np.float64)
        for ratio_db, bar in ((12, None), (6, None), (0, 80.0)):
            shares = [judged(mixed(r, b, noise, ratio_db)) for r, b in chosen]
            flagged = 100 * float(np.mean([share[0] for share in shares]))
            silent = 100 * float(np.mean([share[1] for share in shares]))
            rows.append(_share(f"ecg.{name}_{ratio_db}db_flagged", flagged, bar))
            rows.append(Row(f"ecg.{name}_{ratio_db}db_no_rate", silent, "% of time"))
    return rows


def _share(name: str, share: float, bar: float | None) -> Row:
    if bar is None:
        return Row(name, share, "% of time")
    return at_least(name, share, "% of time", bar=bar)


def frame_rows() -> list[Row]:
    data = encode(frame_of(UUID(int=7), 5, 1_770_000_000_000_000, np.zeros(72, np.int16)))
    bare = struct.Struct("<4s16sIqH")

    def struct_only() -> None:
        bare.unpack_from(data)
        bytes(data[HEAD_BYTES:])

    ours = _rate(lambda: decode(data))
    limit = _rate(struct_only)
    return [
        Row("frames.decode", ours, "frames/s", peer=limit),
        at_least("frames.decode_ratio", ours / limit, "of struct alone", bar=0.08, peer=1.0),
    ]


def _rate(work: Callable[[], object], count: int = 50_000) -> float:
    best = float("inf")
    for _ in range(3):
        started = time.perf_counter()
        for _ in range(count):
            work()
        best = min(best, time.perf_counter() - started)
    return count / best


def main() -> int:
    return report(
        "devices",
        [
            *beats_rows(),
            *pace_rows(),
            *noise_rows(),
            *frame_rows(),
            *gatt_rows(),
            *fhir_rows(),
            *file_rows(),
        ],
    )


if __name__ == "__main__":
    sys.exit(main())
