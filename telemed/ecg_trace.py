"""A stretch of a stored ECG as one run of samples: what analysis and strips are made of.

Frames follow each other where their numbers do and their times nearly do; a gap is a gap, in the
length that the device's clock gives it, and no line is drawn across. Every sample has the time
that the frame it came in says.
"""

from bisect import bisect_right
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple
from uuid import UUID

import msgspec
import numpy as np
from numpy.typing import NDArray
from sqlalchemy.ext.asyncio import AsyncSession

from devices.frames import MAX_SAMPLES, MISSING, EcgFrame, decode
from people import audit
from people.policy import Act, Actor
from people.refused import FieldError, NotFound, Refused
from storage.objects import Objects
from telemed.ecg import EcgStreams, streams_of
from telemed.ecg_chunks import FoundFrames, find_frames, read_frames
from telemed.visits import Window, measured, thing

MAX_ANALYSED_S: Final = 600
# Ten minutes in frames of 50 ms: what is cut finer is asked for in shorter stretches.
MAX_FRAMES: Final = 12_000
# A frame begins at most so long before its last sample: 2000 of them at 100 Hz.
_LONGEST_FRAME: Final = timedelta(seconds=MAX_SAMPLES / 100)
# As for the live trace: a clock that is set right by less is no gap.
JUMP_US: Final = 500_000
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
Micros = int


class BadSpan(Refused):
    """A stretch that ends before it begins, is too long, or is cut too finely; errors: where."""

    status = 422
    code = "bad_ecg_span"

    def __init__(self, why: str, **params: int) -> None:
        super().__init__((FieldError("until_us", why, params),), **params)


class Span(NamedTuple):
    """From the first to before the last moment, unix microseconds by the device's clock."""

    from_us: Micros
    until_us: Micros


class Lead(msgspec.Struct, frozen=True, kw_only=True):
    """How the samples of a stream read: mV = (adc - baseline) / gain_per_mv."""

    name: str
    rate_hz: float
    gain_per_mv: float
    baseline: int


class Trace(msgspec.Struct, frozen=True, kw_only=True):
    """Samples on one axis; `marks` are (index, time) of each frame's first one, both rising."""

    lead: Lead
    samples: NDArray[np.int16]
    marks: tuple[tuple[int, Micros], ...]
    gaps: tuple[Span, ...]

    @property
    def millivolts(self) -> NDArray[np.float64]:
        """The samples in mV; NaN where there is none."""
        missing = self.samples == MISSING
        volts = (self.samples.astype(np.float64) - self.lead.baseline) / self.lead.gain_per_mv
        volts[missing] = np.nan
        return volts

    def at_us(self, sample: int) -> Micros:
        """When a sample was taken."""
        place = max(0, bisect_right(self.marks, (sample, 1 << 62)) - 1)
        index, at = self.marks[place]
        return at + round((sample - index) / self.lead.rate_hz * 1e6)


class FoundTrace(NamedTuple):
    """What the database says of a stretch; commit before the rest is read."""

    lead: Lead
    span: Span
    person_id: UUID
    organisation_id: UUID
    frames: FoundFrames


def require_span(span: Span, most_s: int) -> None:
    """Refuse (BadSpan) what is no stretch of at most so many seconds."""
    if span.until_us <= span.from_us:
        raise BadSpan("reversed")
    if span.until_us - span.from_us > most_s * 1_000_000:
        raise BadSpan("too_long", most_s=most_s)


async def find_trace(  # noqa: PLR0917 - who, where, from when to when
    db: AsyncSession, actor: Actor, visit_id: UUID, stream: UUID, span: Span, now: datetime
) -> FoundTrace:
    """Find a stretch of a stream of the visit, and record that it is read.

    Commit before `read_trace`. Raises NotFound, ConsentWithdrawn, KeyGone.
    """
    visit = await measured(db, actor, visit_id, now)
    purpose = audit.Purpose(Act.SEE_VISIT_ECG, thing(visit), now)
    query = (
        streams_of(visit)
        .with_only_columns(
            EcgStreams.lead, EcgStreams.rate_hz, EcgStreams.gain_per_mv, EcgStreams.baseline
        )
        .where(EcgStreams.stream == stream)
    )
    rows = await audit.read(db, actor, query, purpose)
    if not rows:
        raise NotFound
    row = rows[0]
    reach = Window(_time(span.from_us) - _LONGEST_FRAME, _time(span.until_us))
    frames = await find_frames(db, actor, visit_id, stream, -1, MAX_FRAMES + 1, now, within=reach)
    lead = Lead(
        name=row.lead,
        rate_hz=row.rate_hz,
        gain_per_mv=row.gain_per_mv,
        baseline=row.baseline,
    )
    return FoundTrace(lead, span, visit.patient_id, visit.organisation_id, frames)


async def read_trace(objects: Objects, found: FoundTrace) -> list[bytes]:
    """Read the frames of a stretch. Raises BadSpan for too many, ObjectsAway, DamagedChunk."""
    frames = await read_frames(objects, found.frames)
    if len(frames) > MAX_FRAMES:
        raise BadSpan("too_many_frames", most=MAX_FRAMES)
    return frames


def join(lead: Lead, frames: Sequence[bytes], span: Span) -> Trace:
    """Put frames side by side and cut them to the stretch."""
    pieces = [_cut(decode(one), lead.rate_hz, span) for one in frames]
    there = sorted((p for p in pieces if len(p.samples)), key=lambda one: (one.at_us, one.sequence))
    parts: list[NDArray[np.int16]] = []
    marks: list[tuple[int, Micros]] = []
    gaps: list[Span] = []
    count, ends_us, after = 0, 0, None
    for piece in there:
        samples, at_us = piece.samples, piece.at_us
        follows = piece.sequence == after and abs(at_us - ends_us) <= JUMP_US
        if parts and not follows:
            hole = round((at_us - ends_us) * lead.rate_hz / 1e6)
            if hole < 0:  # told of twice, by a clock that was set back: the first counts
                samples, at_us = samples[-hole:], ends_us
            elif hole > 0:
                gaps.append(Span(ends_us, at_us))
                parts.append(np.full(hole, MISSING, np.int16))
                count += hole
        if not len(samples):
            continue
        marks.append((count, at_us))
        parts.append(samples)
        count += len(samples)
        ends_us = at_us + round(len(samples) / lead.rate_hz * 1e6)
        after = piece.sequence + 1
    whole = np.concatenate(parts) if parts else np.empty(0, np.int16)
    return Trace(lead=lead, samples=whole, marks=tuple(marks), gaps=tuple(gaps))


class _Piece(NamedTuple):
    sequence: int
    at_us: Micros
    samples: NDArray[np.int16]


def _cut(frame: EcgFrame, rate_hz: float, span: Span) -> _Piece:
    """What of a frame lies in the stretch."""
    per_us = rate_hz / 1e6
    first = max(0, _up((span.from_us - frame.started_at_us) * per_us))
    last = max(first, _up((span.until_us - frame.started_at_us) * per_us))
    at_us = frame.started_at_us + round(first / per_us)
    return _Piece(frame.sequence, at_us, frame.samples[first:last])


def _up(place: float) -> int:
    """The next whole sample; times are whole microseconds, so a little beyond one is that one."""
    return int(np.ceil(place - 1e-3))


def _time(at_us: Micros) -> datetime:
    return _EPOCH + timedelta(microseconds=at_us)
