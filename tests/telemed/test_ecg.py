"""ECG frames: each stored once, acknowledged without holes, served in order from rows and objects."""

import asyncio
import hashlib
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID, uuid4

import msgspec
import numpy as np
import pytest
from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from devices.frames import StreamHeader, decode, encode, frame_of
from people import facts
from people.audit import WRITE_PATH, AuditReads
from people.refused import Forbidden, NotFound
from storage.data_keys import KeyGone, destroy, key_of
from storage.jobs import Work
from storage.objects import Objects, ObjectsAway
from storage.s3 import S3Objects
from storage.settings import S3Place, Settings
from telemed.ecg import (
    AppliedFrame,
    EcgChunks,
    EcgFrames,
    FrameRefused,
    IncomingFrame,
    StreamReused,
    apply_frames,
    open_stream,
    visit_ecg,
)
from telemed.ecg_chunks import (
    CHUNK_FRAMES,
    ChunkTaken,
    DamagedChunk,
    chunk_due,
    chunk_one,
    chunk_stream,
    delete_plain_chunks,
    due_streams,
    find_frames,
    pack,
    read_frames,
    seal_chunks,
)
from telemed.visits import close_visit
from tests.telemed.clinic_house import NOW, House, furnish

MINUTE = timedelta(minutes=1)
LATER = NOW + 5 * MINUTE


def header(stream: UUID) -> StreamHeader:
    return StreamHeader(stream=stream, rate_hz=360, gain_per_mv=200, baseline=1024, lead="MLII")


def frame(stream: UUID, sequence: int, at: datetime = NOW, shift: int = 0) -> IncomingFrame:
    started = at + timedelta(milliseconds=200 * sequence)
    samples = np.arange(72, dtype=np.int16) + sequence + shift
    us = int(started.timestamp() * 1_000_000)
    return IncomingFrame(frame_of(stream, sequence, us, samples), at)


@pytest.fixture
async def stream(db: AsyncSession, house: House) -> UUID:
    """A stream of the patient's recorder, without frames."""
    return (await open_stream(db, house.recorder, header(uuid4()), NOW)).stream


async def send(db: AsyncSession, stream: UUID, *sequences: int, at: datetime = NOW) -> list[int]:
    """Send frames; give the acknowledgements."""
    answers = await apply_frames(db, [frame(stream, one, at) for one in sequences])
    return [one.last_sequence for one in answers if isinstance(one, AppliedFrame)]


async def served(
    db: AsyncSession,
    objects: Objects,
    house: House,
    stream: UUID,
    *,
    after: int = -1,
    limit: int = 600,
) -> list[int]:
    doctor = await house.as_(db, house.doctor, LATER)
    found = await find_frames(db, doctor, house.visit, stream, after, limit, LATER)
    return [decode(one).sequence for one in await read_frames(objects, found)]


async def rows(db: AsyncSession) -> int:
    query = select(func.count()).select_from(EcgFrames)
    return await db.scalar(query, execution_options=WRITE_PATH) or 0


async def chunks(db: AsyncSession) -> list[tuple[int, int]]:
    query = select(EcgChunks.first_sequence, EcgChunks.last_sequence)
    return [
        (low, high) for low, high in (await db.execute(query, execution_options=WRITE_PATH)).all()
    ]


async def test_announcing_a_stream_again_tells_how_far_it_is_stored(
    db: AsyncSession, house: House, stream: UUID
) -> None:
    """And is announced to others once."""
    await send(db, stream, 0, 1, 2)
    facts.take(db)
    again = await open_stream(db, house.recorder, header(stream), LATER)
    assert (again.last_sequence, again.frames, again.started_at) == (2, 3, NOW)
    assert facts.take(db) == []


async def test_a_stream_id_is_of_one_device_and_one_header(
    db: AsyncSession, house: House, stream: UUID
) -> None:
    """Neither taken over nor changed."""
    other = msgspec.structs.replace(house.cuff, kinds=("ecg",))
    with pytest.raises(StreamReused) as refused:
        await open_stream(db, other, header(stream), NOW)
    assert (refused.value.status, refused.value.code) == (409, "sequence_reused")
    changed = msgspec.structs.replace(header(stream), rate_hz=250)
    with pytest.raises(StreamReused):
        await open_stream(db, house.recorder, changed, NOW)


async def test_a_cuff_opens_no_stream(db: AsyncSession, house: House) -> None:
    """Only what was registered as an ECG recorder."""
    with pytest.raises(Forbidden):
        await open_stream(db, house.cuff, header(uuid4()), NOW)


async def test_frames_are_acknowledged_without_holes(
    db: AsyncSession, house: House, stream: UUID, objects: Objects
) -> None:
    """A frame beyond a hole is stored, and acknowledged when the hole is filled."""
    assert await send(db, stream, 0, 1) == [1, 1]
    assert await send(db, stream, 4, 3) == [1, 1]
    assert await send(db, stream, 6) == [1]
    assert await send(db, stream, 2) == [4]
    assert await send(db, stream, 5) == [6]
    assert await served(db, objects, house, stream) == list(range(7))


async def test_a_repeated_frame_is_stored_once_and_acknowledged_again(
    db: AsyncSession, house: House, stream: UUID, objects: Objects
) -> None:
    """The first one stays, also against another content."""
    batch = [frame(stream, 0), frame(stream, 0), frame(stream, 1), frame(stream, 3)]
    first = [one for one in await apply_frames(db, batch) if isinstance(one, AppliedFrame)]
    assert [one.new for one in first] == [True, False, True, True]
    again = [frame(stream, 0, shift=9), frame(stream, 1), frame(stream, 3, shift=9)]
    facts.take(db)
    second = [one for one in await apply_frames(db, again) if isinstance(one, AppliedFrame)]
    assert [(one.new, one.last_sequence) for one in second] == [(False, 1)] * 3
    assert facts.take(db) == []
    assert await rows(db) == 3
    doctor = await house.as_(db, house.doctor)
    found = await find_frames(db, doctor, house.visit, stream, -1, 9, NOW)
    assert await read_frames(objects, found) == [encode(frame(stream, n).frame) for n in (0, 1, 3)]


async def test_impossible_frames_are_refused_one_by_one(db: AsyncSession, stream: UUID) -> None:
    """Of an unknown stream, from the future, from long ago; the others are stored."""
    old = IncomingFrame(frame(stream, 1, NOW - timedelta(days=400)).frame, NOW)
    ahead = IncomingFrame(frame(stream, 1, NOW + timedelta(minutes=11)).frame, NOW)
    batch = [frame(uuid4(), 0), old, ahead, frame(stream, 0)]
    *refused, stored = await apply_frames(db, batch)
    reasons = [one.params["reason"] for one in refused if isinstance(one, FrameRefused)]
    assert reasons == ["unknown_stream", "too_old", "from_future"]
    assert isinstance(stored, AppliedFrame)
    assert await rows(db) == 1


async def test_an_empty_batch_is_answered_with_nothing(db: AsyncSession) -> None:
    """And asks the store nothing."""
    assert await apply_frames(db, []) == []


async def test_old_frames_move_into_an_object_and_are_served_as_before(
    db: AsyncSession, house: House, stream: UUID, objects: Objects
) -> None:
    """Rows and objects make one series; a second run moves nothing."""
    await send(db, stream, *range(10))
    await send(db, stream, *range(10, 15), at=LATER - MINUTE)
    assert await due_streams(db, NOW + MINUTE) == []
    assert stream in await due_streams(db, LATER)
    assert await chunk_stream(db, objects, stream, LATER) == 10
    assert await chunks(db) == [(0, 9)]
    assert await rows(db) == 5
    (key,) = await objects.keys(f"ecg/{stream}/0-9")
    assert encode(frame(stream, 0).frame)[16:] not in await objects.get(key)
    assert await served(db, objects, house, stream) == list(range(15))
    assert await served(db, objects, house, stream, after=6, limit=5) == [7, 8, 9, 10, 11]
    assert await served(db, objects, house, stream, after=9) == list(range(10, 15))
    assert await served(db, objects, house, stream, limit=3) == [0, 1, 2]
    assert await chunk_stream(db, objects, stream, LATER) == 0


async def test_a_chunk_is_a_run_without_holes_and_of_bounded_length(
    db: AsyncSession, house: House, stream: UUID, objects: Objects
) -> None:
    """So that whether a frame is stored has an exact answer."""
    many = [*range(CHUNK_FRAMES + 2), CHUNK_FRAMES + 5]
    await send(db, stream, *many)
    assert await chunk_stream(db, objects, stream, LATER) == len(many)
    end = CHUNK_FRAMES
    assert sorted(await chunks(db)) == [(0, end - 1), (end, end + 1), (end + 5, end + 5)]
    assert await served(db, objects, house, stream, limit=1000) == many
    assert await served(db, objects, house, stream, after=end - 2, limit=2) == [end - 1, end]


async def test_a_frame_that_comes_after_its_neighbours_were_moved_is_stored_and_served(
    db: AsyncSession, house: House, stream: UUID, objects: Objects
) -> None:
    """Once: repeats of moved frames beyond the hole are known too."""
    await send(db, stream, 0, 1, 3, 4)
    await chunk_stream(db, objects, stream, LATER)
    assert await send(db, stream, 3, 4, 5) == [1, 1, 1]
    assert await rows(db) == 1
    assert await send(db, stream, 2) == [5]
    assert await served(db, objects, house, stream) == list(range(6))
    assert await chunk_stream(db, objects, stream, LATER + MINUTE * 5) == 2
    assert await served(db, objects, house, stream) == list(range(6))
    again = await open_stream(db, house.recorder, header(stream), LATER)
    assert (again.frames, again.last_sequence) == (6, 5)


async def test_with_the_object_store_away_frames_stay_rows(
    db: AsyncSession, house: House, stream: UUID, objects: Objects, stores: Settings
) -> None:
    """Nothing is lost, and the next run moves them."""
    await send(db, stream, 0, 1)
    nobody = S3Place("http://127.0.0.1:9", stores.s3_access_key, stores.s3_secret_key)
    away = S3Objects(replace(stores, outside_objects=nobody))
    with pytest.raises(ObjectsAway):
        await chunk_stream(db, away, stream, LATER)
    assert await rows(db) == 2
    assert await served(db, away, house, stream) == [0, 1]
    assert await chunk_stream(db, objects, stream, LATER) == 2
    with pytest.raises(ObjectsAway):
        await served(db, away, house, stream)


async def test_a_damaged_object_is_an_error_and_no_trace(
    db: AsyncSession, house: House, stream: UUID, objects: Objects
) -> None:
    """Better none than a wrong one."""
    await send(db, stream, 0, 1)
    await chunk_stream(db, objects, stream, LATER)
    (key,) = await objects.keys(f"ecg/{stream}/0-1")
    await objects.put(key, (await objects.get(key))[:-2] + b"\0\0")
    with pytest.raises(DamagedChunk):
        await served(db, objects, house, stream)


async def test_a_run_that_dies_after_the_object_is_repeated_harmlessly(
    engine: AsyncEngine, objects: Objects
) -> None:
    """The object is there, the rows too; the next run puts one of its own and swaps."""
    async with AsyncSession(engine) as db, db.begin():
        house = await furnish(db)
        stream = (await open_stream(db, house.recorder, header(uuid4()), NOW)).stream
        await send(db, stream, 0, 1, 2)
    async with AsyncSession(engine) as db:
        await chunk_stream(db, objects, stream, LATER)
        await db.rollback()
    assert len(await objects.keys(f"ecg/{stream}/0-2")) == 1
    async with AsyncSession(engine) as db, db.begin():
        assert await rows(db) == 3
        assert await chunk_stream(db, objects, stream, LATER) == 3
    async with AsyncSession(engine) as db:
        assert await served(db, objects, house, stream) == [0, 1, 2]


async def test_of_two_runs_at_once_one_moves_the_frames(
    engine: AsyncEngine, objects: Objects
) -> None:
    """The other finds them gone and gives way."""
    async with AsyncSession(engine) as db, db.begin():
        house = await furnish(db)
        stream = (await open_stream(db, house.recorder, header(uuid4()), NOW)).stream
        await send(db, stream, *range(20))
        # Or the first run made it, and the second waited for it instead of putting.
        await key_of(db, house.patient, NOW)
    both = asyncio.Barrier(2)

    class Together:
        """The store, but nobody goes on before both have put."""

        def __getattr__(self, name: str) -> object:
            return getattr(objects, name)

        async def put(self, key: str, data: bytes) -> None:
            await objects.put(key, data)
            await both.wait()

    async def run() -> int:
        async with AsyncSession(engine) as db, db.begin():
            try:
                return await chunk_stream(db, Together(), stream, LATER)  # type: ignore[arg-type]
            except ChunkTaken:
                await db.rollback()
                return -1

    assert sorted(await asyncio.gather(run(), run())) == [-1, 20]
    async with AsyncSession(engine) as db:
        assert await chunks(db) == [(0, 19)]
        assert await served(db, objects, house, stream) == list(range(20))


async def test_the_job_finds_old_frames_and_moves_them(
    settings: Settings, engine: AsyncEngine, objects: Objects
) -> None:
    """One job a stream."""
    async with AsyncSession(engine) as db, db.begin():
        house = await furnish(db)
        stream = (await open_stream(db, house.recorder, header(uuid4()), NOW)).stream
        await send(db, stream, 0, 1)
    async with AsyncSession(engine) as db, db.begin():
        await chunk_due(Work(db, objects, settings, LATER))
        await chunk_one(Work(db, objects, settings, LATER), stream.hex)
    async with AsyncSession(engine) as db:
        assert await chunks(db) == [(0, 1)]


async def test_the_visit_lists_its_streams_and_serves_its_window_only(
    db: AsyncSession, house: House, stream: UUID, objects: Objects
) -> None:
    """What was recorded after the closing is the patient's, not the visit's."""
    await send(db, stream, *range(8))
    silent = await open_stream(db, house.recorder, header(uuid4()), NOW)
    doctor = await house.as_(db, house.doctor)
    [listed] = await visit_ecg(db, doctor, house.visit, NOW)
    assert (listed.stream, listed.device.name, listed.lead) == (stream, "Регистратор", "MLII")
    assert (listed.started_at, listed.last_sequence, listed.frames) == (NOW, 7, 8)
    assert silent.stream != stream
    closed = NOW + timedelta(milliseconds=900)
    await close_visit(db, doctor, house.visit, closed)
    assert await served(db, objects, house, stream) == [0, 1, 2, 3, 4]
    await chunk_stream(db, objects, stream, LATER)
    assert await served(db, objects, house, stream) == [0, 1, 2, 3, 4]
    assert [
        one.stream
        for one in await visit_ecg(db, await house.as_(db, house.patient), house.visit, LATER)
    ] == [stream]


@pytest.mark.parametrize("who", ["colleague", "foreign_doctor", "other_patient", "administrator"])
async def test_a_stranger_gets_neither_streams_nor_frames(
    db: AsyncSession, house: House, stream: UUID, who: str
) -> None:
    """Nor does the doctor get a stream of nobody's visit."""
    await send(db, stream, 0)
    actor = await house.as_(db, getattr(house, who))
    with pytest.raises(NotFound):
        await visit_ecg(db, actor, house.visit, NOW)
    with pytest.raises(NotFound):
        await find_frames(db, actor, house.visit, stream, -1, 9, NOW)
    doctor = await house.as_(db, house.doctor)
    with pytest.raises(NotFound):
        await find_frames(db, doctor, house.visit, uuid4(), -1, 9, NOW)


async def test_looking_at_a_trace_leaves_a_trace(
    db: AsyncSession, house: House, stream: UUID, objects: Objects
) -> None:
    """Of every table that was read."""
    await send(db, stream, 0)
    await served(db, objects, house, stream)
    named = {name for one in await db.scalars(select(AuditReads.tables)) for name in one}
    assert {"ecg_streams", "ecg_frames", "ecg_chunks"} <= named


async def test_two_writers_at_once_store_each_frame_once(engine: AsyncEngine) -> None:
    """Overlapping batches in two transactions, one stream."""
    async with AsyncSession(engine) as db, db.begin():
        house = await furnish(db)
        stream = (await open_stream(db, house.recorder, header(uuid4()), NOW)).stream

    async def write(first: int, last: int) -> None:
        async with AsyncSession(engine) as db, db.begin():
            await send(db, stream, *range(first, last))

    await asyncio.gather(write(0, 30), write(20, 60), write(0, 60), write(40, 50))
    async with AsyncSession(engine) as db:
        again = await open_stream(db, house.recorder, header(stream), NOW)
        assert (again.frames, again.last_sequence) == (60, 59)
        assert await rows(db) == 60


async def test_a_plain_object_is_read_and_then_sealed(
    db: AsyncSession, house: House, stream: UUID, objects: Objects, settings: Settings
) -> None:
    """From before objects were sealed: served all the while, gone a day after it was sealed."""
    await send(db, stream, 0, 1, 2)
    data = pack(encode(frame(stream, n).frame) for n in range(3))
    await objects.put(f"ecg/{stream}/0-2", data)
    await db.execute(delete(EcgFrames).where(EcgFrames.stream == stream))
    chunk = EcgChunks(
        stream=stream,
        first_sequence=0,
        last_sequence=2,
        started_at=NOW,
        last_started_at=NOW + MINUTE,
        object_key=f"ecg/{stream}/0-2",
        size=len(data),
        sha256=hashlib.sha256(data).digest(),
        created_at=NOW,
    )
    db.add(chunk)
    await db.flush()
    assert await served(db, objects, house, stream) == [0, 1, 2]

    await seal_chunks(Work(db, objects, settings, LATER))
    assert chunk.old_key == f"ecg/{stream}/0-2"
    assert await objects.exists(chunk.old_key)
    assert encode(frame(stream, 1).frame)[16:] not in await objects.get(chunk.object_key)
    assert await served(db, objects, house, stream) == [0, 1, 2]

    await delete_plain_chunks(Work(db, objects, settings, LATER + timedelta(days=1, seconds=1)))
    assert await objects.keys(f"ecg/{stream}/") == [chunk.object_key]
    assert await served(db, objects, house, stream) == [0, 1, 2]


async def test_the_ecg_of_somebody_whose_key_is_destroyed_is_gone(
    db: AsyncSession, house: House, stream: UUID, objects: Objects
) -> None:
    """The object stands, and nobody opens it."""
    await send(db, stream, 0, 1)
    await chunk_stream(db, objects, stream, LATER)
    await destroy(db, house.patient, LATER)
    with pytest.raises(KeyGone):
        await served(db, objects, house, stream)
