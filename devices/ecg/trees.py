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
        values = numbers.astype(np.float32)
        if name is not None and name in self.names:
            at = int(self.fold[self.names.index(name)])
            return float(self._folds(values, slice(at, at + 1))[0])
        return float(self._folds(values, slice(None)).mean())

    def _folds(self, values: NDArray[np.float32], folds: slice) -> Floats:
        """What each of the folds says."""
        asked, threshold, leaf = self.asked[folds], self.threshold[folds], self.leaf[folds]
        at = np.zeros((*asked.shape[:2], 1), np.int64)
        questions = asked.shape[2]
        while at.size and at[0, 0, 0] < questions:
            number = values[np.take_along_axis(asked, at, axis=2)]
            more = number > np.take_along_axis(threshold, at, axis=2)
            at = 2 * at + 1 + more
        leaves = np.take_along_axis(leaf, at - questions, axis=2)
        trees = leaves.sum(axis=(1, 2), dtype=np.float64)
        return np.asarray(self.base[folds] + trees + self._line(values, folds), np.float64)

    def _line(self, values: NDArray[np.float32], folds: slice) -> Floats:
        """The sum of the weighted normal scores, each interpolated between its number's knots."""
        if not len(self.scores):
            return np.zeros(len(self.base[folds]))
        knots = self.knots[folds].astype(np.float64)
        after = (values[None, :, None] > knots).sum(axis=2)
        after = np.clip(after, 1, knots.shape[2] - 1)[:, :, None]
        low = np.take_along_axis(knots, after - 1, axis=2)[:, :, 0]
        high = np.take_along_axis(knots, after, axis=2)[:, :, 0]
        part = np.clip((values - low) / (high - low), 0.0, 1.0)
        below = self.scores[after[:, :, 0] - 1]
        scores = below + part * (self.scores[after[:, :, 0]] - below)
        return np.asarray((scores * self.weight[folds]).sum(axis=1))

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
