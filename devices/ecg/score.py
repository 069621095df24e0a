"""How right detected beats are against annotated ones: matching as ANSI/AAMI EC57 counts it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

TOLERANCE_S = 0.15


@dataclass(frozen=True, slots=True)
class Score:
    """Counts of right, missed and false beats; `pairs` are (annotated, detected) index pairs."""

    right: int
    missed: int
    false: int
    pairs: tuple[tuple[int, int], ...] = ()

    @property
    def sensitivity(self) -> float:
        """Share of annotated beats found, 1 when there was none to find."""
        return self.right / (self.right + self.missed) if self.right + self.missed else 1.0

    @property
    def predictivity(self) -> float:
        """Share of detected beats that are beats (+P), 1 when nothing was detected."""
        return self.right / (self.right + self.false) if self.right + self.false else 1.0

    @property
    def f1(self) -> float:
        """Harmonic mean of the two."""
        total = 2 * self.right + self.missed + self.false
        return 2 * self.right / total if total else 1.0

    def __add__(self, other: "Score") -> "Score":
        return Score(self.right + other.right, self.missed + other.missed, self.false + other.false)


def match(
    annotated: NDArray[np.int64],
    detected: NDArray[np.int64],
    rate_hz: float,
    leave_out: Sequence[tuple[int, int]] = (),
) -> Score:
    """One-to-one in time order within 150 ms; beats inside `leave_out` (flutter) do not count."""
    for first, last in leave_out:
        annotated = annotated[(annotated < first) | (annotated > last)]
        detected = detected[(detected < first) | (detected > last)]
    reach = TOLERANCE_S * rate_hz
    true, found = annotated.tolist(), detected.tolist()
    pairs: list[tuple[int, int]] = []
    i = j = 0
    while i < len(true) and j < len(found):
        if abs(true[i] - found[j]) <= reach:
            # The next detection may be the nearer one: leave it to it.
            if j + 1 < len(found) and abs(true[i] - found[j + 1]) < abs(true[i] - found[j]):
                j += 1
                continue
            pairs.append((i, j))
            i += 1
            j += 1
        elif found[j] < true[i]:
            j += 1
        else:
            i += 1
    right = len(pairs)
    return Score(right, len(true) - right, len(found) - right, tuple(pairs))
