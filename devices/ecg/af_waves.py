"""What the waves around the beats say of the atria: is there one P wave before every beat?

In atrial fibrillation nothing repeats before the QRS complex; in ectopy and in sinus arrhythmia
the P wave does. Amplitudes are shares of the QRS complex, so units, gain and polarity do not
matter.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, sosfiltfilt

from devices.ecg.intervals import PREMATURE, RHYTHM, local_median

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]

# All is measured on 200 samples a second between 0.5 and 40 Hz.
RATE_HZ = 200.0
BAND_HZ = (0.5, 40.0)
_QRS = 16  # samples to each side of the R peak: 80 ms
_ALIGN = 4
_P = (-56, -9)  # before the R peak: 280 to 45 ms
_SLIDE = 6
# Beats this alike are of one kind; a beat less alike than UNLIKE is another kind, or noise.
SAME, UNLIKE = 0.85, 0.8
_ENOUGH = 4

NAMES = (
    "alike_50",
    "alike_10",
    "unlike",
    "kept",
    "kept_50",
    "kept_75",
    "early_unlike",
    "early_alike",
    "p_alike_25",
    "p_alike_50",
    "p_pairs",
    "p_jitter",
    "p_kept",
    "p_ratio",
    "p_size",
    "p_rise",
    "p_rise_noise",
    "p_peak",
    "p_place",
    "rest",
    "t_alike",
    "rough",
)
_NOTHING = 0.0


def resampled(samples: Floats, rate_hz: float) -> Floats:
    """The signal at RATE_HZ without baseline and hum."""
    high = min(BAND_HZ[1], 0.45 * rate_hz)
    sos = butter(2, (BAND_HZ[0], high), "bandpass", fs=rate_hz, output="sos")
    filtered = sosfiltfilt(sos, samples, padlen=min(len(samples) - 1, round(rate_hz)))
    count = int(len(filtered) * RATE_HZ / rate_hz)
    at = np.arange(count) * (rate_hz / RATE_HZ)
    return np.asarray(np.interp(at, np.arange(len(filtered)), filtered), np.float64)


def describe(signal: Floats, beats: Indices) -> Floats:
    """The numbers of NAMES, for a signal of `resampled` and at least six beats in it."""
    qrs, whole = _cut(signal, beats, -_QRS, _QRS + 1)
    if len(qrs) < _ENOUGH:
        return np.full(len(NAMES), _NOTHING)
    qrs = qrs - qrs.mean(axis=1, keepdims=True)
    shape = np.median(qrs, axis=0)
    size = float(np.ptp(shape)) + 1e-9
    alike = np.zeros(len(beats))
    alike[whole] = _likeness(qrs, shape)
    kind = beats[alike > SAME]
    kind = _aligned(signal, kind if len(kind) >= _ENOUGH else beats[whole], shape)
    up = float(np.sign(shape[np.argmax(np.abs(shape))])) or 1.0
    return np.array(
        (
            *np.percentile(alike[whole], (50, 10)),
            (alike[whole] < UNLIKE).mean(),
            *_kept(beats, alike),
            *_atria(signal, beats, kind, size, up),
            *_between(signal, beats, kind, size),
        )
    )


def _cut(signal: Floats, beats: Indices, low: int, high: int) -> tuple[Floats, NDArray[np.bool_]]:
    """A row of samples around each beat that lies far enough inside, and which beats those are."""
    inside = (beats + low >= 0) & (beats + high <= len(signal))
    return signal[beats[inside][:, None] + np.arange(low, high)], inside


def _likeness(rows: Floats, shape: Floats) -> Floats:
    lengths = np.sqrt((rows * rows).sum(axis=1) * (shape * shape).sum())
    return np.asarray(rows @ shape / (lengths + 1e-9))


def _aligned(signal: Floats, beats: Indices, shape: Floats) -> Indices:
    """The beats, each moved by at most 20 ms to where it fits the shape best."""
    reach = _QRS + _ALIGN
    rows, inside = _cut(signal, beats, -reach, reach + 1)
    if not len(rows):
        return beats
    windows = np.lib.stride_tricks.sliding_window_view(rows, len(shape), axis=1)
    fit = windows @ shape - windows.mean(axis=2) * shape.sum()
    return np.asarray(beats[inside] + np.argmax(fit, axis=1) - _ALIGN)


def _kept(beats: Indices, alike: Floats) -> tuple[float, ...]:
    """Steps between intervals whose beats are all of the main kind, and early beats by kind."""
    rr = np.diff(beats) / RATE_HZ
    trusted = (alike[1:] > 0.7) & (alike[:-1] > 0.7)  # noqa: PLR2004 - of one kind, with noise
    steps = np.abs(np.diff(rr)) / rr.mean()
    kept = steps[trusted[1:] & trusted[:-1]]
    middle, upper = np.percentile(kept if len(kept) >= _ENOUGH else steps, (50, 75))
    early = rr < PREMATURE * local_median(rr, RHYTHM)
    unlike = alike[1:] < UNLIKE
    share = float(trusted.mean())
    return share, middle, upper, float((early & unlike).mean()), float((early & ~unlike).mean())


def _atria(signal: Floats, beats: Indices, kind: Indices, size: float, up: float) -> list[float]:
    """How alike the stretches before the beats are, and what their average looks like."""
    rows, inside = _cut(signal, kind, *_P)
    kind = kind[inside]
    # The T wave of the beat before must not lie in the stretch: the longer intervals are taken.
    before = np.searchsorted(beats, kind - 2 * _ALIGN) - 1
    since = np.where(before >= 0, kind - beats[np.maximum(before, 0)], 10 * RATE_HZ)
    far = since >= min(float(np.median(since)), 0.9 * RATE_HZ) if len(since) else since > 0
    rows = rows[far] if far.sum() >= _ENOUGH else rows
    if len(rows) < _ENOUGH - 1:
        return [_NOTHING] * 11
    rows = rows - _line(rows)
    shape = np.median(rows, axis=0)
    rest = rows - shape
    power, noise = float((shape * shape).mean()), float(np.median((rest * rest).mean(axis=1)))
    alike = _likeness(rows, shape)
    pairs = np.corrcoef(rows + 1e-9 * np.arange(rows.shape[1]))
    middle = shape[_SLIDE:-_SLIDE] - shape[_SLIDE:-_SLIDE].mean()
    slides = np.lib.stride_tricks.sliding_window_view(rows, len(middle), axis=1) @ middle
    turned = shape * up
    top = 8 + int(np.argmax(turned[8:-8]))
    rise = float(turned[top] - max(turned[:top].min(), turned[top:].min())) / size
    rough = np.sqrt(noise) / size
    return [
        *np.percentile(alike, (25, 50)),
        float(np.median(pairs[np.triu_indices(len(rows), 1)])),
        float(np.std(np.argmax(slides, axis=1))),
        float(np.sqrt(power / (noise + 1e-9 * size * size))),
        float(np.ptp(shape) / (np.median(np.ptp(rows, axis=1)) + 1e-9 * size)),
        float(np.sqrt(power)) / size,
        rise,
        rise / (rough + 1e-3),
        float(turned.max()) / size,
        float(np.argmax(np.abs(shape))) / len(shape),
    ]


def _line(rows: Floats) -> Floats:
    """The straight line that fits each row best."""
    count = rows.shape[1]
    time = np.arange(count) - (count - 1) / 2
    slope = rows @ time / (time @ time)
    return np.asarray(rows.mean(axis=1, keepdims=True) + slope[:, None] * time)


def _between(signal: Floats, beats: Indices, kind: Indices, size: float) -> list[float]:
    """What is left between the beats once the average beat is taken away, and how rough it is."""
    usual = float(np.median(np.diff(beats)))
    before, after = int(min(60.0, 0.4 * usual)), int(min(100.0, 0.6 * usual))
    quiet = np.ones(len(signal), np.bool_)
    for at in beats.tolist():
        quiet[max(0, at - 14) : at + 14] = False
    rest = signal.copy()
    rows, _ = _cut(signal, kind, -before, after)
    if len(rows) >= _ENOUGH - 1:
        shape = np.median(rows, axis=0)
        for at in beats.tolist():
            first, last = max(0, at - before), min(len(signal), at + after)
            rest[first:last] -= shape[first - at + before : last - at + before]
    rest = rest[quiet]
    waves, _ = _cut(signal, kind, 14, 14 + max(8, int(min(70.0, 0.45 * usual))))
    alike = _NOTHING
    if len(waves) >= _ENOUGH - 1:
        waves = waves - waves.mean(axis=1, keepdims=True)
        alike = float(np.median(_likeness(waves, np.median(waves, axis=0))))
    bends = np.abs(np.diff(signal, 2))[quiet[1:-1]]
    if not len(bends):
        return [_NOTHING, alike, _NOTHING]
    return [
        float(np.sqrt(np.median(rest * rest))) / size,
        alike,
        float(np.percentile(bends, 95)) / size,
    ]
