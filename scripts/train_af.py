"""Learn the tables of devices/ecg/af.py: `python -m scripts.train_af DATA` (needs scikit-learn).

DATA has the layout of the shared set (cinc2017/, mitdb/). The same set gives the same bytes. Prints
what to expect on other people: every record is judged by a table that never saw the person, with a
cut that was chosen without the person's fold, for several ways of making the folds.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold

from bench.ecg_rhythm import NATURAL, challenge, fibrillation, weighted_f1, windows
from devices.ecg import af, intervals
from devices.ecg.trees import Trees

FOLDS, SEEDS = 5, (0, 1, 2)
KNOTS = np.linspace(0.02, 0.98, 25)
# One person gave both.
SAME_PERSON = {"202": "201"}

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


class Lesson(NamedTuple):
    """Rows of numbers to learn from: is it fibrillation, how much it counts, whose it is."""

    numbers: Floats
    yes: Flags
    weight: Floats
    names: NDArray[np.str_]


class Way(NamedTuple):
    """How a table is learnt."""

    trees: int
    rate: float
    depth: int
    columns: float
    line: bool


WAVE = Way(trees=150, rate=0.07, depth=3, columns=0.15, line=False)
INTERVALS = Way(trees=100, rate=0.05, depth=3, columns=0.3, line=True)


def learn(lesson: Lesson, way: Way) -> dict[str, NDArray[np.generic]]:
    """One fold's arrays, the mean of several seeds."""
    asked, threshold, leaf, base = [], [], [], 0.0
    for seed in SEEDS:
        model = GradientBoostingClassifier(
            n_estimators=way.trees,
            learning_rate=way.rate,
            max_depth=way.depth,
            max_features=way.columns,
            subsample=0.5,
            min_samples_leaf=6,
            random_state=seed,
        ).fit(lesson.numbers.astype(np.float32), lesson.yes, lesson.weight)
        share = np.average(lesson.yes, weights=lesson.weight)
        base += float(np.log(share / (1 - share))) / len(SEEDS)
        for (tree,) in model.estimators_:
            row = _complete(tree.tree_, way.depth)
            asked.append(row[0])
            threshold.append(row[1])
            leaf.append(np.array(row[2]) * way.rate / len(SEEDS))
    knots, weight, offset = _line(lesson, way)
    return {
        "asked": np.array(asked, np.uint8),
        "threshold": np.array(threshold, np.float32),
        "leaf": np.array(leaf, np.float32),
        "base": np.array(base + offset),
        "knots": knots,
        "weight": weight,
    }


def _line(lesson: Lesson, way: Way) -> tuple[NDArray[np.float32], Floats, float]:
    """Knots of the normal scores, weights and offset of a logistic regression on them."""
    knots = np.quantile(lesson.numbers, KNOTS, axis=0).T.astype(np.float32)
    if not way.line:
        return knots[:, :0], np.zeros(len(knots)), 0.0
    knots = np.maximum.accumulate(knots + np.arange(len(KNOTS), dtype=np.float32) * 1e-6, axis=1)
    model = LogisticRegression(C=0.1, max_iter=1000)
    model.fit(_scores(lesson.numbers, knots), lesson.yes, lesson.weight)
    return knots, np.asarray(model.coef_[0], np.float64), float(model.intercept_[0])


def _scores(numbers: Floats, knots: NDArray[np.float32]) -> Floats:
    columns = numbers.astype(np.float32).T
    return np.array([np.interp(v, k, ndtri(KNOTS)) for v, k in zip(columns, knots, strict=True)]).T


def _complete(tree: object, depth: int) -> tuple[list[int], list[float], list[float]]:
    """A tree as rows of a whole one: where it ends early, the same leaf stands below."""
    asked, threshold, leaf = [0] * (2**depth - 1), [np.inf] * (2**depth - 1), [0.0] * 2**depth

    def fill(node: int, at: int) -> None:
        last = tree.children_left[node] < 0
        if at >= len(asked):
            leaf[at - len(asked)] = float(tree.value[node][0][0])
            return
        if not last:
            asked[at], threshold[at] = int(tree.feature[node]), float(tree.threshold[node])
        fill(node if last else tree.children_left[node], 2 * at + 1)
        fill(node if last else tree.children_right[node], 2 * at + 2)

    fill(0, 0)
    return asked, threshold, leaf


def table(lesson: Lesson, way: Way, folds: dict[str, int]) -> tuple[Trees, Floats]:
    """The table for these folds, without cuts, and what each row gets from the fold without it."""
    fold = np.array([folds[name] for name in lesson.names])
    made = []
    for i in range(FOLDS):
        left = fold != i
        seen = Lesson(*(column[left] for column in lesson))
        made.append(learn(seen, way))
    names = tuple(sorted(folds))
    trees = Trees(
        **{key: np.stack([one[key] for one in made]) for key in made[0]},  # type: ignore[arg-type]
        scores=ndtri(KNOTS) if way.line else np.empty(0),
        names=names,
        fold=np.array([folds[name] for name in names], np.uint8),
    )
    rows = zip(lesson.numbers, lesson.names.tolist(), strict=True)
    return trees, np.array([trees.odds(numbers, name) for numbers, name in rows])


def wave_lesson(data: Path) -> tuple[Lesson, NDArray[np.str_]]:
    """Records of the challenge; the square root of the natural weight keeps rare ones heard."""
    rows = [
        (numbers, label, name)
        for name, label, x, beats in challenge(data)
        if (numbers := af.wave_numbers(x, 300, beats)) is not None
    ]
    labels = np.array([row[1] for row in rows])
    names = np.array([row[2] for row in rows])
    weight = np.sqrt(_natural(labels))
    return Lesson(np.array([row[0] for row in rows]), labels == "A", weight, names), labels


def _natural(labels: NDArray[np.str_]) -> Floats:
    weight = np.zeros(len(labels))
    for label, count in NATURAL.items():
        weight[labels == label] = count / max(1, int((labels == label).sum()))
    return weight / weight.mean()


def intervals_lesson(data: Path, waves: Lesson, labels: NDArray[np.str_]) -> Lesson:
    """The challenge's records that are not noise, and whole half minutes of MIT-BIH."""
    clean = labels != "~"
    width = len(intervals.NAMES)
    numbers = [*waves.numbers[clean][:, :width]]
    yes = [*waves.yes[clean]]
    weight = [*np.sqrt(_natural(labels[clean]))]
    names = [*waves.names[clean]]
    for name, rr_s, share in windows(data):
        row = intervals.describe(rr_s)
        if row is not None and share in (0.0, 1.0):
            numbers.append(row)
            yes.append(share == 1.0)
            weight.append(0.2)
            names.append(name)
    return Lesson(np.array(numbers), np.array(yes), np.array(weight), np.array(names))


def spread(names: NDArray[np.str_], labels: NDArray[np.str_], seed: int) -> dict[str, int]:
    """A fold for every record of the challenge, each label spread evenly."""
    parts = StratifiedKFold(FOLDS, shuffle=True, random_state=seed).split(names, labels)
    return {str(names[at]): i for i, (_, left) in enumerate(parts) for at in left}


def persons(names: Iterator[str]) -> dict[str, int]:
    """A fold for every record of MIT-BIH, one person's records in one."""
    every = sorted(set(names))
    people = sorted({SAME_PERSON.get(name, name) for name in every})
    return {name: people.index(SAME_PERSON.get(name, name)) % FOLDS for name in every}


def wave_cut(odds: Floats, labels: NDArray[np.str_]) -> float:
    """The cut with the best F1 at natural shares, taken from a smoothed curve."""
    cuts = np.quantile(odds, np.linspace(0.4, 0.98, 120))
    curve = np.array([weighted_f1(labels, odds > cut) for cut in cuts])
    padded = np.pad(curve, 3, mode="edge")
    return float(cuts[np.argmax(np.convolve(padded, np.ones(7) / 7, "valid"))])


def intervals_cut(odds: Floats, yes: Flags) -> float:
    """The cut that stays farthest above 97 % sensitivity and 96 % specificity."""
    cuts = np.sort(odds)
    spare = [min((odds[yes] > c).mean() - 0.97, (odds[~yes] <= c).mean() - 0.96) for c in cuts]
    return float(np.median(cuts[np.isclose(spare, max(spare))]))


def main(data: Path) -> None:
    """Learn both tables, print what to expect, write them."""
    waves, labels = wave_lesson(data)
    for seed in (1, 2, 3, 0):
        folds = spread(waves.names, labels, seed)
        trees, odds = table(waves, WAVE, folds)
        fold = np.array([folds[name] for name in waves.names])
        cuts = [wave_cut(odds[fold != i], labels[fold != i]) for i in range(FOLDS)]
        said = odds > np.array(cuts)[fold]
        print(f"af.wave, folds {seed}: F1 {weighted_f1(labels, said):.4f}", _rates(said, labels))
    _write(af.WAVE_RULE, trees._replace(base=trees.base - np.array(cuts)))

    lesson = intervals_lesson(data, waves, labels)
    folds |= persons(name for name, _, _ in windows(data))
    trees, odds = table(lesson, INTERVALS, folds)
    ours = np.array([name not in waves.names for name in lesson.names])
    fold = np.array([folds[name] for name in lesson.names])
    cut = intervals_cut(odds[ours], lesson.yes[ours])
    said = odds > cut
    yes, no = said[ours & lesson.yes], said[ours & ~lesson.yes]
    print(f"af.intervals: Se {yes.mean():.4f} of {len(yes)}, Sp {1 - no.mean():.4f} of {len(no)}")
    _write(af.INTERVALS_RULE, trees._replace(base=trees.base - cut))
    print(f"af.mitbih with the tables: {fibrillation(data)}")


def _rates(said: Flags, labels: NDArray[np.str_]) -> str:
    return " ".join(f"{label} {said[labels == label].mean():.3f}" for label in NATURAL)


def _write(rule: str, trees: Trees) -> None:
    path = af.path_of(rule)
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(trees.to_bytes())
    print(f"{path.name}: {path.stat().st_size} bytes")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
