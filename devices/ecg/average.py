"""The averaged beat of a lead, and the widths that can be read from it.

Beats of the usual shape are laid over one another where they fit best; their median is free of
most noise. Widths are of one lead: a QRS complex or a T wave that begins or ends level in this lead
looks shorter than in twelve. What does not stand out of the noise is None, and so is everything
where the QRS complex looks shorter than any heart's: a pacemaker's spike is taken for it.

QRS: where the slope leaves and returns to the quiet before and behind. P: a rise before the QRS of
at least three times the noise. T end: the tangent at its steepest last slope meets the baseline
(Lepeschkin and Surawicz 1952). QTc by Bazett 1920 and Fridericia 1920.
"""

import msgspec
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter1d

from devices.ecg.ectopy import FEWEST, usual_rows
from devices.ecg.quality import Reason

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]

BEFORE_S, AFTER_S = 0.35, 0.6
# How much of the steepest slope still belongs to the QRS complex; a level this long ends it.
STEEP, LEVEL_S = 0.08, 0.016
P_BETWEEN_S = (0.28, 0.03)
STANDS_OUT = 3.0
SMOOTH_S = 0.016
SHORTEST_QRS_S = 0.05
# Standard deviation of a median of n: that of one over the root of n, times 1.25; and of one from
# the median of its sizes, over 0.6745.
_MEDIAN_NOISE = 1.25 / 0.6745


class AveragedBeat(msgspec.Struct, frozen=True, kw_only=True):
    """The beat in millivolts (`peak`: sample of the R peak), its widths in seconds."""

    millivolts: tuple[float, ...]
    rate_hz: float
    peak: int
    beats: int
    noise_mv: float
    qrs_s: float | None
    pr_s: float | None
    qt_s: float | None
    qtc_bazett_s: float | None
    qtc_fridericia_s: float | None


def average_beat(millivolts: Floats, rate_hz: float, beats: Indices) -> AveragedBeat | Reason:
    """The averaged beat of one unbroken usable stretch, or why there is none."""
    x = np.asarray(millivolts, np.float64).reshape(-1)
    at = np.unique(np.asarray(beats, np.int64).reshape(-1))
    before, after = round(BEFORE_S * rate_hz), round(AFTER_S * rate_hz)
    at = at[(at >= 2 * before) & (at < len(x) - after - before)]
    if len(at) < FEWEST:
        return Reason.FEW_BEATS
    reach = np.arange(-before, after)
    finite = np.isfinite(x[at[:, None] + reach]).all(axis=1)
    at = at[finite]
    if len(at) < FEWEST:
        return Reason.ELECTRODE_OFF
    rr = np.diff(at) / rate_hz
    usual_rr = float(np.median(rr))
    kind, shift = usual_rows(np.where(np.isfinite(x), x, 0.0), rate_hz, at)
    if kind.sum() < FEWEST:
        return Reason.FEW_BEATS
    rows = x[(at[kind] + shift)[:, None] + reach]
    # The level between P and QRS is the zero of every beat.
    level = slice(before - round(0.1 * rate_hz), before - round(0.05 * rate_hz))
    rows = rows - np.median(rows[:, level], axis=1, keepdims=True)
    beat = np.median(rows, axis=0)
    noise = _MEDIAN_NOISE * float(np.median(np.abs(rows - beat))) / float(np.sqrt(len(rows)))
    widths = _widths(beat, rate_hz, noise, usual_rr)
    return AveragedBeat(
        millivolts=tuple(np.round(beat, 4).tolist()),
        rate_hz=rate_hz,
        peak=before,
        beats=len(rows),
        noise_mv=noise,
        qrs_s=widths.get("qrs"),
        pr_s=widths.get("pr"),
        qt_s=widths.get("qt"),
        qtc_bazett_s=bazett(widths["qt"], usual_rr) if "qt" in widths else None,
        qtc_fridericia_s=fridericia(widths["qt"], usual_rr) if "qt" in widths else None,
    )


def _widths(beat: Floats, rate_hz: float, noise: float, rr_s: float) -> dict[str, float]:
    """The widths that can be read, in seconds."""
    smooth = uniform_filter1d(beat, max(1, round(SMOOTH_S * rate_hz)))
    onset, offset = _qrs(smooth, rate_hz, round(BEFORE_S * rate_hz))
    if onset is None or offset is None or offset - onset < SHORTEST_QRS_S * rate_hz:
        return {}
    read = {"qrs": (offset - onset) / rate_hz}
    p = _p_onset(smooth, rate_hz, onset, noise)
    if p is not None:
        read["pr"] = (onset - p) / rate_hz
    t = _t_end(smooth, rate_hz, (onset, offset), noise, rr_s)
    if t is not None:
        read["qt"] = (t - onset) / rate_hz
    return read


def bazett(qt_s: float, rr_s: float) -> float:
    """QT over the square root of RR."""
    return qt_s / float(np.sqrt(rr_s))


def fridericia(qt_s: float, rr_s: float) -> float:
    """QT over the cube root of RR."""
    return qt_s / float(np.cbrt(rr_s))


def _qrs(beat: Floats, rate_hz: float, peak: int) -> tuple[int | None, int | None]:
    """First and last sample of the QRS complex: beyond them the slope stays small for a while."""
    reach, level = round(0.15 * rate_hz), max(2, round(LEVEL_S * rate_hz))
    slope = np.abs(np.gradient(beat))
    first, last = max(0, peak - reach), min(len(beat), peak + reach)
    calm = slope < STEEP * slope[first:last].max()
    level_from = np.convolve(calm, np.ones(level), "valid") == level  # calm[i:i + level]
    left = np.flatnonzero(level_from[first : peak - level + 1])
    right = np.flatnonzero(level_from[peak:last])
    onset = int(first + left[-1] + level - 1) if left.size else None
    offset = int(peak + right[0]) if right.size else None
    return onset, offset


def _p_onset(beat: Floats, rate_hz: float, onset: int, noise: float) -> int | None:
    """Where the P wave begins, when there is one."""
    first = max(0, onset - round(P_BETWEEN_S[0] * rate_hz))
    last = onset - round(P_BETWEEN_S[1] * rate_hz)
    if last - first < round(0.1 * rate_hz):
        return None
    part = beat[first:last] - np.linspace(beat[first], beat[last], last - first)
    top = int(np.argmax(np.abs(part)))
    height = abs(float(part[top]))
    size = float(np.ptp(beat))
    inside = round(0.02 * rate_hz) < top < len(part) - round(0.02 * rate_hz)
    if not inside or height < STANDS_OUT * noise or height < 0.02 * size:
        return None
    low = np.flatnonzero(np.abs(part[:top]) < 0.15 * height)
    return first + int(low[-1]) if low.size else None


def _t_end(
    beat: Floats, rate_hz: float, qrs: tuple[int, int], noise: float, rr_s: float
) -> int | None:
    """Where the tangent at the T wave's steepest last slope meets the baseline."""
    onset, offset = qrs
    first = offset + round(0.06 * rate_hz)
    last = min(len(beat), offset + round(min(0.46, 0.5 * rr_s) * rate_hz))
    if last - first < round(0.12 * rate_hz):
        return None
    # Between ST segment and the quiet after the T wave: what stands out of the chord is the wave.
    part = uniform_filter1d(beat[first:last], max(1, round(0.03 * rate_hz)))
    out = part - np.linspace(part[0], part[-1], len(part))
    top = int(np.argmax(np.abs(out)))
    height = float(out[top])
    if abs(height) < STANDS_OUT * noise or abs(height) < 0.02 * float(np.ptp(beat)):
        return None
    slope = np.gradient(part)[top:] * np.sign(height)
    steep = int(np.argmin(slope))
    if steep < 1 or slope[steep] >= 0:
        return None
    base = float(np.median(beat[max(0, onset - round(0.03 * rate_hz)) : onset + 1]))
    fall = max(0.0, float(part[top + steep] - base) * np.sign(height))
    end = top + steep + fall / abs(float(slope[steep]))
    return first + round(end) if end < len(part) + 0.06 * rate_hz else None
