"""How much a candidate looks like a beat of this heart, and how large it is as such.

The shapes are those of the recording itself: the average of its strong candidates, and of those
unlike it, up to three. A shape takes enough beats to be one: a single extrasystole is judged by its
strength alone.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from devices.ecg.beats_choice import REFRACTORY_S, thinned
from devices.ecg.beats_energy import Lead, Singles

Indices = NDArray[np.int64]

REACH_S = 0.1
SHAPES = 3
# A candidate may sit this many samples beside the middle of the shape.
SLACK = 3
STRONG = (0.6, 1.8)
FEWEST, LEAST_SHARE = 8, 0.02
ALIKE, UNLIKE = 0.6, 0.8
# Shapes are averaged over at most so many strong candidates.
ENOUGH = 200
# Compared together: products as small as these are never split between threads, which costs more
# than it saves.
TOGETHER = 400


class Likeness(NamedTuple):
    """Of each candidate: correlation with the nearest shape, and its size against the usual."""

    correlation: Singles
    size: Singles


def strong_of(at: Indices, height: Singles, rate_hz: float) -> NDArray[np.bool_]:
    """Which candidates are beats for certain, nearly: a shape is made of these."""
    strong = np.zeros(len(at), bool)
    # What stands beside something larger is its P or T wave.
    alone = thinned(at, height, np.flatnonzero(height > STRONG[0]), REFRACTORY_S * rate_hz, 1.0)
    strong[alone[height[alone] < STRONG[1]]] = True
    return strong


def pieces_of(lead: Lead, rate_hz: float) -> Singles:
    """A view of the wave: a row about each of its samples, as long as a shape with its slack."""
    return lead.about(lead.wave, round(REACH_S * rate_hz) + SLACK)


def likeness(pieces: Singles, at: Indices, certain: NDArray[np.bool_]) -> Likeness | None:
    """Of candidates of one stretch; None where too few are certain to know a shape."""
    strong = np.flatnonzero(certain)
    strong = strong[:: max(1, -(-len(strong) // ENOUGH))]
    if len(strong) < FEWEST:
        return None
    known = pieces[at[strong], SLACK:-SLACK]
    shapes = _shapes(known / (np.sqrt((known * known).sum(axis=1, keepdims=True)) + 1e-12))
    # Every shape at every shift as one matrix, and another for the energy beneath each.
    width, shifts = known.shape[1], 2 * SLACK + 1
    laid = np.zeros((len(shapes), shifts, pieces.shape[1]), np.float32)
    under = np.zeros((shifts, pieces.shape[1]), np.float32)
    for shift in range(shifts):
        laid[:, shift, shift : shift + width] = shapes
        under[shift, shift : shift + width] = 1
    every = laid.reshape(-1, pieces.shape[1])
    correlation, norm = np.empty(len(at), np.float32), np.empty(len(at), np.float32)
    for start in range(0, len(at), TOGETHER):
        near = pieces[at[start : start + TOGETHER]]
        norms = np.sqrt(under @ (near * near).T) + np.float32(1e-12)
        dots = (every @ near.T).reshape(len(shapes), shifts, len(near)).max(axis=0)
        dots /= norms
        dots.max(axis=0, out=correlation[start : start + TOGETHER])
        norm[start : start + TOGETHER] = norms[SLACK]
    correlation = np.clip(correlation, 0, 1)
    size = correlation * norm
    return Likeness(correlation, size / (float(np.median(size[strong])) + 1e-12))


def _shapes(strong: Singles) -> list[Singles]:
    rest = strong
    found: list[Singles] = []
    while len(found) < SHAPES and len(rest) >= max(FEWEST, LEAST_SHARE * len(strong)):
        shape = _unit(rest.sum(axis=0))
        for _ in range(2):
            alike = rest[rest @ shape > ALIKE]
            if len(alike) < FEWEST:
                break
            shape = _unit(alike.sum(axis=0))
        found.append(shape)
        rest = rest[rest @ shape < UNLIKE]
    return found


def _unit(shape: Singles) -> Singles:
    unit: Singles = shape / (np.sqrt(np.dot(shape, shape)) + 1e-9)
    return unit
