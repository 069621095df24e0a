"""Variability of the heart rate over five minutes, as the Task Force of 1996 defines it.

Source of every formula: Task Force of the ESC and NASPE, Eur Heart J 17, 354 (1996). Of normal
beats only: where more than 5 % of the intervals had to be replaced, or fibrillation is suspected,
there are no numbers but a reason. Bands in Hz: LF 0.04 to 0.15, HF 0.15 to 0.40; VLF is not read
from five minutes. The triangular index wants at least 20 minutes.
"""

from enum import StrEnum

import msgspec
import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline
from scipy.signal import welch

from devices.ecg.intervals import RHYTHM, local_median

Floats = NDArray[np.float64]

LEAST_S = 300.0
TRIANGULAR_S = 1200.0
MOST_CORRECTED = 0.05
# An interval this far from the median of those around it is not between two normal beats.
OUTLYING = 0.2
LF_HZ, HF_HZ = (0.04, 0.15), (0.15, 0.40)
RESAMPLED_HZ = 4.0
# Pieces of four minutes, half overlapping: ten periods of the slowest rhythm that is read.
PIECE_S = 240.0
BIN_S = 1 / 128
BELIEVABLE_S = (0.2, 3.0)


class HrvReason(StrEnum):
    """Why there are no numbers."""

    TOO_SHORT = "too_short"
    CORRECTED = "corrected"
    FIBRILLATION = "fibrillation"


class Hrv(msgspec.Struct, frozen=True, kw_only=True):
    """Variability of one unbroken run of intervals between normal beats."""

    seconds: float
    corrected: float
    mean_rr_ms: float
    sdnn_ms: float
    rmssd_ms: float
    sdsd_ms: float
    pnn50: float
    lf_ms2: float
    hf_ms2: float
    lf_nu: float
    hf_nu: float
    triangular_index: float | None


def heart_rate_variability(rr_s: Floats, *, fibrillation: bool = False) -> Hrv | HrvReason:
    """Numbers of an unbroken run of intervals in seconds, or why there are none.

    An interval that is no number breaks the run: the longest piece is taken.
    """
    rr = _longest(np.asarray(rr_s, np.float64).reshape(-1))
    if fibrillation:
        return HrvReason.FIBRILLATION
    if len(rr) < RHYTHM or rr.sum() < LEAST_S:
        return HrvReason.TOO_SHORT
    around = local_median(rr, RHYTHM)
    normal = np.abs(rr - around) <= OUTLYING * around
    normal &= (rr > BELIEVABLE_S[0]) & (rr < BELIEVABLE_S[1])
    corrected = 1 - float(normal.mean())
    if corrected > MOST_CORRECTED:
        return HrvReason.CORRECTED
    lf, hf = band_powers(rr, normal)
    # Differences only of neighbours that are both between normal beats.
    steps = np.diff(rr)[normal[1:] & normal[:-1]]
    nn = rr[normal]
    return Hrv(
        seconds=float(rr.sum()),
        corrected=corrected,
        mean_rr_ms=1000 * float(nn.mean()),
        sdnn_ms=1000 * sdnn(nn),
        rmssd_ms=1000 * rmssd(steps),
        sdsd_ms=1000 * sdnn(steps),
        pnn50=pnn50(steps),
        lf_ms2=1e6 * lf,
        hf_ms2=1e6 * hf,
        lf_nu=100 * lf / (lf + hf) if lf + hf > 0 else 0.0,
        hf_nu=100 * hf / (lf + hf) if lf + hf > 0 else 0.0,
        triangular_index=triangular_index(nn) if rr.sum() >= TRIANGULAR_S else None,
    )


def _longest(rr: Floats) -> Floats:
    """The longest piece in which every interval is a number."""
    there = np.concatenate(([0], np.isfinite(rr), [0])).astype(np.int8)
    turns = np.flatnonzero(np.diff(there))
    pieces = [rr[first:end] for first, end in turns.reshape(-1, 2).tolist()]
    return max(pieces, key=lambda piece: float(piece.sum()), default=rr[:0])


def sdnn(nn: Floats) -> float:
    """Standard deviation, with n - 1; of the steps it is SDSD."""
    return float(np.std(nn, ddof=1)) if len(nn) > 1 else 0.0


def rmssd(steps: Floats) -> float:
    """Square root of the mean square of the steps."""
    return float(np.sqrt((steps * steps).mean())) if len(steps) else 0.0


def pnn50(steps: Floats) -> float:
    """Per cent of the steps that are longer than 50 ms."""
    return 100 * float((np.abs(steps) > 0.05).mean()) if len(steps) else 0.0  # noqa: PLR2004


def triangular_index(nn: Floats) -> float:
    """Number of intervals over the height of their histogram in bins of 1/128 s."""
    return len(nn) / int(np.bincount(np.floor(nn / BIN_S).astype(np.int64)).max())


def band_powers(rr: Floats, normal: NDArray[np.bool_]) -> tuple[float, float]:
    """LF and HF in s²: the tachogram at 4 Hz by a cubic spline over normal beats, Welch."""
    ends = np.cumsum(rr)
    at = np.arange(ends[0], ends[-1], 1 / RESAMPLED_HZ)
    even = CubicSpline(ends[normal], rr[normal])(np.clip(at, ends[normal][0], ends[normal][-1]))
    piece = min(len(even), round(PIECE_S * RESAMPLED_HZ))
    hertz, density = welch(even, RESAMPLED_HZ, nperseg=piece)
    width = float(hertz[1] - hertz[0])
    lf, hf = (
        float(density[(hertz >= low) & (hertz < high)].sum()) * width
        for low, high in (LF_HZ, HF_HZ)
    )
    return lf, hf
