"""An ECG recording whatever file it came in.

Nothing here knows whose heart it is: readers leave names, birthdays and numbers of patients where
they are, and writers have none to write.
"""

from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import Final

import numpy as np
from numpy.typing import NDArray

from devices.bad_file import BadFile, Fault
from devices.frames import MISSING

__all__ = ["MISSING", "BadFile", "EcgRecording", "Fault", "Lead", "Mark"]

# A day of three leads at 125 Hz, or an hour of twelve at 500 Hz, with room; as int16 it is 64 MB.
MAX_SAMPLES: Final = 32_000_000
MAX_BYTES: Final = 64 << 20
MAX_LEADS: Final = 64
MAX_MARKS: Final = 200_000
MAX_MARK_BYTES: Final = 1000
MIN_RATE_HZ, MAX_RATE_HZ = 1.0, 100_000.0
MAX_GAIN: Final = 1e9
COMMENT: Final = '"'  # WFDB's mark for a note of a person
_WIDEST: Final = 32767


@dataclass(frozen=True, slots=True)
class Lead:
    """One signal of a recording: mV = (adc - baseline) / gain_per_mv."""

    name: str
    gain_per_mv: float
    baseline: int


@dataclass(frozen=True, slots=True, order=True)
class Mark:
    """Something noted at a sample: WFDB's symbol of it, and what was written beside it."""

    at: int
    symbol: str
    text: str = ""


@dataclass(frozen=True, slots=True)
class EcgRecording:
    """A recording: `samples[i, lead]` in ADC units, MISSING where the recorder had none.

    `started_at` is without a zone when the file has none: the wall clock of the recorder.
    """

    rate_hz: float
    leads: tuple[Lead, ...]
    samples: NDArray[np.int16]
    started_at: datetime | None = None
    marks: tuple[Mark, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what no recorder makes, whichever reader let it through."""
        if not self.leads or self.samples.ndim != 2 or not len(self.samples):  # noqa: PLR2004
            raise BadFile(Fault.NO_ECG)
        if len(self.leads) > MAX_LEADS or self.samples.size > MAX_SAMPLES:
            raise BadFile(Fault.TOO_LARGE, "samples")
        if self.samples.shape[1] != len(self.leads):
            raise BadFile(Fault.INCONSISTENT, "leads")
        if not MIN_RATE_HZ <= self.rate_hz <= MAX_RATE_HZ:
            raise BadFile(Fault.INCONSISTENT, "rate")
        if not all(0 < abs(lead.gain_per_mv) <= MAX_GAIN for lead in self.leads):
            raise BadFile(Fault.INCONSISTENT, "gain")
        if len(self.marks) > MAX_MARKS:
            raise BadFile(Fault.TOO_LARGE, "marks")
        if any(len(mark.text.encode(errors="replace")) > MAX_MARK_BYTES for mark in self.marks):
            raise BadFile(Fault.TOO_LARGE, "marks")

    @property
    def duration_s(self) -> float:
        """How long it is."""
        return len(self.samples) / self.rate_hz

    def lead(self, name: str) -> int:
        """Column of the lead with this name; the first when the recording has none of it."""
        return next((at for at, lead in enumerate(self.leads) if lead.name == name), 0)

    def begun(self, zone: tzinfo) -> datetime | None:
        """When it began; a recorder without a zone is taken to have stood in this one."""
        if self.started_at is None or self.started_at.tzinfo is not None:
            return self.started_at
        return self.started_at.replace(tzinfo=zone)

    def millivolts(self, lead: int) -> NDArray[np.float32]:
        """One lead in mV, NaN where a sample is missing."""
        column = self.samples[:, lead]
        row = self.leads[lead]
        mv = (column.astype(np.float32) - np.float32(row.baseline)) / np.float32(row.gain_per_mv)
        mv[column == MISSING] = np.nan
        return mv


def from_millivolts(name: str, mv: NDArray[np.float64]) -> tuple[Lead, NDArray[np.int16]]:
    """A lead of real numbers as int16, in the finest power of ten that holds it; NaN is missing.

    A tenth of a microvolt a step for what a body gives, so that nothing a screen or a ruler shows
    is lost. Raises BadFile for numbers no ECG has.
    """
    there = mv[np.isfinite(mv)]
    if len(there) == 0:
        raise BadFile(Fault.NO_ECG, "samples")
    most = float(np.abs(there).max())
    gain = next((g for g in (10_000.0, 1000.0, 100.0, 10.0) if most * g <= _WIDEST), None)
    if gain is None:
        raise BadFile(Fault.INCONSISTENT, "samples")
    counts = np.full(len(mv), MISSING, np.int16)
    known = np.isfinite(mv)
    counts[known] = np.round(mv[known] * gain).astype(np.int16)
    return Lead(name, gain, 0), counts


def from_counts(
    name: str, counts: NDArray[np.integer], gain_per_mv: float, baseline: int = 0
) -> tuple[Lead, NDArray[np.int16]]:
    """A lead of whole numbers as int16; coarser by whole steps when they do not fit."""
    wide = counts.astype(np.int64)
    low, high = int(wide.min()), int(wide.max())
    if low >= -_WIDEST and high <= _WIDEST:
        return Lead(name, gain_per_mv, baseline), wide.astype(np.int16)
    # 24 bits around some level: what counts is how far the signal goes from it.
    middle = (low + high) // 2
    step = -(-(high - low + 1) // (2 * _WIDEST))
    fitted = np.round((wide - middle) / step).astype(np.int16)
    return Lead(name, gain_per_mv / step, round((baseline - middle) / step)), fitted
