"""ECG frames at rest: rows older than a minute become objects, and both are read as one.

Object first, row second: the object is put, then one transaction inserts the chunk and deletes the
rows. Dying in between leaves an object nobody points to and rows that are moved at the next run.
With the object store away frames simply stay rows.

An object is frames in the order of sequence, each behind its length (u32, little endian), sealed
under the patient's key (storage/sealed_objects.py). Objects from before that are plain until
`telemed.seal_chunks` has been there, and are read all the same.
"""

import hashlib
import struct
from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from itertools import pairwise
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import Select, delete, exists, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from devices.frames import decode
from people import audit
from people.policy import Act, Actor
from people.refused import NotFound
from storage.data_keys import CannotOpen, DataKey, KeyGone, key_of, keys_of
from storage.engine import new_id
from storage.jobs import Work, enqueue, job
from storage.objects import ObjectMissing, Objects, ObjectsError
from storage.sealed_objects import put_sealed, read_whole
from telemed.ecg import EcgChunks, EcgFrames, EcgStreams, streams_of
from telemed.visits import Window, measured, thing, window

CHUNK_AFTER = timedelta(seconds=60)
CHUNK_FRAMES = 600  # two minutes of a usual recorder, about 100 kB
# Runs moved in one transaction: what is left waits for the next run of the job.
CHUNKS_AT_ONCE = 20
# Old plain objects sealed by one run, and how long each stays for a backup that began before.
SEALED_AT_ONCE = 50
OLD_KEPT = timedelta(days=1)
# When an object that could not be read is asked for once more.
TRIED_AGAIN = timedelta(days=1)
_LENGTH = struct.Struct("<I")


class ChunkTaken(Exception):  # noqa: N818 - a fact: somebody else moved these frames meanwhile
    """Another run moved the same frames; this transaction has to be rolled back."""


class DamagedChunk(Exception):  # noqa: N818 - named as the fact it states
    """An object is not what was put there: better no trace than a wrong one."""


class OldFrame(NamedTuple):
    """A row that is to be moved."""

    sequence: int
    frame: bytes
    started_at: datetime


@job("telemed.chunk_due", cron="* * * * *")
async def chunk_due(work: Work) -> None:
    """Ask for a run over every stream that has frames old enough."""
    for stream in await due_streams(work.db, work.now):
        await enqueue(
            work.db, "telemed.chunk_stream", once=f"chunk {stream.hex}", stream=stream.hex
        )


@job("telemed.chunk_stream")
async def chunk_one(work: Work, stream: str) -> None:
    """Move the old frames of one stream."""
    await chunk_stream(work.db, work.objects, UUID(stream), work.now)


async def due_streams(db: AsyncSession, now: datetime) -> list[UUID]:
    """Streams with frames old enough to be moved."""
    old = exists().where(
        EcgFrames.stream == EcgStreams.stream, EcgFrames.received_at < now - CHUNK_AFTER
    )
    query = select(EcgStreams.stream).where(old)
    return list((await db.scalars(query, execution_options=audit.WRITE_PATH)).all())


async def chunk_stream(db: AsyncSession, objects: Objects, stream: UUID, now: datetime) -> int:
    """Move frames older than a minute into objects; give how many. A repeated run is harmless.

    Raises ObjectsAway (nothing is moved) and ChunkTaken.
    """
    query = (
        select(EcgFrames.sequence, EcgFrames.frame, EcgFrames.started_at)
        .where(EcgFrames.stream == stream, EcgFrames.received_at < now - CHUNK_AFTER)
        .order_by(EcgFrames.sequence)
        .limit(CHUNK_FRAMES * CHUNKS_AT_ONCE)
        .execution_options(**audit.WRITE_PATH)
    )
    frames = [OldFrame(*row) for row in (await db.execute(query)).all()]
    if not frames:
        return 0
    of = select(EcgStreams.person_id).where(EcgStreams.stream == stream)
    person_id = (await db.execute(of, execution_options=audit.WRITE_PATH)).scalar_one()
    key = await key_of(db, person_id, now)
    chunks: list[tuple[EcgChunks, int]] = []
    try:
        for run in list(runs(frames))[:CHUNKS_AT_ONCE]:
            chunks.append((_chunk(stream, run, now), len(run)))
            await _put(objects, chunks[-1][0], pack(one.frame for one in run), key)
        # Only now wait for the writer: no lock is held while the object store is asked.
        lock = select(EcgStreams.stream).where(EcgStreams.stream == stream).with_for_update()
        await db.execute(lock, execution_options=audit.WRITE_PATH)
        for chunk, count in chunks:
            await _swap(db, chunk, count)
    except Exception:
        for chunk, _ in chunks:
            with suppress(ObjectsError):
                await objects.delete(chunk.object_key)
        raise
    return sum(count for _, count in chunks)


def _chunk(stream: UUID, run: Sequence[OldFrame], now: datetime) -> EcgChunks:
    """Make the row of a run. Its object is its own: a run that loses overwrites nobody's."""
    row_id, first, last = new_id(), run[0].sequence, run[-1].sequence
    return EcgChunks(
        id=row_id,
        stream=stream,
        first_sequence=first,
        last_sequence=last,
        started_at=min(one.started_at for one in run),
        last_started_at=max(one.started_at for one in run),
        object_key=f"ecg/{stream}/{first}-{last}-{row_id}",
        created_at=now,
        sealed_at=now,
    )


async def _put(objects: Objects, chunk: EcgChunks, data: bytes, key: DataKey) -> None:
    stored = await put_sealed(objects, chunk.object_key, data, key, _about(chunk.object_key))
    chunk.size, chunk.sha256 = stored.size, stored.sha256


def _about(object_key: str) -> bytes:
    return f"ecg_chunks.object:{object_key}".encode()


async def _swap(db: AsyncSession, chunk: EcgChunks, count: int) -> None:
    """Put the chunk in the place of exactly its rows."""
    gone = await db.scalars(
        delete(EcgFrames)
        .where(
            EcgFrames.stream == chunk.stream,
            EcgFrames.sequence.between(chunk.first_sequence, chunk.last_sequence),
        )
        .returning(EcgFrames.sequence)
        .execution_options(synchronize_session=False, **audit.WRITE_PATH)
    )
    if len(gone.all()) != count:
        raise ChunkTaken(chunk.object_key)
    db.add(chunk)
    await db.flush()


class FoundChunk(NamedTuple):
    """An object to be read, and the key that opens it: none for a plain one."""

    object_key: str
    sha256: bytes
    key: DataKey | None


class FoundFrames(NamedTuple):
    """What the database says of the frames asked for: rows whole, objects by key."""

    after: int
    limit: int
    window: Window
    rows: dict[int, bytes]
    chunks: list[FoundChunk]


async def find_frames(  # noqa: PLR0917 - store, who, what, from where: all of them each time
    db: AsyncSession,
    actor: Actor,
    visit_id: UUID,
    stream: UUID,
    after: int,
    limit: int,
    now: datetime,
    within: Window | None = None,
) -> FoundFrames:
    """Find frames above sequence `after`, of the visit's window, and record that they are read.

    `within`: those only that begin then.

    Commit before `read_frames`: no connection or lock is held while the object store is asked.
    Raises NotFound for a stream that does not belong to the visit, KeyGone.
    """
    visit = await measured(db, actor, visit_id, now)
    purpose = audit.Purpose(Act.SEE_VISIT_ECG, thing(visit), now)
    of_visit = streams_of(visit).with_only_columns(EcgStreams.stream)
    known = of_visit.where(EcgStreams.stream == stream).order_by(None)
    if not await audit.read(db, actor, known, purpose):
        raise NotFound
    # Rows first: a frame that is moved between the two reads is then seen twice, never missed.
    times = window(visit)
    if within is not None:
        times = Window(max(times.since, within.since), min(times.until, within.until))
    rows = await audit.read(db, actor, _rows(times, stream, after, limit), purpose)
    chunks = await audit.read(db, actor, _chunks(times, stream, after, limit), purpose)
    key = (await keys_of(db, [visit.patient_id])).get(visit.patient_id) if chunks else None
    if key is None and any(chunk.sealed_at is not None for chunk in chunks):
        raise KeyGone(visit.patient_id)
    return FoundFrames(
        after,
        limit,
        times,
        {row.sequence: row.frame for row in rows},
        [
            FoundChunk(one.object_key, one.sha256, None if one.sealed_at is None else key)
            for one in chunks
        ],
    )


async def read_frames(objects: Objects, found: FoundFrames) -> list[bytes]:
    """At most `limit` of the frames found, in order, each once. Raises ObjectsAway."""
    frames = found.rows.copy()
    since, until = found.window
    chunked = 0
    for chunk in found.chunks:
        if chunked >= found.limit:
            break
        for frame in unpack(await read_chunk(objects, chunk)):
            decoded = decode(frame)
            if decoded.sequence > found.after and since <= decoded.started_at <= until:
                frames[decoded.sequence] = frame
                chunked += 1
    return [frames[sequence] for sequence in sorted(frames)[: found.limit]]


async def read_chunk(objects: Objects, chunk: FoundChunk) -> bytes:
    """Give the frames of an object, sealed or not. Raises ObjectsAway, DamagedChunk."""
    if chunk.key is not None:
        try:
            return await read_whole(objects, chunk.object_key, chunk.key, _about(chunk.object_key))
        except CannotOpen as error:
            raise DamagedChunk(chunk.object_key) from error
    data = await objects.get(chunk.object_key)
    if hashlib.sha256(data).digest() != chunk.sha256:
        raise DamagedChunk(chunk.object_key)
    return data


@job("telemed.seal_chunks", cron="*/5 * * * *")
async def seal_chunks(work: Work) -> None:
    """Seal some objects that are still plain.

    The sealed object is another one: until its row is committed the plain one is what counts. One
    that is missing or damaged keeps nobody's else from being sealed; it is tried again a day later.
    """
    db = work.db
    untried = or_(EcgChunks.unread_at.is_(None), EcgChunks.unread_at < work.now - TRIED_AGAIN)
    query = (
        select(EcgChunks, EcgStreams.person_id)
        .join(EcgStreams, EcgStreams.stream == EcgChunks.stream)
        .where(EcgChunks.sealed_at.is_(None), untried)
        .order_by(EcgChunks.id)
        .limit(SEALED_AT_ONCE)
        .with_for_update(of=EcgChunks, skip_locked=True)
    )
    for chunk, person_id in (await db.execute(query, execution_options=audit.WRITE_PATH)).all():
        plain = chunk.object_key
        try:
            key = await key_of(db, person_id, work.now)
            data = await read_chunk(work.objects, FoundChunk(plain, chunk.sha256, None))
        except KeyGone:
            # Erased: the row stays, unreadable as a sealed one, its object goes.
            chunk.old_key, chunk.sealed_at = plain, work.now
            continue
        except (ObjectMissing, DamagedChunk):
            chunk.unread_at = work.now
            continue
        chunk.object_key = f"{plain}-{chunk.id}"
        await _put(work.objects, chunk, data, key)
        chunk.old_key, chunk.sealed_at = plain, work.now
    await db.flush()


@job("telemed.delete_plain_chunks", cron="2-59/5 * * * *")
async def delete_plain_chunks(work: Work) -> None:
    """Delete plain objects that were sealed a day ago."""
    old = (
        select(EcgChunks)
        .where(EcgChunks.old_key.is_not(None), EcgChunks.sealed_at < work.now - OLD_KEPT)
        .limit(SEALED_AT_ONCE)
        .with_for_update(skip_locked=True)
    )
    for chunk in (await work.db.scalars(old, execution_options=audit.WRITE_PATH)).all():
        await work.objects.delete(str(chunk.old_key))
        chunk.old_key = None
    await work.db.flush()


async def forget_plain_chunks(work: Work, person_id: UUID) -> None:
    """Delete an erased person's plain objects at once: no destroyed key closes them."""
    query = (
        select(EcgChunks)
        .join(EcgStreams, EcgStreams.stream == EcgChunks.stream)
        .where(EcgStreams.person_id == person_id)
        .where(or_(EcgChunks.sealed_at.is_(None), EcgChunks.old_key.is_not(None)))
        .order_by(EcgChunks.id)
        .with_for_update(of=EcgChunks)
    )
    for chunk in (await work.db.scalars(query, execution_options=audit.WRITE_PATH)).all():
        await work.objects.delete(chunk.old_key or chunk.object_key)
        # A row that says sealed, and whose key is destroyed: it reads as gone.
        chunk.old_key, chunk.sealed_at = None, chunk.sealed_at or work.now
    await work.db.flush()


def _rows(times: Window, stream: UUID, after: int, limit: int) -> Select[int, bytes]:
    return (
        select(EcgFrames.sequence, EcgFrames.frame)
        .where(
            EcgFrames.stream == stream,
            EcgFrames.sequence > after,
            EcgFrames.started_at.between(*times),
        )
        .order_by(EcgFrames.sequence)
        .limit(limit)
    )


def _chunks(
    times: Window, stream: UUID, after: int, limit: int
) -> Select[str, bytes, datetime | None]:
    """Chunks that may hold the next `limit` frames: each holds at least one of the window."""
    since, until = times
    return (
        select(EcgChunks.object_key, EcgChunks.sha256, EcgChunks.sealed_at)
        .where(
            EcgChunks.stream == stream,
            EcgChunks.last_sequence > after,
            EcgChunks.last_started_at >= since,
            EcgChunks.started_at <= until,
        )
        .order_by(EcgChunks.first_sequence)
        .limit(limit)
    )


def runs(frames: Sequence[OldFrame]) -> Iterable[list[OldFrame]]:
    """Cut frames, in order of sequence, into runs without a hole, of bounded length."""
    run = list(frames[:1])
    for before, here in pairwise(frames):
        if here.sequence != before.sequence + 1 or len(run) == CHUNK_FRAMES:
            yield run
            run = []
        run.append(here)
    if run:
        yield run


def pack(frames: Iterable[bytes]) -> bytes:
    """Join frames, each behind its length."""
    return b"".join(_LENGTH.pack(len(frame)) + frame for frame in frames)


def unpack(data: bytes) -> Iterable[bytes]:
    """Cut what `pack` joined."""
    at = 0
    while at < len(data):
        (length,) = _LENGTH.unpack_from(data, at)
        at += _LENGTH.size
        yield data[at : at + length]
        at += length
