"""Short usable stretches that lie close together as one run of ECG, joined at beats.

From the last beat of a stretch the run goes on at the first beat of the next one, so that no
interval spans what lies between, and the P wave before and the T wave behind a joint are real.
"""

from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]

# One doubtful second inside half a minute is half a minute of ECG all the same.
SPARED_S = 1.0
# A stretch shorter than this, or with fewer beats, is not taken in; no more than APART_S is left
# out in one place, so that half a minute of ECG lies in about a minute.
PIECE_S, PIECE_BEATS, APART_S = 5.0, 5, 5.0


class Run(NamedTuple):
    """The signal of a run, its beats in it, each beat's sample in the recording.

    `counts` is how many samples of ECG it stands for.
    """

    x: Floats
    beats: Indices
    origin: Indices
    counts: int


def joined_runs(
    x: Floats, rate_hz: float, beats: Indices, stretches: list[tuple[int, int]]
) -> list[Run]:
    """Runs of two stretches [first, end) and more, which are in the order of time."""
    groups: list[list[tuple[int, int, Indices]]] = []
    for first, end in stretches:
        inside = beats[np.searchsorted(beats, first) : np.searchsorted(beats, end)]
        if end - first < PIECE_S * rate_hz or len(inside) < PIECE_BEATS:
            continue
        if not groups or first - groups[-1][-1][1] > APART_S * rate_hz:
            groups.append([])
        groups[-1].append((first, end, inside))
    spared = int(SPARED_S * rate_hz) + 1
    return [_joined(x, group, spared) for group in groups if len(group) > 1]


def _joined(x: Floats, group: list[tuple[int, int, Indices]], spared: int) -> Run:
    signal, at, origin = [], [], []
    length, level = 0, 0.0
    for i, (first, end, inside) in enumerate(group):
        low = first if i == 0 else int(inside[0])
        high = end if i == len(group) - 1 else int(inside[-1])
        if i:
            # The next stretch begins at the level where the one before ends.
            level += float(x[group[i - 1][2][-1]] - x[low])
        signal.append(x[low:high] + level)
        kept = inside if i == len(group) - 1 else inside[:-1]
        at.append(kept - low + length)
        origin.append(kept)
        length += high - low
    between = sum(after[0] - before[1] for before, after in pairwise(group))
    counts = group[-1][1] - group[0][0] if between <= spared else length
    return Run(np.concatenate(signal), np.concatenate(at), np.concatenate(origin), counts)
