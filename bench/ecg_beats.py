"""Beats of whole recordings against annotations, and speed beside other detectors (part `beats`).

Peers are those of requirements/bench.txt, which `make bench-devices` installs; without them their
rows are left out. Every detector gets the same samples on one core, in turns; a time is the best of
five.
"""

import importlib.util
import time
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.ecg_data import Every, Floats, data, lead_of, mixed, noises, recordings, spread
from bench.harness import Row, at_least, at_most
from devices.ecg.beats import find_beats
from devices.ecg.score import Score, match
from devices.ecg_files import EcgRecording

NOISE_RECORDS = 8
WORST = 5
SPEED_RECORDS, TURNS = 6, 5
# xqrs is slow: it gets so much of each recording, in seconds.
SLOW_S = 120
LONG_H = 24


def beats_rows() -> list[Row]:
    """Every row of this part."""
    every = list(recordings())
    return [
        Row("qrs.records", len(every), data().what),
        *_accuracy(every),
        *_noise(every),
        *_speed(every),
        _long(),
    ]


def _score(every: Every, *, both: bool) -> dict[str, Score]:
    scores = {}
    for name, record, beats in every:
        x = _leads(record) if both else _leads(record)[:, 0]
        found = find_beats(x, record.rate_hz).samples
        scores[name] = match(beats.samples, found, record.rate_hz, beats.flutter)
    return scores


def _leads(record: EcgRecording) -> NDArray[np.int16]:
    """The leads as columns, the judged one first."""
    return np.roll(record.samples, -lead_of(record), axis=1)


def _total(scores: Iterable[Score]) -> Score:
    return sum(scores, Score(0, 0, 0))


def error_rate(score: Score) -> float:
    """Missed and false beats as a share of those there are (DER)."""
    return (score.missed + score.false) / max(1, score.right + score.missed)


def _accuracy(every: Every) -> list[Row]:
    one, both = _score(every, both=False), _score(every, both=True)
    total = _total(both.values())
    alone = _total(one.values())
    worst = sorted(both, key=lambda name: both[name].f1)
    rows = [
        at_least("qrs.f1", 100 * total.f1, "%", bar=99.90),
        at_most("qrs.der", 100 * error_rate(total), "%", bar=0.20),
        at_least("qrs.worst", 100 * both[worst[0]].f1, f"% ({worst[0]})", bar=99.0),
        Row("qrs.one_lead_f1", 100 * alone.f1, "%"),
        Row("qrs.one_lead_der", 100 * error_rate(alone), "%"),
    ]
    for name in worst[:WORST]:
        score = both[name]
        unit = f"% F1: {score.missed} missed, {score.false} false"
        rows.append(Row(f"qrs.record_{name}", 100 * score.f1, unit))
    return rows


def _noise(every: Every) -> list[Row]:
    sounds = noises()
    if not sounds:
        return [Row("noise.records", 0, "noise/ of the set is absent: not judged")]
    chosen = [row for row in every if not row[2].flutter]
    chosen = spread(chosen, NOISE_RECORDS)
    rows = []
    for ratio_db, bar in ((6, 95.0), (0, None)):
        scores = []
        for _, record, beats in chosen:
            noisy = mixed(record, beats, sounds["ma"][:, 0], ratio_db)
            found = find_beats(noisy.samples[:, 0], record.rate_hz).samples
            scores.append(match(beats.samples, found, record.rate_hz))
        f1, unit = 100 * _total(scores).f1, f"% F1, muscle, {len(chosen)} records, one lead"
        name = f"noise.{ratio_db}db"
        rows.append(Row(name, f1, unit) if bar is None else at_least(name, f1, unit, bar=bar))
    return rows


def _peers() -> dict[str, tuple[float, Callable[[Floats, int], Any]]]:
    """Other detectors that are installed: how many times as fast we promise to be, and a call."""
    peers: dict[str, tuple[float, Callable[[Floats, int], Any]]] = {}
    if importlib.util.find_spec("sleepecg"):
        import sleepecg  # noqa: PLC0415 - there for `make bench-devices` only

        peers["sleepecg"] = 3, sleepecg.detect_heartbeats
    if importlib.util.find_spec("neurokit2"):
        import neurokit2  # noqa: PLC0415

        def neurokit(x: Floats, rate: int) -> Any:
            return neurokit2.ecg_peaks(neurokit2.ecg_clean(x, rate), rate)

        peers["neurokit"] = 12, neurokit
    if importlib.util.find_spec("wfdb"):
        from wfdb.processing import xqrs_detect  # noqa: PLC0415

        peers["xqrs"] = 400, lambda x, rate: xqrs_detect(x, rate, verbose=False)
    return peers


def _speed(every: Every) -> list[Row]:
    chosen = spread(every, SPEED_RECORDS)
    one = [_leads(record)[:, 0].astype(np.float64) for _, record, _ in chosen]
    both = [_leads(record).astype(np.float64) for _, record, _ in chosen]
    rate = chosen[0][1].rate_hz

    def ours(x: Floats) -> object:
        return find_beats(x, rate)

    alone, pairs = _paces([(one, ours), (both, ours)])
    rows = [
        Row("speed.one_lead", alone / 1e6, "Msamples/s"),
        Row("speed.two_leads", pairs / 1e6, "Msamples/s"),
    ]
    for name, (bar, detect) in _peers().items():
        slow = name == "xqrs"
        signals = [x[: round(SLOW_S * rate)] for x in one] if slow else one

        def theirs(x: Floats, detect: Callable[[Floats, int], Any] = detect) -> object:
            return detect(x, round(rate))

        mine, peer = _paces([(one, ours), (signals, theirs)])
        rows.append(at_least(f"speed.{name}", mine / peer, "x", bar=bar, peer=f"{peer / 1e6:.3g}"))
    return rows


def _paces(sides: list[tuple[list[Any], Callable[[Any], object]]]) -> list[float]:
    """Samples of a lead a second of each side, in turns; the best turn of each signal."""
    best = [[float("inf")] * len(signals) for signals, _ in sides]
    for _ in range(TURNS):
        for (signals, work), times in zip(sides, best, strict=True):
            for number, x in enumerate(signals):
                started = time.process_time()
                work(x)
                times[number] = min(times[number], time.process_time() - started)
    return [
        sum(len(x) for x in signals) / sum(times)
        for (signals, _), times in zip(sides, best, strict=True)
    ]


def _long() -> Row:
    """A day beside an hour of the same recording over and over, per sample."""
    _, record, _ = next(recordings())
    lead, rate = record.samples[:, lead_of(record)], record.rate_hz
    hour = np.resize(lead, round(3600 * rate))
    day = np.resize(lead, round(LONG_H * 3600 * rate))
    pace = _paces([([x], lambda x: find_beats(x, rate)) for x in (hour, day)])
    return at_most("speed.day", pace[0] / pace[1], "x an hour's time a sample", bar=1.3)
