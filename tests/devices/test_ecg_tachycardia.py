"""True tachycardia and flutter of the ventricles, live: no quality rule hides them.

Nor is a shaking hand, which looks like them, called good.
"""

from itertools import pairwise
from pathlib import Path
from uuid import UUID

import numpy as np
import pytest
from numpy.typing import NDArray

import devices
from devices.ecg.live import EcgVitals, LiveEcg
from devices.ecg.quality import Quality, Reason
from devices.ecg_files import EcgRecording
from devices.ecg_files.wfdb import read_record
from devices.ecg_files.wfdb_marks import parse
from devices.frames import StreamHeader

FOLDER = Path(__file__).parent / "rhythms"
SHOWN = {Quality.GOOD, Quality.NOISY}
# A judgement rests on the last two seconds: it is about a rhythm that began before it.
BEGUN = 360


def follow(samples: NDArray[np.int16], record: EcgRecording) -> list[EcgVitals]:
    lead = record.leads[0]
    live = LiveEcg()
    slot = live.open(
        StreamHeader(
            stream=UUID(int=1),
            rate_hz=record.rate_hz,
            gain_per_mv=lead.gain_per_mv,
            baseline=lead.baseline,
            lead=lead.name,
        )
    )
    vitals = []
    for start in range(0, len(samples), 72):
        live.push(slot, samples[start : start + 72])
        vitals += [told.vitals for told in live.tick() if told.vitals is not None]
    return vitals


def during(name: str, rhythm: str) -> list[tuple[int, int]]:
    """Samples between which the annotations have this rhythm."""
    marks = parse((FOLDER / f"{name}.atr").read_bytes())
    changes = [(mark.at, mark.text) for mark in marks if mark.symbol == "+"]
    return [(at, end) for (at, text), (end, _) in pairwise(changes) if text == rhythm]


@pytest.mark.parametrize(
    ("name", "rhythm", "count", "least"),
    [("205_270s", "(VT", 8, 0.9), ("207_15s", "(VFL", 28, 0.65)],
    ids=["tachycardia", "flutter"],
)
def test_a_rhythm_that_kills_is_not_called_unusable(
    name: str, rhythm: str, count: int, least: float
) -> None:
    record = read_record(FOLDER / name)
    vitals = follow(record.samples[:, 0], record)
    inside = [
        v
        for v in vitals
        for first, last in during(name, rhythm)
        if first + BEGUN <= v.at_sample <= last
    ]
    assert len(inside) >= count
    shown = sum(v.quality in SHOWN for v in inside)
    assert shown >= least * len(inside), [(v.at_sample, v.quality, v.reason) for v in inside]


@pytest.mark.parametrize("hertz", [4, 5, 6])
def test_a_hand_that_shakes_is_told_and_never_good(hertz: int) -> None:
    """2 mV, a little higher than the beats, over a calm heart of 74: its rate is no heart's."""
    record = read_record(Path(devices.__file__).parent / "samples" / "100_2min")
    strip = record.samples[: 360 * 40, 0].astype(float)
    time = np.arange(360 * 30) / 360
    turn = 2 * np.pi * (hertz * time + 0.1 * np.sin(1.9 * time))
    height = 200 * (1 + 0.25 * np.sin(1.3 * time))
    strip[360 * 10 :] += height * (np.sin(turn) + 0.4 * np.sin(2 * turn + 1))
    vitals = follow(np.round(strip).astype(np.int16), record)
    calm = [v for v in vitals if 360 * 6 <= v.at_sample <= 360 * 10]
    shaken = [v for v in vitals if v.at_sample >= 360 * 15]
    assert {v.quality for v in calm} == {Quality.GOOD}
    assert {v.quality for v in shaken} == {Quality.NOISY}
    assert {v.reason for v in shaken} <= {Reason.MOVEMENT, Reason.MUSCLE}
