"""Quick to warn, slow to trust: noise comes in bursts, and calm between two of them proves little.

Noise is said as soon as it is heard. Behind it a stream stays noisy until it has been calm for a
while, and unusable where it was loud twice in a row, but for no longer than LOUD_S since it was
loud. Nothing is held over an electrode put on again. Nothing is held that was heard with fewer
beats than can be compared: the first beats of a stream are like none before.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from devices.ecg.live_bank import BARRED, LOUD, NOISY, Bank

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

# Log-odds of doubt from which a stream is noisy, and from which it is unusable.
NOISY_ODDS, UNUSABLE_ODDS = -1.0, 1.0
# So long a calm is trusted again, and so long after it was loud no rate is shown while it is not
# calm. Set on the two minutes of record 100 with made noise, seen to hold on MIT-BIH with recorded
# noise. Two judgements in a row lie half a second apart.
CALM_S, LOUD_S, ROW_S = 2.5, 5.0, 0.75
GOOD_LEVEL, UNUSABLE_LEVEL = 0, 2


class Held(NamedTuple):
    """The least that is said of each stream now, and the kind of noise it is for."""

    level: Ints
    kind: Ints


def doubted(bank: Bank, rows: Ints, at: Ints, doubt: Floats, kind: Ints) -> Held:
    """Take note of what is heard now (`doubt` is low where noise was not asked for)."""
    heard = bank.noise_at[rows]
    since = at[:, None] - heard
    loud = doubt > UNUSABLE_ODDS
    again = (since[:, LOUD] < ROW_S * bank.rate_hz) | (since[:, BARRED] < LOUD_S * bank.rate_hz)
    for which, true in ((NOISY, doubt > NOISY_ODDS), (LOUD, loud), (BARRED, loud & again)):
        since[true, which] = 0
        heard[true, which] = at[true]
    now = since[:, NOISY] == 0
    bank.noise_at[rows] = heard
    bank.noise_kind[rows[now]] = kind[now]
    noisy = since[:, NOISY] < CALM_S * bank.rate_hz
    barred = noisy & (since[:, BARRED] < LOUD_S * bank.rate_hz)
    return Held(np.where(barred, UNUSABLE_LEVEL, noisy), bank.noise_kind[rows])
