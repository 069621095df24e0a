"""Heart beats of a whole recording, found looking both ways in time.

Candidates are the local maxima of the energy of the QRS band, of all leads together
(beats_energy). Each is scored by its height against the level of beats around it and by how it
looks like the beats of this recording (beats_shapes): in a quiet recording height decides, in noise
shape. The rhythm says which are too close and where one is late (beats_choice). A beat is told at
the extreme of the clearest lead.

Never raises on data; units, offset, gain and polarity do not matter. Long recordings are taken in
blocks: time is linear and the memory beside the samples is bounded.
"""

from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from devices.ecg.beats_choice import REFRACTORY_S, choose
from devices.ecg.beats_energy import (
    BELIEVABLE,
    Floats,
    Lead,
    Strength,
    factor_of,
    lead_of,
    together,
)
from devices.ecg.beats_shapes import likeness, pieces_of, strong_of
from devices.ecg.quality import Reason

Indices = NDArray[np.int64]

# Below this share of the level nothing is a candidate.
FLOOR = 0.16
# Score in quiet: height, less for a strange shape and for a small one. In noise: the size as a
# shape, less for a strange one. Between the two by how clear the signal is (log of level by quiet).
SHAPE_SHARE, SMALL = 0.3, 0.2
STRANGE = 2.5
# The word of a lead weighs as this power of how clear it is.
TRUST = 1.0
SHAPES_S = 600.0
LEAST_SIZE = 0.05
NOISE_UNTIL, QUIET_FROM = 1.10, 1.65
ACCEPT, ACCEPT_IN_NOISE = 0.31, 0.45
SEARCH_BACK, SEARCH_BACK_IN_NOISE = 0.16, 0.20

REFINE_S = 0.07
BLOCK_S, MARGIN_S = 3600.0, 20.0
# The shortest signal that can hold a beat and the quiet beside it.
SHORTEST_S = 0.5


class Beats(NamedTuple):
    """Samples of the R peaks, in order; `reason` says why there are none."""

    samples: Indices
    reason: Reason | None


def find_beats(samples: NDArray[np.generic], rate_hz: float) -> Beats:
    """The beats of one lead (n,) or of several leads at once (n, leads), in any units."""
    x = np.asarray(samples)
    x = x if x.ndim == 2 else x.reshape(-1, 1)  # noqa: PLR2004 - samples and leads
    count = len(x)
    if not x.size or count < SHORTEST_S * rate_hz:
        return Beats(np.empty(0, np.int64), Reason.FEW_BEATS)
    block, margin = round(BLOCK_S * rate_hz), round(MARGIN_S * rate_hz)
    found: list[Indices] = []
    last = -count
    for start in range(0, count, block):
        first = max(0, start - margin)
        # What overflows or is not a number counts as missing.
        with np.errstate(all="ignore"):
            beats = first + _block(x[first : start + block + margin], rate_hz)
        # The beat on the seam may be told a sample apart from both sides.
        free = max(start, last + REFRACTORY_S * rate_hz / 2)
        beats = beats[(beats >= free) & (beats < start + block)]
        last = int(beats[-1]) if beats.size else last
        found.append(beats)
    every = np.concatenate(found)
    return Beats(every, None if every.size else _why_none(x))


def _why_none(x: NDArray[np.generic]) -> Reason:
    """No contact, no movement, or nothing that looks like a beat."""
    good = np.abs(x) <= BELIEVABLE
    if not good.any():
        return Reason.ELECTRODE_OFF
    flat = all(
        np.ptp(lead[kept]) == 0 for lead, kept in zip(x.T, good.T, strict=True) if kept.any()
    )
    return Reason.FLAT_LINE if flat else Reason.FEW_BEATS


def _block(x: NDArray[np.generic], rate_hz: float) -> Indices:
    factor = factor_of(rate_hz)
    rate = rate_hz / factor
    every = [lead_of(column, factor, rate) for column in x.T]
    leads = [lead for lead in every if lead is not None]
    if not leads:
        return np.empty(0, np.int64)
    strength = together(leads, rate)
    at, height = _candidates(strength)
    score, calm = _scores(leads, at, height, at // strength.window, rate)
    accept = ACCEPT_IN_NOISE + calm * (ACCEPT - ACCEPT_IN_NOISE)
    search_back = SEARCH_BACK_IN_NOISE + calm * (SEARCH_BACK - SEARCH_BACK_IN_NOISE)
    beats = choose(at, score, accept, search_back, rate)
    clear = [0.0 if lead is None else float(np.median(lead.clarity)) for lead in every]
    shown = int(np.argmax(clear))
    told = leads[sum(lead is not None for lead in every[:shown])]
    return _peaks(x[:, shown], told, beats, factor, round(REFINE_S * rate))


def _candidates(strength: Strength) -> tuple[Indices, Floats]:
    """Local maxima that are not far below the level of beats, and their heights against it."""
    values, window = strength.values, strength.window
    level = np.maximum(strength.level, 1e-30)
    least = (FLOOR * level).astype(np.float32)[:, None]
    whole = len(values) // window
    high = np.empty(len(values), bool)
    rows = values[: whole * window].reshape(-1, window)
    np.greater(rows, least[:whole], out=high[: rows.size].reshape(-1, window))
    high[rows.size :] = values[rows.size :] > least[-1]
    inner = high[1:-1]
    inner &= values[1:-1] > values[:-2]
    inner &= values[1:-1] >= values[2:]
    at = np.flatnonzero(inner) + 1
    return at, values[at] / level[at // window]


def _scores(
    leads: list[Lead], at: Indices, height: Floats, window: Indices, rate: float
) -> tuple[Floats, Floats]:
    """A score of each candidate, about 1 for a usual beat; and 0 in noise to 1 in quiet."""
    clarity = np.array([lead.clarity[window] for lead in leads])
    clear = 0.5 * np.log(np.maximum((clarity * clarity).sum(axis=0), 1e-30))
    calm = np.clip((clear - NOISE_UNTIL) / (QUIET_FROM - NOISE_UNTIL), 0.0, 1.0)
    power = clarity**TRUST
    total = np.maximum(power.sum(axis=0), 1e-30)
    tall = np.log(height)
    correlation, size = np.zeros(len(at)), np.zeros(len(at))
    share = power / total
    certain = strong_of(at, height, rate)
    # Shapes are of their time: a heart's axis turns with the body.
    span = len(leads[0].energy)
    parts = max(1, round(span / (SHAPES_S * rate)))
    edges = np.searchsorted(at, np.linspace(0, span, parts + 1))
    for number, lead in enumerate(leads):
        pieces = pieces_of(lead, rate)
        for first, last in pairwise(edges.tolist()):
            part = slice(first, last)
            like = likeness(pieces, at[part], certain[part])
            if like is None:
                correlation[part] += share[number, part]
                size[part] += share[number, part] * tall[part]
            else:
                correlation[part] += share[number, part] * like.correlation
                size[part] += share[number, part] * np.log(np.maximum(like.size, LEAST_SIZE))
    quiet = tall + np.log(1 - SHAPE_SHARE * (1 - correlation)) + SMALL * np.minimum(size, 0)
    noise = size + STRANGE * (correlation - 1)
    return np.exp(calm * quiet + (1 - calm) * noise), calm


def _peaks(
    samples: NDArray[np.generic], lead: Lead, beats: Indices, factor: int, reach: int
) -> Indices:
    """Sample of the extreme, up or down, near each beat: among the sums, then about the sum."""
    if not beats.size:
        return beats
    near = lead.about(lead.sums, reach)[beats]
    near -= near.mean(axis=1, keepdims=True)
    furthest = np.abs(near).argmax(axis=1)
    sign = np.sign(near[np.arange(len(beats)), furthest])
    first = np.maximum(beats + furthest - reach, 0) * factor - factor // 2
    # A beat is a column.
    places = np.clip(first + np.arange(2 * factor)[:, None], 0, len(samples) - 1)
    shape = samples[places].astype(np.float64)
    shape = np.where(np.abs(shape) <= BELIEVABLE, shape * sign, -np.inf)
    peaks: Indices = places[shape.argmax(axis=0), np.arange(len(beats))]
    return peaks[np.diff(peaks, prepend=-1) > 0]
