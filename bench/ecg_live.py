"""Live beats against annotations, their delay, and how many streams a core carries (part `live`).

All recordings are followed together, in chunks of 200 ms, as they come from devices.
"""

import time
from collections.abc import Sequence
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from bench.ecg_data import data, lead_of, recordings
from bench.harness import Row, at_least, at_most, percentile
from devices.ecg.live import EcgVitals, LiveEcg
from devices.ecg.score import Score, match
from devices.ecg_files import EcgRecording
from devices.frames import StreamHeader

TICK_S = 0.2
# F1 of the prototype this detector was grown from, causal, on the same 23 records.
PROTOTYPE_F1 = 99.44
# Streams in one batch and for how long: each plays a part of some recording, begun at another
# moment, at the pace of 250 and of 360 Hz; after half a minute there is a rhythm to tell as well.
STREAMS, STREAMS_S, WARM_S = 3000, 15, 35

Found = tuple[NDArray[np.int64], NDArray[np.int64]]  # beat, and samples pushed when it was told


def header(record: EcgRecording, lead: int, rate_hz: float | None = None) -> StreamHeader:
    row = record.leads[lead]
    return StreamHeader(
        stream=UUID(int=1),
        rate_hz=rate_hz or record.rate_hz,
        gain_per_mv=row.gain_per_mv,
        baseline=row.baseline,
        lead=row.name,
    )


def follow(records: list[EcgRecording]) -> list[Found]:
    """All recordings at once, tick by tick."""
    live = LiveEcg()
    leads = [record.samples[:, lead_of(record)] for record in records]
    slots = [live.open(header(record, lead_of(record))) for record in records]
    found: dict[int, list[tuple[int, int]]] = {slot: [] for slot in slots}
    pieces = [round(TICK_S * record.rate_hz) for record in records]
    pushed = 0
    while any(pushed * piece < len(lead) for piece, lead in zip(pieces, leads, strict=True)):
        for slot, piece, lead in zip(slots, pieces, leads, strict=True):
            live.push(slot, lead[pushed * piece : (pushed + 1) * piece])
        pushed += 1
        for told in live.tick():
            until = min(pushed * pieces[told.slot], len(leads[told.slot]))
            found[told.slot] += [(beat.sample, until) for beat in told.beats]
    return [
        (pairs[:, 0], pairs[:, 1])
        for slot in slots
        for pairs in [np.array(found[slot], np.int64).reshape(-1, 2)]
    ]


def judgements(records: Sequence[EcgRecording]) -> list[list[EcgVitals]]:
    """What is said of each, twice a second; all are followed together."""
    live = LiveEcg()
    leads = [record.samples[:, lead_of(record)] for record in records]
    slots = [live.open(header(record, lead_of(record))) for record in records]
    said: dict[int, list[EcgVitals]] = {slot: [] for slot in slots}
    pieces = [round(record.rate_hz / 2) for record in records]
    turns = max(len(lead) // piece for lead, piece in zip(leads, pieces, strict=True))
    for turn in range(turns):
        for slot, lead, piece in zip(slots, leads, pieces, strict=True):
            live.push(slot, lead[turn * piece : (turn + 1) * piece])
        for told in live.tick():
            if told.vitals is not None:
                said[told.slot].append(told.vitals)
    return [said[slot] for slot in slots]


def beats_rows() -> list[Row]:
    every = list(recordings())
    total = Score(0, 0, 0)
    worst = (1.0, "")
    delays: list[float] = []
    followed = follow([record for _, record, _ in every])
    for (name, record, beats), (found, told) in zip(every, followed, strict=True):
        score = match(beats.samples, found, record.rate_hz, beats.flutter)
        total += score
        worst = min(worst, (score.f1, name))
        if not beats.flutter:  # the pairs count in what is left of those
            delays += [float(told[j] - beats.samples[i]) / record.rate_hz for i, j in score.pairs]
    return [
        Row("live.records", len(every), data().what),
        at_least("live.f1", 100 * total.f1, "%", bar=99.8, peer=PROTOTYPE_F1),
        Row("live.sensitivity", 100 * total.sensitivity, "%"),
        Row("live.predictivity", 100 * total.predictivity, "%"),
        Row("live.worst_record_f1", 100 * worst[0], f"% ({worst[1]})"),
        at_most("live.delay_p50", percentile(delays, 0.5), "s", bar=0.30),
        at_most("live.delay_p99", percentile(delays, 0.99), "s", bar=0.45),
    ]


def streams_rows() -> list[Row]:
    """Streams that one core follows in real time: beats, quality and rhythm."""
    records = [record for _, record, _ in recordings()]
    rows = []
    for rate_hz, bar in ((250.0, None), (360.0, 20_000)):
        live = LiveEcg()
        piece = round(TICK_S * rate_hz)
        length = round((STREAMS_S + WARM_S) * rate_hz)
        parts = {}
        for number in range(STREAMS):
            record = records[number % len(records)]
            lead = lead_of(record)
            first = number // len(records) * 377 % (len(record.samples) - length)
            parts[live.open(header(record, lead, rate_hz))] = record.samples[first:, lead]
        spent = []
        for tick in range(round((STREAMS_S + WARM_S) / TICK_S)):
            # As payloads of frames are: each an array of its own.
            pieces = [
                (slot, part[tick * piece : (tick + 1) * piece].copy())
                for slot, part in parts.items()
            ]
            started = time.process_time()
            for slot, samples in pieces:
                live.push(slot, samples)
            live.tick()
            spent.append(time.process_time() - started)
        cost = float(np.mean(spent[round(WARM_S / TICK_S) :]))
        figure = STREAMS * TICK_S / cost
        name = f"live.streams_{rate_hz:g}hz" if bar is None else "live.streams"
        unit = f"a core at {rate_hz:g} Hz, {cost / STREAMS * 1e6:.1f} us a tick"
        rows.append(
            Row(name, figure, unit) if bar is None else at_least(name, figure, unit, bar=bar)
        )
    return rows


def live_rows() -> list[Row]:
    """Every row of this part."""
    return [*beats_rows(), *streams_rows()]
