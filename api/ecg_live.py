"""Beats, heart rate, rhythm and quality of the streams that arrive now, for whoever looks.

Frames come as stored, so after a break they come in order but late, and a bad link may swap a few:
up to five ahead are held, then the missing ones count as a gap. What is late for the live view is
not lost: pages read the trace itself from the stores.

All streams advance together, five times a second: `push` only puts samples down. With many streams
that is arithmetic of many milliseconds, and goes on in a thread while the loop serves; nobody but
the tick touches the analysis, so nothing is locked.
"""

import asyncio
import importlib
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from api.logs import error_fields, log
from api.socket_messages import EcgBeats, Vitals
from devices.ecg.quality import Quality, Reason
from devices.frames import EcgFrame, StreamHeader

if TYPE_CHECKING:
    from devices.ecg.live import EcgVitals, LiveEcg, Told

HELD_AHEAD = 5
SILENT_S = 3.0
FORGOTTEN_S = 600.0
TICK_S = 0.2
# So many streams are advanced in the loop itself: the way to a thread and back costs as much.
IN_THE_LOOP = 64
_EVERY_S = 1.0
_JUMP_US = 500_000
# Beats are told a second or so after they were, after a break many at once: times are kept of so
# many stretches of a steady clock.
_MARKS, _STEADY_US = 64, 1000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_STOPPED = (Quality.NO_SIGNAL, None)
Piece = tuple[NDArray[np.int16], bool]


@dataclass(slots=True)
class _Trace:
    person_id: UUID
    header: StreamHeader
    slot: int | None = None
    next: int | None = None
    ends_at_us: int = 0
    ahead: dict[int, EcgFrame] = field(default_factory=dict)
    pieces: list[Piece] = field(default_factory=list)
    # Samples taken so far, and of the newest stretches the first sample with its time.
    total: int = 0
    marks: deque[tuple[int, int]] = field(default_factory=lambda: deque(maxlen=_MARKS))
    heard_s: float = 0.0
    said_s: float = 0.0
    open: bool = True
    said: tuple[Quality, Reason | None] | None = None

    def at_us(self, sample: int) -> int:
        """When a sample was taken, by the recorder's clock."""
        first, at_us = self.marks[0]
        for mark in reversed(self.marks):
            if mark[0] <= sample:
                first, at_us = mark
                break
        return at_us + round((sample - first) / self.header.rate_hz * 1e6)


class EcgLive:
    """One causal analysis of all streams; `show(person, message)` gets what there is to say."""

    def __init__(self, show: Callable[[UUID, Vitals | EcgBeats, datetime], None]) -> None:
        self._show = show
        self._traces: dict[UUID, _Trace] = {}
        self._fed: dict[UUID, _Trace] = {}
        self._slots: dict[int, _Trace] = {}
        self._gone: list[int] = []
        self._analysis: LiveEcg | None = None
        self._looked_s = 0.0
        # Whoever opens a stream waits for this: an import in the loop would hold up everybody.
        self.loaded = asyncio.Event()

    def open(self, person_id: UUID, header: StreamHeader) -> None:
        """A recorder said how its stream reads; a stream taken up again keeps its state."""
        trace = self._traces.get(header.stream)
        if trace is None or trace.header != header:
            if trace is not None:
                self._forget(trace)
            trace = self._traces[header.stream] = _Trace(person_id, header)
        trace.open = True

    def close(self, stream: UUID) -> None:
        """The recorder is gone; its stream is forgotten when it stays silent."""
        if stream in self._traces:
            self._traces[stream].open = False

    def unheard(self, stream: UUID) -> bool:
        """Whether no frame of an opened stream has come yet."""
        trace = self._traces.get(stream)
        return trace is not None and trace.next is None

    def push(self, frames: Sequence[EcgFrame], now_s: float) -> None:
        """Frames just stored, of any streams; `now_s` is the loop's clock."""
        heard: dict[UUID, list[EcgFrame]] = {}
        for frame in frames:
            heard.setdefault(frame.stream, []).append(frame)
        for stream, own in heard.items():
            trace = self._traces.get(stream)
            if trace is not None:
                trace.heard_s = now_s
                self._feed(trace, own)
                self._fed[stream] = trace

    def tick(self, now_s: float) -> None:
        """Take in what was put down and say what is new."""
        self._say_all(self._take_in().tick(), now_s)

    async def run(self) -> None:
        """Load the analysis, then tick until cancelled."""
        await asyncio.to_thread(_load)
        self.loaded.set()
        clock = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(TICK_S)
            try:
                many = len(self._fed) > IN_THE_LOOP
                analysis = self._take_in()
                told = await asyncio.to_thread(analysis.tick) if many else analysis.tick()
                self._say_all(told, clock.time())
            except Exception as error:  # noqa: BLE001 - the traces go on, and are analysed anew
                log.error("live analysis failed", **error_fields(error))
                self._begin_anew()

    def _take_in(self) -> "LiveEcg":
        """Hand what was put down to the analysis; only ever between two of its ticks."""
        if self._analysis is None:
            self._analysis = _analysis()
        gone, self._gone = self._gone, []
        for slot in gone:
            self._analysis.close(slot)
            del self._slots[slot]
        fed, self._fed = self._fed, {}
        for trace in fed.values():
            if trace.slot is None:
                trace.slot = self._analysis.open(trace.header)
                self._slots[trace.slot] = trace
            pieces, trace.pieces = trace.pieces, []
            for samples, gap in pieces:
                self._analysis.push(trace.slot, samples, gap=gap)
        return self._analysis

    def _say_all(self, told: "Sequence[Told]", now_s: float) -> None:
        for one in told:
            trace = self._slots[one.slot]
            if one.beats:
                beats = [trace.at_us(beat.sample) for beat in one.beats]
                message = EcgBeats(stream=trace.header.stream, beats=beats)
                self._show(trace.person_id, message, _time(beats[0]))
            if one.vitals is not None:
                self._speak(trace, one.vitals, now_s)
        if now_s - self._looked_s >= _EVERY_S:
            self._looked_s = now_s
            self._look_for_silent(now_s)

    def _look_for_silent(self, now_s: float) -> None:
        """Once a second: say where a signal has stopped, forget what is long silent."""
        for stream, trace in list(self._traces.items()):
            silent_s = now_s - trace.heard_s
            if trace.next is not None and silent_s > SILENT_S and trace.said != _STOPPED:
                self._say(trace, now_s, *_STOPPED)
            if silent_s > FORGOTTEN_S and not trace.open:
                del self._traces[stream]
                self._forget(trace)

    def _forget(self, trace: _Trace) -> None:
        self._fed.pop(trace.header.stream, None)
        if trace.slot is not None:
            self._gone.append(trace.slot)

    def _begin_anew(self) -> None:
        self._analysis = None
        self._gone.clear()
        self._slots.clear()
        for trace in self._traces.values():
            trace.slot, trace.total = None, 0
            trace.pieces.clear()
            trace.marks.clear()
            self._fed.pop(trace.header.stream, None)

    def _feed(self, trace: _Trace, frames: Sequence[EcgFrame]) -> None:
        for frame in frames:
            if trace.next is None or frame.sequence >= trace.next:
                trace.ahead[frame.sequence] = frame
        while trace.ahead:
            first = trace.next if trace.next in trace.ahead else min(trace.ahead)
            if trace.next not in (None, first) and len(trace.ahead) <= HELD_AHEAD:
                return
            self._run(trace, first)

    def _run(self, trace: _Trace, first: int) -> None:
        """Put down the unbroken run that begins at `first` in one piece."""
        gap = trace.next is not None and trace.next != first
        head = trace.ahead[first]
        gap = gap or (
            trace.ends_at_us > 0 and abs(head.started_at_us - trace.ends_at_us) > _JUMP_US
        )
        run: list[EcgFrame] = []
        while (frame := trace.ahead.get(first + len(run))) is not None:
            if run and abs(frame.started_at_us - _ends_at_us(trace, run[-1])) > _JUMP_US:
                break
            run.append(frame)
        for frame in run:
            del trace.ahead[frame.sequence]
            at_us = frame.started_at_us
            if not trace.marks or abs(trace.at_us(trace.total) - at_us) > _STEADY_US:
                trace.marks.append((trace.total, at_us))
            trace.total += len(frame.payload) // 2
        trace.next = run[-1].sequence + 1
        trace.ends_at_us = _ends_at_us(trace, run[-1])
        samples = run[0].samples if len(run) == 1 else np.concatenate([one.samples for one in run])
        trace.pieces.append((samples, gap))

    def _speak(self, trace: _Trace, vitals: "EcgVitals", now_s: float) -> None:
        changed = (vitals.quality, vitals.reason) != trace.said
        if changed or now_s - trace.said_s >= _EVERY_S:
            said = (vitals.quality, vitals.reason)
            self._say(trace, now_s, *said, vitals.heart_rate_bpm, vitals.rhythm)

    def _say(  # noqa: PLR0917 - whose, when, what
        self,
        trace: _Trace,
        now_s: float,
        quality: Quality,
        reason: Reason | None,
        rate: float | None = None,
        rhythm: str | None = None,
    ) -> None:
        trace.said, trace.said_s = (quality, reason), now_s
        message = Vitals(
            stream=trace.header.stream,
            heart_rate_bpm=rate,
            quality=quality,
            reason=reason,
            at=_time(trace.ends_at_us),
            rhythm=rhythm,
        )
        self._show(trace.person_id, message, message.at)


def _load() -> None:
    """Load SciPy beside the start, not before it: it takes as long as all the rest."""
    importlib.import_module("devices.ecg.live")


def _analysis() -> "LiveEcg":
    from devices.ecg.live import LiveEcg  # noqa: PLC0415 - see _load

    return LiveEcg()


def _time(at_us: int) -> datetime:
    return _EPOCH + timedelta(microseconds=at_us)


def _ends_at_us(trace: _Trace, frame: EcgFrame) -> int:
    return frame.started_at_us + round(len(frame.payload) / 2 / trace.header.rate_hz * 1e6)
