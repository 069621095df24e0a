"""Live ECGs of many people at once: samples in, beats and what may be shown of each stream out.

    slot = live.open(header); live.push(slot, samples); for told in live.tick(): ...

`push` only takes note; a `tick` advances all streams together, those of one sampling rate as one
array. Never raises on data. What is said of a stream depends neither on how its samples were cut
into chunks nor on which other streams there are.
"""

import math
from collections import deque
from itertools import pairwise

import msgspec
import numpy as np
from numpy.typing import NDArray

from devices.ecg.live_bank import Bank, Ended, Peaks
from devices.ecg.live_judge import judge
from devices.ecg.quality import Quality, Reason
from devices.ecg.rhythm import RhythmCode, live_fibrillation, live_rhythms, live_steady
from devices.frames import MISSING, StreamHeader

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

# No converter gives more; a float beyond it (or NaN) is a missing sample.
BELIEVABLE = 1e9
# The rhythm is asked for every 5 s, of an unsteady one whether it is fibrillation every 25 s: that
# costs a hundred times as much.
RHYTHM_EVERY, IRREGULAR_EVERY = 20, 5


class Beat(msgspec.Struct, frozen=True, gc=False):
    """A heart beat. `sample` counts the samples pushed before it; `rr_s` is None after a break."""

    sample: int
    rr_s: float | None


class EcgVitals(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What may be shown now; `heart_rate_bpm` only when the signal carries it."""

    heart_rate_bpm: float | None
    quality: Quality
    reason: Reason | None
    at_sample: int
    rhythm: RhythmCode | None = None


class Told(msgspec.Struct, frozen=True, gc=False):
    """News of one stream; `vitals` when it was judged since the last tick."""

    slot: int
    beats: tuple[Beat, ...]
    vitals: EcgVitals | None


class _Stream:
    __slots__ = (
        "asked",
        "bank",
        "beats",
        "fibrillating",
        "judged",
        "most",
        "pending",
        "rhythm",
        "row",
        "slot",
        "steady",
        "taken",
        "turns",
        "vitals",
    )

    def __init__(self, slot: int, bank: Bank, row: int, turns: "_Turns") -> None:
        self.slot, self.bank, self.row, self.turns = slot, bank, row, turns
        self.most = bank.most
        # The tick that has a piece of this stream in its turns: what comes after it waits.
        self.taken = -1
        self.rhythm: RhythmCode | None = None
        # The last answer about fibrillation, whether it had to be asked, and how soon it is again.
        self.fibrillating, self.steady = False, True
        self.asked = 0
        self.pending: deque[NDArray[np.generic] | None] = deque()
        self.beats: list[Beat] = []
        self.judged = False
        self.vitals = _silent(0)


# Rows and their pieces, by the length of the pieces.
_Turns = dict[int, tuple[list[int], list[NDArray[np.generic]]]]


class LiveEcg:
    """Causal analysis of many recorders' streams at 100-1000 Hz."""

    def __init__(self) -> None:
        self._banks: dict[float, tuple[Bank, _Turns]] = {}
        self._rows: dict[float, dict[int, _Stream]] = {}
        self._streams: dict[int, _Stream] = {}
        self._waiting: dict[int, _Stream] = {}
        self._news: dict[int, _Stream] = {}
        self._next = self._ticks = 0

    def open(self, header: StreamHeader) -> int:
        """A new stream; the number it is called by from now on."""
        if header.rate_hz not in self._banks:
            self._banks[header.rate_hz] = Bank(header.rate_hz), {}
            self._rows[header.rate_hz] = {}
        bank, turns = self._banks[header.rate_hz]
        slot = self._next
        self._next += 1
        stream = _Stream(slot, bank, bank.add(header.gain_per_mv), turns)
        self._streams[slot] = self._rows[bank.rate_hz][stream.row] = stream
        return slot

    def close(self, slot: int) -> None:
        """Forget the stream."""
        stream = self._streams.pop(slot)
        self._waiting.pop(slot, None)
        if stream.taken == self._ticks:
            for rows, pieces in stream.turns.values():
                if stream.row in rows:
                    del pieces[rows.index(stream.row)]
                    rows.remove(stream.row)
        rate_hz = stream.bank.rate_hz
        del self._rows[rate_hz][stream.row]
        stream.bank.drop(stream.row)
        if not self._rows[rate_hz]:
            del self._banks[rate_hz], self._rows[rate_hz]

    def push(self, slot: int, samples: NDArray[np.generic], *, gap: bool = False) -> None:
        """Samples that came, in ADC units. `gap`: samples were lost just before these."""
        stream = self._streams[slot]
        if gap or stream.taken == self._ticks or samples.ndim != 1:
            self._wait(stream, samples, gap=gap)
            return
        number = len(samples)
        if not 0 < number <= stream.most:
            self._wait(stream, samples, gap=gap)
            return
        stream.taken = self._ticks
        turn = stream.turns.get(number)
        if turn is None:
            turn = stream.turns[number] = ([], [])
        turn[0].append(stream.row)
        turn[1].append(samples)

    def _wait(self, stream: _Stream, samples: NDArray[np.generic], *, gap: bool) -> None:
        """What is not one ordinary piece is taken in after those that are."""
        stream.taken = self._ticks
        if gap:
            stream.pending.append(None)
        stream.pending.append(samples)
        self._waiting[stream.slot] = stream

    def vitals(self, slot: int) -> EcgVitals:
        """The latest judgement of a stream, at most half a second old."""
        return self._streams[slot].vitals

    def tick(self) -> list[Told]:
        """Take in what was pushed since the last tick, and say what is new."""
        self._ticks += 1
        self._turn()
        due = list(self._waiting.values())
        self._waiting.clear()
        while due:
            left = []
            for stream in due:
                piece = self._piece(stream)
                if piece is None:
                    continue
                rows, pieces = stream.turns.setdefault(len(piece), ([], []))
                rows.append(stream.row)
                pieces.append(piece)
                if stream.pending:
                    left.append(stream)
            self._turn()
            due = left
        told = []
        for stream in self._news.values():
            vitals = stream.vitals if stream.judged else None
            told.append(Told(stream.slot, tuple(stream.beats), vitals))
            stream.beats, stream.judged = [], False
        self._news.clear()
        return told

    def _turn(self) -> None:
        """Take in the next piece of every stream that has one."""
        for bank, turns in self._banks.values():
            for number, (rows, pieces) in turns.items():
                if rows:
                    self._take(bank, number, rows, pieces)
            turns.clear()

    def _piece(self, stream: _Stream) -> NDArray[np.generic] | None:
        """The next samples to take in, no more than the bank takes at once; None if none are."""
        pending = stream.pending
        while pending:
            piece = pending.popleft()
            if piece is None:
                stream.bank.restart(np.array([stream.row]))
                self._silence(stream)
            else:
                piece = piece.reshape(-1)
                if len(piece) > stream.most:
                    pending.appendleft(piece[stream.most :])
                    return piece[: stream.most]
                if len(piece):
                    return piece
        return None

    def _take(
        self, bank: Bank, number: int, chosen: list[int], pieces: list[NDArray[np.generic]]
    ) -> None:
        rows = np.array(chosen)
        stacked = np.concatenate(pieces).reshape(len(rows), number)
        missing = stacked == MISSING
        samples: NDArray[np.generic] = stacked
        if stacked.dtype.kind == "f":
            missing |= ~(np.abs(stacked) <= BELIEVABLE)
            samples = np.where(missing, 0.0, stacked)
        if not missing.any():
            self._feed(bank, rows, samples, missing[:, 0])
            return
        lost = missing.sum(axis=1)
        even = (lost == 0) | (lost == number)
        self._feed(bank, rows[even], samples[even], lost[even] > 0)
        for place in np.flatnonzero(~even).tolist():
            ends = np.flatnonzero(missing[place, 1:] != missing[place, :-1]) + 1
            cuts = [0, *ends.tolist(), number]
            for first, last in pairwise(cuts):
                part = samples[place : place + 1, first:last]
                self._feed(bank, rows[place : place + 1], part, missing[place, first : first + 1])

    def _feed(
        self, bank: Bank, rows: Ints, samples: NDArray[np.generic], missing: NDArray[np.bool_]
    ) -> None:
        if not rows.size:
            return
        base = bank.base[rows]
        peaks, ended = bank.feed(rows, samples, missing)
        for row in rows[bank.base[rows] != base].tolist():
            self._silence(self._rows[bank.rate_hz][row])
        self._tell(bank, peaks)
        self._judge(bank, ended)

    def _tell(self, bank: Bank, peaks: Peaks) -> None:
        streams = self._rows[bank.rate_hz]
        for row, sample, rr_s in zip(
            peaks.row.tolist(), peaks.sample.tolist(), peaks.rr_s.tolist(), strict=True
        ):
            stream = streams[row]
            stream.beats.append(Beat(sample, None if math.isnan(rr_s) else rr_s))
            self._news[stream.slot] = stream

    def _judge(self, bank: Bank, ended: Ended) -> None:
        """Every other quarter of a second."""
        due = ended.sample // bank.cell % 2 == 0
        if not due.any():
            return
        rows, at = ended.row[due], ended.sample[due]
        self._ask_rhythm(bank, rows, at)
        streams = self._rows[bank.rate_hz]
        for row, sample, (rate, quality, reason) in zip(
            rows.tolist(), at.tolist(), judge(bank, rows, at), strict=True
        ):
            stream = streams[row]
            stream.vitals = EcgVitals(
                heart_rate_bpm=rate,
                quality=quality,
                reason=reason,
                at_sample=sample,
                rhythm=None if rate is None else stream.rhythm,
            )
            stream.judged = True
            self._news[stream.slot] = stream

    def _ask_rhythm(self, bank: Bank, rows: Ints, at: Ints) -> None:
        due = at // bank.cell % RHYTHM_EVERY == 0
        if not due.any():
            return
        streams = [self._rows[bank.rate_hz][row] for row in rows[due].tolist()]
        intervals = bank.intervals(rows[due], at[due])
        for number, (one, steady) in enumerate(
            zip(streams, live_steady(intervals).tolist(), strict=True)
        ):
            one.asked -= 1
            if steady:
                one.fibrillating = False
            elif one.steady or one.asked <= 0:
                one.fibrillating = live_fibrillation(intervals[number])
                one.asked = IRREGULAR_EVERY
            one.steady = steady
        fibrillating = np.array([one.fibrillating for one in streams])
        for one, code in zip(streams, live_rhythms(intervals, fibrillating), strict=True):
            one.rhythm = code

    def _silence(self, stream: _Stream) -> None:
        stream.vitals = _silent(int(stream.bank.total[stream.row]))
        stream.judged = True
        stream.rhythm, stream.fibrillating, stream.steady = None, False, True
        self._news[stream.slot] = stream


def _silent(at_sample: int) -> EcgVitals:
    return EcgVitals(
        heart_rate_bpm=None,
        quality=Quality.NO_SIGNAL,
        reason=Reason.FEW_BEATS,
        at_sample=at_sample,
    )
