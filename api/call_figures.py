"""Totals of how calls go, for the operator's metrics: no rooms, no persons, nothing that grows."""

from bisect import bisect_left
from collections.abc import Sequence

from people.call_words import Measured, loss_of
from rtc.messages import LinkRow

LOSS = (0.0, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5)
ESTIMATE_BPS = (100e3, 200e3, 350e3, 500e3, 1e6, 2e6, 5e6, 10e6)
SECONDS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6)


class Histogram:
    """Counts of values by upper bounds, as Prometheus wants them."""

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def add(self, value: float) -> None:
        """Count a value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.sum += value


class Figures:
    """Since the start of this process."""

    def __init__(self) -> None:
        self.loss = {"publish": Histogram(LOSS), "subscribe": Histogram(LOSS)}
        self.round_trip_s = Histogram(SECONDS)
        self.jitter_s = Histogram(SECONDS)
        self.estimate_bps = Histogram(ESTIMATE_BPS)
        self.steps: dict[str, int] = {}
        self.frozen_ms = 0

    def row(self, row: LinkRow) -> None:
        """Count what a worker told of one way."""
        loss = loss_of(Measured(packets=row.packets, lost=row.lost))
        if loss is not None:
            self.loss[row.direction].add(loss)
        if row.rtt_ms is not None:
            self.round_trip_s.add(row.rtt_ms / 1000)
        if row.jitter_ms is not None:
            self.jitter_s.add(row.jitter_ms / 1000)
        if row.estimate_kbps is not None:
            self.estimate_bps.add(1000 * row.estimate_kbps)

    def stepped(self, step: str) -> None:
        """Count a step of the ladder."""
        self.steps[step] = self.steps.get(step, 0) + 1

    def frozen(self, ms: int) -> None:
        """Count how long pictures stood still, as a page tells."""
        self.frozen_ms += ms
