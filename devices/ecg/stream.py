"""One live ECG: samples in, beats and a heart rate that may be shown out.

The one-stream face of `LiveEcg`: a batch of one, with the same beats as in any company.
"""

import numpy as np
from numpy.typing import NDArray

from devices.ecg.live import Beat, EcgVitals, LiveEcg
from devices.frames import StreamHeader

__all__ = ["Beat", "EcgStream", "EcgVitals"]


class EcgStream:
    """Causal analysis of one recorder's stream at 100-1000 Hz."""

    def __init__(self, header: StreamHeader) -> None:
        self.header = header
        self.rate_hz = header.rate_hz
        self._live = LiveEcg()
        self._slot = self._live.open(header)

    def push(self, samples: NDArray[np.generic], *, gap: bool = False) -> list[Beat]:
        """Beats these samples confirm, in order. `gap`: samples were lost just before these."""
        self._live.push(self._slot, samples, gap=gap)
        return [beat for told in self._live.tick() for beat in told.beats]

    def vitals(self) -> EcgVitals:
        """The latest judgement, at most half a second old."""
        return self._live.vitals(self._slot)
