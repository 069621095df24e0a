"""A learnt yes or no as arrays in an .npz file: boosted trees and a line, evaluated by NumPy.

It is learnt five times, each time without a fifth of the people. Somebody new is judged by all five
together, a person of the learning set by the one that never saw them.
"""

from collections.abc import Mapping
from io import BytesIO
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


class Trees(NamedTuple):
    """Trees of one depth d for every fold: rows of 2^d - 1 questions and of 2^d leaves.

    Question k of a row is followed by 2k + 1 when its number is at most the threshold, else by
    2k + 2. The line's weights are for the numbers' normal scores, interpolated between `knots`.
    """

    asked: NDArray[np.uint8]  # folds, trees, questions
    threshold: NDArray[np.float32]
    leaf: NDArray[np.float32]  # folds, trees, leaves
    base: Floats  # folds
    knots: NDArray[np.float32]  # folds, numbers, knots
    scores: Floats  # normal scores of the knots
    weight: Floats  # folds, numbers
    names: tuple[str, ...]  # of whom it was learnt
    fold: NDArray[np.uint8]  # the fold that did not see each of them

    def odds(self, numbers: Floats, name: str | None = None) -> float:
        """Log-odds of yes for one row of numbers; above 0 is yes."""
        folds = range(len(self.base))
        if name is not None and name in self.names:
            folds = range(i := int(self.fold[self.names.index(name)]), i + 1)
        return sum(self._fold(numbers, i) for i in folds) / len(folds)

    def _fold(self, numbers: Floats, i: int) -> float:
        values = numbers.astype(np.float32)
        rows = np.arange(self.asked.shape[1])
        at = np.zeros(len(rows), np.int64)
        questions = self.asked.shape[2]
        while at.size and at[0] < questions:
            more = values[self.asked[i, rows, at]] > self.threshold[i, rows, at]
            at = 2 * at + 1 + more
        odds = float(self.base[i]) + float(self.leaf[i, rows, at - questions].sum(dtype=np.float64))
        if not self.weight[i].any():
            return odds
        scores = [np.interp(v, k, self.scores) for v, k in zip(values, self.knots[i], strict=True)]
        return odds + float(np.dot(scores, self.weight[i]))

    def to_bytes(self) -> bytes:
        """As an .npz file: the same bytes for the same numbers."""
        made = BytesIO()
        arrays = self._asdict() | {"names": np.array(self.names)}
        np.savez_compressed(made, **arrays)
        return made.getvalue()


def trees_of(arrays: Mapping[str, NDArray[np.generic]]) -> Trees:
    """From the arrays of `to_bytes`, as numpy.load gives them."""
    kept = {key: np.asarray(arrays[key]) for key in Trees._fields if key != "names"}
    return Trees(**kept, names=tuple(np.asarray(arrays["names"]).tolist()))
