"""What a run of intervals between beats says of the rhythm: formulas, each with its source.

Intervals are in seconds. Nothing here knows of a signal; a caller gives intervals of unbroken
stretches only.
"""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# Fewer intervals than this say nothing of their order.
FEWEST = 8
# A beat this much earlier than the rhythm around it is premature; RHYTHM intervals are the rhythm.
PREMATURE, LATE, RHYTHM = 0.87, 1.15, 9
# Steps below this share of the mean count as none.
STILL = 0.05
# No more intervals than this are looked at, from the first: the tables below are squares.
MOST = 400

NAMES = (
    "rate",
    "shortest",
    "longest",
    "late",
    "premature",
    "compensated",
    "steps_3",
    "steps_6",
    "steps_10",
    "steps_20",
    "step_25",
    "step_50",
    "step_75",
    "calmest",
    "calm",
    "basic_rms",
    "basic_50",
    "basic_75",
    "basic_90",
    "origin",
    "mirrored",
    "cells",
    "zhou",
    "step_entropy",
    "sample_entropy",
    "cosen",
)


def describe(rr_s: Floats) -> Floats | None:
    """The numbers of NAMES; None for fewer than FEWEST intervals. Steps are shares of the mean."""
    rr = np.asarray(rr_s, np.float64)
    if len(rr) < FEWEST:
        return None
    rr = rr[:MOST]
    mean, middle = float(rr.mean()), float(np.median(rr))
    around = local_median(rr, RHYTHM)
    premature = rr < PREMATURE * around
    after = np.append(rr[1:], np.nan)
    pause = premature & (after > 1.05 * around) & (np.abs(rr + after - 2 * around) < 0.25 * around)
    signed = np.diff(rr) / mean
    steps = np.abs(signed)
    basic = _basic(rr, around, premature, steps)
    quarters = np.percentile(steps, (25, 50, 75))
    windows = np.lib.stride_tricks.sliding_window_view(steps, min(FEWEST, len(steps)))
    return np.array(
        (
            60 / middle,
            rr.min() / middle,
            rr.max() / middle,
            (rr > LATE * around).mean(),
            premature.mean(),
            pause.mean(),
            *((steps > share).mean() for share in (0.03, 0.06, 0.1, 0.2)),
            *quarters,
            windows.max(axis=1).min(),
            np.median(np.median(windows, axis=1)),
            np.sqrt((basic * basic).mean()),
            *np.percentile(basic, (50, 75, 90)),
            (np.maximum(steps[1:], steps[:-1]) < STILL).mean(),
            (np.abs(signed[1:] + signed[:-1]) < STILL).mean(),
            _cells(signed),
            zhou_entropy(rr),
            _histogram_entropy(signed),
            *_template_entropies(rr),
        )
    )


def _basic(rr: Floats, around: Floats, premature: NDArray[np.bool_], steps: Floats) -> Floats:
    """Steps of the basic rhythm: without early beats, the interval after each, and pauses."""
    out = premature | (rr > 1.5 * around)
    out[1:] |= premature[:-1]
    kept = steps[~(out[1:] | out[:-1])]
    return kept if len(kept) >= FEWEST // 2 else steps


def local_median(values: Floats, width: int) -> Floats:
    """Median of the `width` values around each one, mirrored at the ends."""
    half = min(width // 2, len(values) - 1)
    padded = np.pad(values, half, mode="reflect")
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * half + 1)
    return np.asarray(np.median(windows, axis=1))


def zhou_entropy(rr_s: Floats) -> float:
    """Symbolic Shannon entropy of Zhou 2015 (PLoS ONE 10, e0136544) over words of three rates.

    Rates in steps of 5 /min up to 315; the entropy, as a share of the most it could be, times the
    share of different words. Over 127 beats 0.639 was his threshold; ours is learnt for 30 s.
    """
    if len(rr_s) < 4:  # noqa: PLR2004 - two words are the least
        return 0.0
    symbols = np.clip(60 / np.maximum(rr_s, 1e-3) / 5, 0, 63).astype(np.int64)
    words = symbols[:-2] * 4096 + symbols[1:-1] * 64 + symbols[2:]
    _, counts = np.unique(words, return_counts=True)
    shares = counts / len(words)
    entropy = -(shares * np.log(shares)).sum() / np.log(len(words))
    return float(entropy * len(counts) / len(words))


def _histogram_entropy(signed: Floats) -> float:
    """Shannon entropy of the steps in twentieths of the mean, as a share of the most it can be."""
    bins = np.bincount(np.clip((signed + 0.5) / 0.05, 0, 20).astype(np.int64))
    shares = bins[bins > 0] / len(signed)
    return float(-(shares * np.log(shares)).sum() / np.log(max(2, len(signed))))


def _cells(signed: Floats) -> float:
    """Share of different cells in the plot of a step against the one before (Sarkar 2008)."""
    cell = np.round(signed / 0.06).astype(np.int64)
    return len(np.unique(cell[1:] * 1000 + cell[:-1])) / (len(cell) - 1)


def _template_entropies(rr: Floats) -> tuple[float, float]:
    """Sample entropy for m = 1, r = a tenth of the mean, and the coefficient of `cosen`."""
    apart = np.abs(rr[:, None] - rr[None, :])
    np.fill_diagonal(apart, np.inf)
    one = apart[:-1, :-1]
    two = np.maximum(one, apart[1:, 1:])
    reach = 0.1 * rr.mean()
    sample = np.log(((one <= reach).sum() + 1) / ((two <= reach).sum() + 1))
    return float(sample), _cosen(one, two, float(rr.mean()))


def cosen(rr_s: Floats) -> float:
    """Coefficient of sample entropy, Lake and Moorman 2011 (Am J Physiol 300, H319), m = 1.

    The tolerance grows from 30 ms until five pairs of neighbours match. Regular rhythms are
    strongly negative. Their cut point is disputed (rules.md): ours is learnt.
    """
    if len(rr_s) < FEWEST:
        return float("nan")
    return _template_entropies(np.asarray(rr_s, np.float64)[:MOST])[1]


def _cosen(one: Floats, two: Floats, mean: float) -> float:
    reach = 0.03
    while (matches := int((two <= reach).sum())) < 10 and reach < 1:  # noqa: PLR2004 - both ways
        reach *= 1.2
    ratio = (int((one <= reach).sum()) / 2 + 0.5) / (matches / 2 + 0.5)
    return float(np.log(ratio) + np.log(2 * reach) - np.log(mean))
