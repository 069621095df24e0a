"""Recordings that the benches of the ECG judge by: where they are, and noise mixed into them.

Any folder of the layout of the shared set will do (mitdb/, noise/, cinc2011/, cinc2017/); RECORDS
may be absent. YANASHA_DATA names it; without it the set beside the checkout is taken, and without
that the two minutes that come with the product.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import devices
from devices.ecg_files import EcgRecording
from devices.ecg_files.wfdb import read_beats, read_record
from devices.ecg_files.wfdb_marks import Beats

SAMPLE = Path(devices.__file__).parent / "samples" / "100_2min"
BESIDE = Path(devices.__file__).parents[2] / "shared" / "data"

Floats = NDArray[np.float64]
Every = list[tuple[str, EcgRecording, Beats]]


@dataclass(frozen=True, slots=True)
class Data:
    """The folder of recordings, or None; `what` says it in a row."""

    folder: Path | None
    what: str

    def part(self, name: str) -> Path | None:
        """A file or folder of the set, None where it is absent."""
        path = None if self.folder is None else self.folder / name
        return path if path is not None and path.exists() else None


def data() -> Data:
    """The set to judge by: YANASHA_DATA, the one beside the checkout, or none."""
    named = os.environ.get("YANASHA_DATA", "")
    if named:
        return Data(Path(named), "records of YANASHA_DATA")
    if BESIDE.is_dir():
        return Data(BESIDE, "records of ../shared/data")
    return Data(None, "sample only: YANASHA_DATA is not set")


def recordings() -> Iterator[tuple[str, EcgRecording, Beats]]:
    """MIT-BIH records with their beats, by name."""
    folder = data().part("mitdb")
    for path in [SAMPLE] if folder is None else sorted(folder.glob("*.hea")):
        yield path.stem, read_record(path), read_beats(path)


def spread(every: Every, count: int) -> Every:
    """So many of them, evenly from the first to the last."""
    return [every[i] for i in sorted({round(i) for i in np.linspace(0, len(every) - 1, count)})]


def lead_of(record: EcgRecording) -> int:
    """The lead that is judged: MLII where there is one, else the first."""
    return record.lead("MLII")


def noises() -> dict[str, Floats]:
    """Noise of active people by kind (ma, bw, em0, …), its channels as columns; empty if absent."""
    path = data().part("noise/noise.npz")
    if path is None:
        return {}
    sounds = np.load(path)
    return {name: sounds[name].astype(np.float64) for name in sounds.files if name != "fs"}


def noise_gain(
    clean: Floats, beats: Beats, noise: Floats, rate_hz: float, ratio_db: float
) -> float:
    """What the noise is multiplied by for that ratio to the beats, as Moody 1984 sets it."""
    reach = round(0.05 * rate_hz)
    height = np.median([np.ptp(clean[at - reach : at + reach]) for at in beats.samples[1:-1]])
    second = round(rate_hz)
    blocks = noise[: len(noise) // second * second].reshape(-1, second)
    power = np.sort(((blocks - blocks.mean(axis=1, keepdims=True)) ** 2).mean(axis=1))
    trimmed = power[len(power) // 20 : len(power) - len(power) // 20].mean()
    return float(np.sqrt(height**2 / 8 / (trimmed * 10 ** (ratio_db / 10))))


def mixed(
    record: EcgRecording,
    beats: Beats,
    noise: Floats,
    ratio_db: float,
    between_s: tuple[float, float] = (0, float("inf")),
) -> EcgRecording:
    """The judged lead with noise in it, all along or between two moments."""
    lead = lead_of(record)
    clean = record.samples[:, lead].astype(np.float64)
    gain = noise_gain(clean, beats, noise, record.rate_hz, ratio_db)
    first, last = (round(min(at * record.rate_hz, len(clean))) for at in between_s)
    clean[first:last] += np.resize(noise, last - first) * gain
    samples = np.clip(np.round(clean), -32767, 32767).astype(np.int16)
    return EcgRecording(record.rate_hz, (record.leads[lead],), samples[:, None])
