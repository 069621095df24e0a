"""ECG streams: a recorder announces one, then sends frames; every frame is stored exactly once.

Fresh frames are rows. A job moves those older than a minute into objects: one object per run of
consecutive sequences, so that "is this frame stored?" has an exact answer (telemed/ecg_chunks.py).
`last_sequence` of a stream is the highest sequence up to which every frame is stored; it is what
the recorder is told, and it drops what it was told.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID

import msgspec
from sqlalchemy import ForeignKey, Index, Select, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from devices.frames import EcgFrame, StreamHeader, encode
from people import audit
from people.device_tokens import ECG, Devices, KnownDevice
from people.facts import EcgFramesStored, EcgStreamOpened, emit
from people.organisations import Ref
from people.policy import Act, Actor, Thing, require
from people.refused import Forbidden, Refused
from storage.engine import Base, new_id
from telemed.ecg_runs import Counted, array, is_run, store_runs
from telemed.visits import Visits, measured, thing, window

# As for readings: a device's clock may be a little ahead, and a buffer may be old.
AHEAD_LIMIT = timedelta(minutes=10)
AGE_LIMIT = timedelta(days=365)
_AHEAD_US, _AGE_US = AHEAD_LIMIT / timedelta(microseconds=1), AGE_LIMIT / timedelta(microseconds=1)
_COUNTED = ("stream", "last", "most", "frames", "first_us", "last_us")


@audit.health_table
class EcgStreams(Base):
    """A recording that goes on as long as the recorder keeps its stream id."""

    __tablename__ = "ecg_streams"

    stream: Mapped[UUID] = mapped_column(primary_key=True)
    person_id: Mapped[UUID] = mapped_column(ForeignKey("persons.id"))
    device_id: Mapped[UUID] = mapped_column(ForeignKey("devices.id"))
    lead: Mapped[str]
    rate_hz: Mapped[float]
    gain_per_mv: Mapped[float]
    baseline: Mapped[int]
    opened_at: Mapped[datetime]
    # Device times of the earliest and latest first sample.
    started_at: Mapped[datetime | None]
    last_started_at: Mapped[datetime | None]
    # Every frame from 0 to last_sequence is stored; max_sequence is the highest that is.
    last_sequence: Mapped[int]
    max_sequence: Mapped[int]
    frames: Mapped[int]

    __table_args__ = (Index(None, "person_id", "last_started_at"),)


@audit.health_table
class EcgFrames(Base):
    """A frame that is not yet part of a chunk; `frame` is its encoding by devices/frames.py."""

    __tablename__ = "ecg_frames"

    stream: Mapped[UUID] = mapped_column(ForeignKey("ecg_streams.stream"), primary_key=True)
    sequence: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    started_at: Mapped[datetime]
    received_at: Mapped[datetime]
    frame: Mapped[bytes]


@audit.health_table
class EcgChunks(Base):
    """Frames first_sequence … last_sequence, every one of them, in one object."""

    __tablename__ = "ecg_chunks"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    stream: Mapped[UUID] = mapped_column(ForeignKey("ecg_streams.stream"))
    first_sequence: Mapped[int]
    last_sequence: Mapped[int]
    # Device times of the earliest and latest first sample.
    started_at: Mapped[datetime]
    last_started_at: Mapped[datetime]
    object_key: Mapped[str]
    size: Mapped[int]
    sha256: Mapped[bytes]
    created_at: Mapped[datetime]
    # None: a plain object from before objects were sealed. One that was sealed since leaves the
    # plain one's key here until that is deleted.
    sealed_at: Mapped[datetime | None]
    old_key: Mapped[str | None]
    # When the plain object was last missing or damaged, so that it could not be sealed.
    unread_at: Mapped[datetime | None]

    __table_args__ = (
        Index(None, "stream", "first_sequence", unique=True),
        Index("ix_ecg_chunks_plain", "id", postgresql_where=text("sealed_at IS NULL")),
        Index("ix_ecg_chunks_old", "sealed_at", postgresql_where=text("old_key IS NOT NULL")),
    )


class EcgStreamInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A stream as screens need it: mV = (adc - baseline) / gain_per_mv."""

    stream: UUID
    device: Ref
    lead: str
    rate_hz: float
    gain_per_mv: float
    baseline: int
    started_at: datetime
    last_sequence: int
    frames: int


class IncomingFrame(msgspec.Struct, frozen=True, gc=False):
    """A frame of an opened stream on its way to the store; and whose it is, where that is known."""

    frame: EcgFrame
    received_at: datetime
    person_id: UUID | None = None


class AppliedFrame(msgspec.Struct, frozen=True, gc=False):
    """The answer to one frame. `new` is False for a repeat; `last_sequence` is the stream's."""

    frame: EcgFrame
    new: bool
    person_id: UUID
    last_sequence: int


class StreamReused(Refused):
    """The stream id belongs to another device, or to a stream with another header."""

    status = 409
    code = "sequence_reused"


class FrameRefused(Refused):
    """A frame of no opened stream, or from an impossible time; params: `reason`."""

    status = 422
    code = "bad_measurement"


async def open_stream(
    db: AsyncSession, device: KnownDevice, header: StreamHeader, now: datetime
) -> EcgStreamInfo:
    """Announce a stream; announcing it again tells how far it is stored.

    Raises Forbidden for a device that is no ECG recorder and StreamReused for a taken id.
    """
    require(device.actor, Act.SEND_ECG, Thing(subject_id=device.person_id), now)
    if ECG not in device.kinds:
        raise Forbidden
    values = {
        "stream": header.stream,
        "person_id": device.person_id,
        "device_id": device.id,
        "lead": header.lead,
        "rate_hz": header.rate_hz,
        "gain_per_mv": header.gain_per_mv,
        "baseline": header.baseline,
    }
    counters = {"opened_at": now, "last_sequence": -1, "max_sequence": -1, "frames": 0}
    query = insert(EcgStreams).values(**values, **counters).on_conflict_do_nothing()
    written = query.returning(EcgStreams.stream)
    if await db.scalar(written, execution_options=audit.WRITE_PATH) is not None:
        emit(
            db,
            EcgStreamOpened(
                at=now, stream=header.stream, person_id=device.person_id, device_id=device.id
            ),
        )
    row = await db.get_one(
        EcgStreams,
        header.stream,
        populate_existing=True,
        execution_options=audit.WRITE_PATH,
    )
    if any(getattr(row, name) != value for name, value in values.items()):
        raise StreamReused
    return _info(row, device.name)


async def apply_frames(
    db: AsyncSession, batch: Sequence[IncomingFrame]
) -> list[AppliedFrame | Exception]:
    """Store a batch of frames; one answer an item, in order. For the ingest writer.

    Idempotent on (stream, sequence): of two frames with one number the first stays. Frames may come
    in any order; the caller has made sure that the device owns the stream (`open_stream`).
    """
    by_stream: dict[UUID, list[IncomingFrame]] = {}
    for item in batch:
        by_stream.setdefault(item.frame.stream, []).append(item)
    runs = {one: items for one, items in by_stream.items() if _may_be_run(items)}
    left = await store_runs(db, by_stream, runs)
    for stream in left:
        runs.pop(stream, None)
    _announce(db, runs)
    rest = [item for item in batch if item.frame.stream not in runs]
    answers = iter(await _apply_others(db, rest, left) if rest else ())
    return [
        AppliedFrame(item.frame, True, item.person_id, run[-1].frame.sequence)
        if (run := runs.get(item.frame.stream)) is not None and item.person_id is not None
        else next(answers)
        for item in batch
    ]


def _may_be_run(items: Sequence[IncomingFrame]) -> bool:
    return is_run(items) and all(
        item.person_id is not None and _why_refused(item) is None for item in items
    )


def _announce(db: AsyncSession, runs: Mapping[UUID, Sequence[IncomingFrame]]) -> None:
    for stream, items in runs.items():
        last = items[-1]
        if last.person_id is not None:
            emit(
                db,
                EcgFramesStored(
                    at=last.received_at,
                    stream=stream,
                    person_id=last.person_id,
                    last_sequence=last.frame.sequence,
                ),
            )


async def _apply_others(
    db: AsyncSession, batch: Sequence[IncomingFrame], locked: Mapping[UUID, Counted | None]
) -> list[AppliedFrame | Exception]:
    """Store what is no plain continuation: repeats, holes and their ends, refused frames."""
    streams = {one: row for one, row in locked.items() if row is not None}
    taken = await _chunked(db, streams.values())
    first: dict[tuple[UUID, int], IncomingFrame] = {}
    refused: dict[int, Exception] = {}
    for at, item in enumerate(batch):
        frame = item.frame
        stream = streams.get(frame.stream)
        if stream is None:
            refused[at] = FrameRefused(reason="unknown_stream")
            continue
        if (reason := _why_refused(item)) is not None:
            refused[at] = FrameRefused(reason=reason)
            continue
        if frame.sequence > stream.last_sequence and not any(
            low <= frame.sequence <= high for low, high in taken.get(frame.stream, ())
        ):
            first.setdefault((frame.stream, frame.sequence), item)
    stored = await _insert(db, list(first.values()))
    await _advance(db, streams, taken, [first[key] for key in stored])
    answers: list[AppliedFrame | Exception] = []
    for at, item in enumerate(batch):
        if at in refused:
            answers.append(refused[at])
            continue
        key = (item.frame.stream, item.frame.sequence)
        stream = streams[item.frame.stream]
        new = key in stored and first[key] is item
        answers.append(AppliedFrame(item.frame, new, stream.person_id, stream.last_sequence))
    return answers


async def visit_ecg(
    db: AsyncSession, actor: Actor, visit_id: UUID, now: datetime
) -> list[EcgStreamInfo]:
    """Streams of the visit's patient that reach into the visit's window, oldest first."""
    visit = await measured(db, actor, visit_id, now)
    purpose = audit.Purpose(Act.SEE_VISIT_ECG, thing(visit), now)
    rows = await audit.read(db, actor, streams_of(visit), purpose)
    return [_info(row, name) for row, name in rows]


def streams_of(visit: Visits) -> Select[EcgStreams, str]:
    """SQL: streams of the patient that reach into the visit's window."""
    since, until = window(visit)
    return (
        select(EcgStreams, Devices.name)
        .join(Devices, Devices.id == EcgStreams.device_id)
        .where(
            EcgStreams.person_id == visit.patient_id,
            EcgStreams.last_started_at >= since,
            EcgStreams.started_at <= until,
        )
        .order_by(EcgStreams.started_at, EcgStreams.stream)
        # The writer counts beside the ORM.
        .execution_options(populate_existing=True)
    )


async def _chunked(
    db: AsyncSession, streams: Iterable[Counted]
) -> dict[UUID, list[tuple[int, int]]]:
    """Ranges of chunks beyond last_sequence; only a stream with a hole can have any."""
    taken: dict[UUID, list[tuple[int, int]]] = defaultdict(list)
    holed = [row.stream for row in streams if row.max_sequence > row.last_sequence]
    if not holed:
        return taken
    query = (
        select(EcgChunks.stream, EcgChunks.first_sequence, EcgChunks.last_sequence)
        .join(EcgStreams, EcgStreams.stream == EcgChunks.stream)
        .where(EcgChunks.stream.in_(holed), EcgChunks.last_sequence > EcgStreams.last_sequence)
        .execution_options(**audit.WRITE_PATH)
    )
    for stream, low, high in (await db.execute(query)).all():
        taken[stream].append((low, high))
    return taken


def _why_refused(item: IncomingFrame) -> str | None:
    ahead_us = item.frame.started_at_us - item.received_at.timestamp() * 1e6
    if ahead_us > _AHEAD_US:
        return "from_future"
    return "too_old" if -ahead_us > _AGE_US else None


# Times travel as microseconds: PostgreSQL makes them cheaper than the driver does.
_INSERT = text("""
    INSERT INTO ecg_frames (stream, sequence, started_at, received_at, frame)
    SELECT stream, sequence, 'epoch'::timestamptz + started_us * interval '1 microsecond',
           received_at, frame
    FROM unnest(:stream ::uuid[], :sequence ::bigint[], :started_us ::bigint[],
                :received_at ::timestamptz[], :frame ::bytea[])
         AS new (stream, sequence, started_us, received_at, frame)
    ORDER BY stream, sequence
    ON CONFLICT (stream, sequence) DO NOTHING
    RETURNING stream, sequence
""")
_COUNT = text("""
    UPDATE ecg_streams AS old SET
        last_sequence = new.last, max_sequence = new.most, frames = old.frames + new.frames,
        started_at = least(old.started_at, 'epoch'::timestamptz + new.first_us * microsecond),
        last_started_at =
            greatest(old.last_started_at, 'epoch'::timestamptz + new.last_us * microsecond)
    FROM unnest(:stream ::uuid[], :last ::bigint[], :most ::bigint[], :frames ::bigint[],
                :first_us ::bigint[], :last_us ::bigint[])
         AS new (stream, last, most, frames, first_us, last_us),
         (SELECT interval '1 microsecond') AS unit (microsecond)
    WHERE old.stream = new.stream
""")


async def _insert(db: AsyncSession, items: Sequence[IncomingFrame]) -> set[tuple[UUID, int]]:
    if not items:
        return set()
    frames = [item.frame for item in items]
    columns = {
        "stream": array(frame.stream.hex for frame in frames),
        "sequence": array(str(frame.sequence) for frame in frames),
        "started_us": array(str(frame.started_at_us) for frame in frames),
        "received_at": array(f'"{item.received_at.isoformat()}"' for item in items),
        "frame": array(rf'"\\x{encode(frame).hex()}"' for frame in frames),
    }
    rows = await db.execute(_INSERT, columns, execution_options=audit.WRITE_PATH)
    return {(stream, sequence) for stream, sequence in rows.all()}


async def _advance(
    db: AsyncSession,
    streams: dict[UUID, Counted],
    taken: dict[UUID, list[tuple[int, int]]],
    stored: Sequence[IncomingFrame],
) -> None:
    """Move the counters of the streams that got new frames."""
    by_stream: dict[UUID, list[IncomingFrame]] = defaultdict(list)
    for item in stored:
        by_stream[item.frame.stream].append(item)
    columns: dict[str, list[str]] = {name: [] for name in _COUNTED}
    for stream_id, items in by_stream.items():
        row = streams[stream_id]
        numbers = [item.frame.sequence for item in items]
        ranges = [(number, number) for number in numbers]
        if row.max_sequence > row.last_sequence:
            ranges += taken[stream_id] + await _loose(db, row)
        row.last_sequence = contiguous(row.last_sequence, ranges)
        row.max_sequence = max(row.max_sequence, *numbers)
        times = [item.frame.started_at_us for item in items]
        values = (
            stream_id.hex,
            row.last_sequence,
            row.max_sequence,
            len(items),
            min(times),
            max(times),
        )
        for name, value in zip(_COUNTED, values, strict=True):
            columns[name].append(str(value))
        emit(
            db,
            EcgFramesStored(
                at=items[-1].received_at,
                stream=stream_id,
                person_id=row.person_id,
                last_sequence=row.last_sequence,
            ),
        )
    if by_stream:
        values_of = {name: array(column) for name, column in columns.items()}
        await db.execute(_COUNT, values_of, execution_options=audit.WRITE_PATH)


async def _loose(db: AsyncSession, row: Counted) -> list[tuple[int, int]]:
    """Rows beyond the first hole."""
    query = select(EcgFrames.sequence).where(
        EcgFrames.stream == row.stream, EcgFrames.sequence > row.last_sequence
    )
    found = await db.scalars(query, execution_options=audit.WRITE_PATH)
    return [(sequence, sequence) for sequence in found.all()]


def contiguous(last: int, ranges: Iterable[tuple[int, int]]) -> int:
    """Highest sequence up to which nothing is missing, given that nothing is up to `last`."""
    for low, high in sorted(ranges):
        if low > last + 1:
            break
        last = max(last, high)
    return last


def _info(row: EcgStreams, device_name: str) -> EcgStreamInfo:
    return EcgStreamInfo(
        stream=row.stream,
        device=Ref(row.device_id, device_name),
        lead=row.lead,
        rate_hz=row.rate_hz,
        gain_per_mv=row.gain_per_mv,
        baseline=row.baseline,
        started_at=row.started_at or row.opened_at,
        last_sequence=row.last_sequence,
        frames=row.frames,
    )
