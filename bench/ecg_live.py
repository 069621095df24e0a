"""Live beats against annotations, their delay and what a stream costs (part `live`)."""

import time
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from bench.ecg_data import data, lead_of, recordings
from bench.harness import Row, at_least, at_most, percentile
from devices.ecg.score import Score, match
from devices.ecg.stream import EcgStream
from devices.ecg_files import EcgRecording
from devices.frames import StreamHeader

TICK_S = 0.2
# F1 of the prototype this detector was grown from, causal, on the same 23 records.
PROTOTYPE_F1 = 99.44

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


def follow(record: EcgRecording, piece_s: float, seconds: float = float("inf")) -> Found:
    """The recording (its first `seconds`) in pieces, as it comes from a device."""
    lead = lead_of(record)
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
    return [
        Row("ecg.records", count, data().what),
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


def live_rows() -> list[Row]:
    """Every row of this part."""
    return [*beats_rows(), *pace_rows()]
