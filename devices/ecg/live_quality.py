"""Whether live streams may be believed, many at once: what a quarter of a second shows, and what
the last quarters say together.

Order of the questions: is there an electrode, is there a signal, does it fit the converter, is
there hum, and then how noisy it is beside the stream's own beats. Nothing looks at the rhythm: a
pause, fibrillation or two shapes of beat are no reason to doubt a signal.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

CELL_S = 0.25
# Every other quarter of a second a stream is judged.
JUDGED_S = 2 * CELL_S
LOW, HIGH, AT_LOW, AT_HIGH, MEAN, ROUGH, TONES, LOST = 0, 1, 2, 3, 4, 5, 6, 10
FEATURES = 11
MAINS_HZ = (50.0, 60.0)

# A dead input does not move at all for a second; an open one hardly for 2.5 s. The baseline of a
# pause moves more than that: it has the converter's and the muscles' noise on it.
DEAD_MV, DEAD_CELLS = 0.005, 4
FLAT_MV, FLAT_CELLS = 0.03, 10
# A quarter of the last second without contact, or a quarter of the last two at the converter's end.
LOST_SHARE, CLIP_SHARE = 0.25, 0.125
MAINS_SHARE = 0.25


def features(part: NDArray[np.float32], rate_hz: float, factor: int) -> Floats:
    """All but the share of lost samples, for quarters of a second of many streams."""
    count = part.shape[1]
    found = np.empty((len(part), FEATURES - 1))
    low, high = part.min(axis=1), part.max(axis=1)
    found[:, LOW], found[:, HIGH] = low, high
    later = part[:, 1:]
    still = later == part[:, :-1]
    found[:, AT_LOW] = np.count_nonzero(still & (later == low[:, None]), axis=1)
    found[:, AT_HIGH] = np.count_nonzero(still & (later == high[:, None]), axis=1)
    x = part.astype(np.float64)
    mean = x.sum(axis=1) / count
    found[:, MEAN] = mean
    whole = count // factor
    sums = x[:, : whole * factor : factor].copy()
    for phase in range(1, factor):
        sums += x[:, phase : whole * factor : factor]
    bends = np.abs(sums[:, 2:] - 2 * sums[:, 1:-1] + sums[:, :-2])
    found[:, ROUGH] = bends.sum(axis=1) / ((whole - 2) * factor)
    x -= mean[:, None]
    product = np.empty_like(x)
    for place, tone in enumerate(_tones(count, rate_hz), TONES):
        np.multiply(x, tone, out=product)
        product.sum(axis=1, out=found[:, place])
    return found


@lru_cache(maxsize=64)
def _tones(count: int, rate_hz: float) -> Floats:
    """Cosine and sine of 50 and of 60 Hz, as rows."""
    angle = 2 * np.pi * np.array(MAINS_HZ)[:, None] * np.arange(count) / rate_hz
    return np.stack((np.cos(angle), np.sin(angle)), axis=1).reshape(4, count)


def hum(cells: Floats, count: int, rate_hz: float) -> Floats:
    """Height, peak to peak, of the stronger mains tone over the quarters given."""
    number = cells.shape[1]
    heights = []
    for which, hertz in enumerate(MAINS_HZ):
        turn = np.exp(-2j * np.pi * hertz * count / rate_hz * np.arange(number))
        parts = cells[:, :, TONES + 2 * which] - 1j * cells[:, :, TONES + 2 * which + 1]
        heights.append(np.abs((parts * turn).sum(axis=1)) * 4 / (count * number))
    return np.asarray(np.maximum(*heights))
