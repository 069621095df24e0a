"""Which candidates are beats: by their scores, and by when a heart can beat."""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import median_filter

Floats = NDArray[np.floating]
Indices = NDArray[np.int64]

# No two beats are closer; and within the T wave of a beat only one of about its own score.
REFRACTORY_S = 0.25
T_WAVE_S, T_WAVE_LATE_S, T_WAVE = 0.32, 0.36, 0.52
# A beat is late after so many of the usual intervals around it.
LATE, RHYTHM, FEWEST = 1.4, 9, 3
ROUNDS = 6
CHAIN = 64


def choose(
    at: Indices, score: Floats, accept: Floats, search_back: Floats, rate_hz: float
) -> Indices:
    """Positions among `at`; `accept` and `search_back` are the score each one needs."""
    kept = np.flatnonzero(score > accept)
    kept = thinned(at, score, kept, REFRACTORY_S * rate_hz, 1.0)
    kept = thinned(at, score, kept, T_WAVE_S * rate_hz, T_WAVE)
    for _ in range(ROUNDS):
        late = _late(at, score, kept, search_back, rate_hz)
        if not late.size:
            break
        kept = np.sort(np.concatenate((kept, late)))
    return at[kept]


def thinned(at: Indices, score: Floats, kept: Indices, reach: float, share: float) -> Indices:
    """Without those beside a better one, closer than `reach` and below `share` of it."""
    for _ in range(CHAIN):
        here, size = at[kept], score[kept]
        close = np.diff(here) < reach
        drop = np.zeros(len(kept), bool)
        drop[1:] = close & (size[1:] < share * size[:-1])
        drop[:-1] |= close & (size[:-1] <= share * size[1:])
        # Of a falling row only the first goes now: the next one may be free without it.
        drop[1:] &= ~drop[:-1]
        if not drop.any():
            break
        kept = kept[~drop]
    return kept


def _late(
    at: Indices, score: Floats, kept: Indices, search_back: Floats, rate_hz: float
) -> Indices:
    """The best candidate passed over in each interval that is too long for the rhythm."""
    if len(kept) < FEWEST:
        return kept[:0]
    intervals = np.diff(at[kept]).astype(np.float64)
    late = intervals > LATE * median_filter(intervals, RHYTHM, mode="nearest")
    long = np.flatnonzero(late)
    number = kept[long + 1] - kept[long] - 1
    gap = np.repeat(long, number)
    passed = np.arange(len(gap)) + np.repeat(kept[long] + 1 - np.cumsum(number) + number, number)
    able = score[passed] > search_back[passed]
    passed, gap = passed[able], gap[able]
    before = kept[gap]
    since, until = at[passed] - at[before], at[kept[gap + 1]] - at[passed]
    free = (since > REFRACTORY_S * rate_hz) & (until > REFRACTORY_S * rate_hz)
    free &= (since >= T_WAVE_LATE_S * rate_hz) | (score[passed] >= T_WAVE * score[before])
    passed, gap = passed[free], gap[free]
    # By gap and score: the last of each gap is its best.
    order = np.lexsort((score[passed], gap))
    best = np.flatnonzero(np.diff(gap[order], append=-1))
    found: Indices = passed[order[best]]
    return found
