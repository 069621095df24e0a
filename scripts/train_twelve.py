"""Learn the table of devices/ecg/twelve.py: `.venv/bin/python scripts/train_twelve.py [FOLDER]`.

A line over six numbers by logistic regression with a ridge, from the recordings without a dead lead
of FOLDER/cinc2011 (default: YANASHA_DATA, else ../shared/data), once for every tenth of the records
left out. The same records give the same bytes. Prints the accuracy on the records left out.
"""

import hashlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench.ecg_quality import challenge_2011
from devices.ecg.twelve import STILL_S, TABLE, Line, Table, judge_twelve, numbers_of, unlike
from devices.ecg.twelve_waves import FEWEST_BEATS, waves

Floats = NDArray[np.float64]

FOLDS, RIDGE, RATE_HZ = 10, 2.0, 500.0


def fold_of(name: str) -> int:
    """By the record's name alone, so that the order of records does not matter."""
    return hashlib.sha256(name.encode()).digest()[0] % FOLDS


def learnt(numbers: Floats, bad: Floats) -> Line:
    """Ridge logistic regression by Newton's steps on standardised numbers."""
    mean, spread = numbers.mean(axis=0), numbers.std(axis=0)
    x = np.column_stack((np.ones(len(bad)), (numbers - mean) / spread))
    ridge = np.diag([0.0] + [RIDGE] * numbers.shape[1])
    weights = np.zeros(x.shape[1])
    for _ in range(30):
        p = expit(x @ weights)
        slope = x.T @ (p - bad) + ridge @ weights
        weights -= np.linalg.solve((x.T * (p * (1 - p))) @ x + ridge, slope)
    raw = weights[1:] / spread
    constant = float(weights[0] - raw @ mean)
    return Line(round(constant, 6), tuple(round(float(w), 6) for w in raw))


def rows(folder: Path) -> Iterator[tuple[str, bool, Floats]]:
    """Name, whether it is unacceptable, and numbers, where no rule decides alone."""
    for name, acceptable, x in challenge_2011(folder):
        seen = waves(x, RATE_HZ)
        still = (seen.still_s > STILL_S).any() or seen.beats < FEWEST_BEATS
        if not still and not unlike(seen):
            yield name, not acceptable, numbers_of(seen)


def main(folder: Path) -> None:
    """Learn, write the table, and say how right it is on what it has not seen."""
    names, bad, numbers = zip(*sorted(rows(folder), key=lambda row: row[0]), strict=True)
    fold = np.array([fold_of(name) for name in names])
    labels, values = np.array(bad, np.float64), np.array(numbers)
    lines = tuple(learnt(values[fold != i], labels[fold != i]) for i in range(FOLDS))
    folds = {name: int(i) for name, i in zip(names, fold, strict=True)}
    TABLE.write_bytes(msgspec.json.encode(Table(lines, folds)) + b"\n")
    judged = [
        judge_twelve(x, RATE_HZ, name).acceptable == good
        for name, good, x in challenge_2011(folder)
    ]
    print(f"accuracy on records left out: {np.mean(judged):.4f} of {len(judged)}")


if __name__ == "__main__":
    named = os.environ.get("YANASHA_DATA") or Path(__file__).parents[2] / "shared" / "data"
    main(Path(sys.argv[1] if len(sys.argv) > 1 else named))
