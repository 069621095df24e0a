"""True tachycardia and flutter of the ventricles, live: no quality rule hides them."""

from itertools import pairwise
from pathlib import Path
from uuid import UUID

import numpy as np
import pytest
from numpy.typing import NDArray

from devices.ecg.live import EcgVitals, LiveEcg
from devices.ecg.quality import Quality
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
