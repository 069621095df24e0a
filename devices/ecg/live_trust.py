"""Quick to warn, slow to trust: noise comes in bursts, and calm between two of them proves little.

Noise is said as soon as it is heard. Behind it a stream stays noisy until it has been calm for a
while, for longer where noise came back again. Where it was loud for much of the last time the
stream stays unusable as long, unless what is heard is a rhythm for sure: its last beats are all
alike, or its wave repeats itself. Nothing is held over an electrode put on again. Nothing is held
that was heard with fewer beats than can be compared: the first ones are like none before.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from devices.ecg.live_bank import AGAIN, NOISY, Bank
from devices.ecg.live_quality import JUDGED_S

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

# Log-odds of doubt from which a stream is noisy, and from which it is unusable.
NOISY_ODDS, UNUSABLE_ODDS = -1.0, 1.0
# So long a calm is trusted again; and so long where noise came back within BACK_S after a calm of
# RETURN_S. Loud for this share of the last LOUD_S or so (older counts less) shows no rate.
# Set on record 100 with made noise and seen to hold on MIT-BIH with recorded noise.
CALM_S, CALM_BACK_S, BACK_S, RETURN_S = 2.5, 5.0, 15.0, 2.0
LOUD_S, LOUD_SHARE = 10.0, 0.2
GOOD_LEVEL, UNUSABLE_LEVEL = 0, 2


class Heard(NamedTuple):
    """Now: log-odds of doubt (low where nobody asked), its kind, and whether it is a rhythm."""

    doubt: Floats
    kind: Ints
    sure: NDArray[np.bool_]


class Held(NamedTuple):
    """The least that is said of each stream now, and the kind of noise it is for."""

    level: Ints
    kind: Ints


def doubted(bank: Bank, rows: Ints, at: Ints, now: Heard) -> Held:
    """Take note of what is heard now, and say what is held of it and of before."""
    heard = bank.noise_at[rows]
    noise = now.doubt > NOISY_ODDS
    calm = at - heard[:, NOISY]
    back = noise & (calm >= RETURN_S * bank.rate_hz) & (calm < BACK_S * bank.rate_hz)
    heard[noise, NOISY] = at[noise]
    heard[back, AGAIN] = at[back]
    bank.noise_at[rows] = heard
    bank.noise_kind[rows[noise]] = now.kind[noise]
    share = bank.noise_share[rows]
    share += ((now.doubt > UNUSABLE_ODDS) - share) * (JUDGED_S / LOUD_S)
    bank.noise_share[rows] = share
    often = at - heard[:, AGAIN] < BACK_S * bank.rate_hz
    noisy = at - heard[:, NOISY] < np.where(often, CALM_BACK_S, CALM_S) * bank.rate_hz
    barred = noisy & (share >= LOUD_SHARE) & ~now.sure
    return Held(np.where(barred, UNUSABLE_LEVEL, noisy), bank.noise_kind[rows])
