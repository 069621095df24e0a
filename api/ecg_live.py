"""Heart rate and quality of the streams that arrive now, for whoever looks.

Frames come as stored, so after a break they come in order but late, and a bad link may swap a few:
up to five ahead are held, then the missing ones count as a gap. What is late for the live view is
not lost: pages read the trace itself from the stores.
"""

import asyncio
import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from uuid import UUID

import numpy as np

from api.socket_messages import Vitals
from devices.ecg.quality import Quality, Reason
from devices.frames import EcgFrame, StreamHeader

if TYPE_CHECKING:
    from devices.ecg.stream import EcgStream

HELD_AHEAD = 5
SILENT_S = 3.0
FORGOTTEN_S = 600.0
_EVERY_S = 1.0
_JUMP_US = 500_000

_STOPPED = (Quality.NO_SIGNAL, None)


@dataclass(slots=True)
class _Trace:
    person_id: UUID
    header: StreamHeader
    analysis: "EcgStream"
    next: int | None = None
    ends_at_us: int = 0
    ahead: dict[int, EcgFrame] = field(default_factory=dict)
    heard_s: float = 0.0
    said_s: float = 0.0
    open: bool = True
    said: tuple[Quality, Reason | None] | None = None


class EcgLive:
    """One causal analysis a stream; `show(person, vitals)` gets each message."""

    def __init__(self, show: Callable[[UUID, Vitals], None]) -> None:
        self._show = show
        self._traces: dict[UUID, _Trace] = {}
        # Whoever opens a stream waits for this: an import in the loop would hold up everybody.
        self.loaded = asyncio.Event()

    def open(self, person_id: UUID, header: StreamHeader) -> None:
        """A recorder said how its stream reads; a stream taken up again keeps its state."""
        trace = self._traces.get(header.stream)
        if trace is None or trace.header != header:
            trace = self._traces[header.stream] = _Trace(person_id, header, _analysis(header))
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
        for stream in dict.fromkeys(frame.stream for frame in frames):
            trace = self._traces.get(stream)
            if trace is not None:
                trace.heard_s = now_s
                self._feed(trace, [frame for frame in frames if frame.stream == stream])
                self._speak(trace, now_s)

    def tick(self, now_s: float) -> None:
        """Once a second: say where a signal has stopped, forget what is long silent."""
        for stream, trace in list(self._traces.items()):
            silent_s = now_s - trace.heard_s
            if trace.next is not None and silent_s > SILENT_S and trace.said != _STOPPED:
                self._say(trace, now_s, None, *_STOPPED)
            if silent_s > FORGOTTEN_S and not trace.open:
                del self._traces[stream]

    async def run(self) -> None:
        """Load the analysis, then tick until cancelled."""
        await asyncio.to_thread(_load)
        self.loaded.set()
        while True:
            await asyncio.sleep(_EVERY_S)
            self.tick(asyncio.get_running_loop().time())

    def _feed(self, trace: _Trace, frames: Sequence[EcgFrame]) -> None:
        for frame in frames:
            if trace.next is None or frame.sequence >= trace.next:
                trace.ahead[frame.sequence] = frame
        while trace.ahead:
            first = min(trace.ahead)
            if trace.next not in (None, first) and len(trace.ahead) <= HELD_AHEAD:
                return
            self._run(trace, first)

    def _run(self, trace: _Trace, first: int) -> None:
        """Push the unbroken run that begins at `first` in one piece."""
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
        trace.next = run[-1].sequence + 1
        trace.ends_at_us = _ends_at_us(trace, run[-1])
        trace.analysis.push(np.concatenate([frame.samples for frame in run]), gap=gap)

    def _speak(self, trace: _Trace, now_s: float) -> None:
        vitals = trace.analysis.vitals()
        changed = (vitals.quality, vitals.reason) != trace.said
        if trace.next is not None and (changed or now_s - trace.said_s >= _EVERY_S):
            self._say(trace, now_s, vitals.heart_rate_bpm, vitals.quality, vitals.reason)

    def _say(
        self,
        trace: _Trace,
        now_s: float,
        rate: float | None,
        quality: Quality,
        reason: Reason | None,
    ) -> None:
        trace.said, trace.said_s = (quality, reason), now_s
        message = Vitals(
            stream=trace.header.stream,
            heart_rate_bpm=rate,
            quality=quality,
            reason=reason,
            at=datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=trace.ends_at_us),
        )
        self._show(trace.person_id, message)


def _load() -> None:
    """Load SciPy beside the start, not before it: it takes as long as all the rest."""
    importlib.import_module("devices.ecg.stream")


def _analysis(header: StreamHeader) -> "EcgStream":
    from devices.ecg.stream import EcgStream  # noqa: PLC0415 - see _load

    return EcgStream(header)


def _ends_at_us(trace: _Trace, frame: EcgFrame) -> int:
    return frame.started_at_us + round(len(frame.payload) / 2 / trace.header.rate_hz * 1e6)
