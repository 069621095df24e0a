"""Frames stored as a run are stored as any others: the short way and the long one agree."""

import random
from uuid import UUID, uuid4

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from people import facts
from people.audit import WRITE_PATH
from people.facts import EcgFramesStored
from telemed.ecg import (
    AppliedFrame,
    EcgFrames,
    EcgStreams,
    FrameRefused,
    IncomingFrame,
    apply_frames,
    open_stream,
)
from tests.telemed.clinic_house import NOW, House
from tests.telemed.test_ecg import frame, header

ROUNDS = 25


async def _open(db: AsyncSession, house: House) -> UUID:
    return (await open_stream(db, house.recorder, header(uuid4()), NOW)).stream


def _known(item: IncomingFrame, person: UUID) -> IncomingFrame:
    return msgspec.structs.replace(item, person_id=person)


async def _stands(db: AsyncSession, stream: UUID) -> tuple[object, ...]:
    """The stream's counters and its rows."""
    counted = select(
        EcgStreams.last_sequence,
        EcgStreams.max_sequence,
        EcgStreams.frames,
        EcgStreams.started_at,
        EcgStreams.last_started_at,
    ).where(EcgStreams.stream == stream)
    kept = (
        select(EcgFrames.sequence, EcgFrames.started_at, EcgFrames.received_at)
        .where(EcgFrames.stream == stream)
        .order_by(EcgFrames.sequence)
    )
    rows = await db.execute(kept, execution_options=WRITE_PATH)
    row = (await db.execute(counted, execution_options=WRITE_PATH)).one()
    return (*row, [tuple(one) for one in rows.all()])


def _said(answers: list[AppliedFrame | Exception]) -> list[tuple[object, ...]]:
    return [
        (one.frame.sequence, one.frame.payload, one.new, one.last_sequence, one.person_id)
        if isinstance(one, AppliedFrame)
        else (type(one),)
        for one in answers
    ]


async def test_the_short_way_stores_and_answers_as_the_long_one(
    db: AsyncSession, house: House
) -> None:
    """Runs, repeats, holes and their ends, swapped frames, of two streams at once."""
    draw = random.Random(7)  # noqa: S311 - an order of frames
    short, long = [[await _open(db, house) for _ in range(2)] for _ in range(2)]
    ahead = [0, 0]
    for _ in range(ROUNDS):
        batch: list[tuple[int, int]] = []
        for one in draw.choice([[0], [1], [0, 1]]):
            numbers = list(range(ahead[one], ahead[one] + draw.randint(1, 4)))
            ahead[one] = numbers[-1] + 1
            change = draw.random()
            if change < 0.15:
                ahead[one] += 1  # a hole, until somebody goes back
            elif change < 0.3:
                ahead[one] = max(0, ahead[one] - 6)
            elif change < 0.4:
                numbers.reverse()
            elif change < 0.5:
                numbers.append(numbers[0])
            batch += [(one, number) for number in numbers]
        known = [_known(frame(short[a], n), house.recorder.person_id) for a, n in batch]
        unknown = [frame(long[a], n) for a, n in batch]
        assert _said(await apply_frames(db, known)) == _said(await apply_frames(db, unknown))
    for a, b in zip(short, long, strict=True):
        stands = await _stands(db, a)
        assert stands == await _stands(db, b)
        assert isinstance(stands[2], int)
        assert stands[2] > ROUNDS
    told = [fact for fact in facts.take(db) if isinstance(fact, EcgFramesStored)]
    for a, b in zip(short, long, strict=True):
        heard = [(fact.person_id, fact.last_sequence) for fact in told if fact.stream == a]
        assert heard == [(fact.person_id, fact.last_sequence) for fact in told if fact.stream == b]
        assert len(heard) > 1


async def test_a_run_of_a_stream_nobody_opened_is_refused_and_takes_no_other_with_it(
    db: AsyncSession, house: House
) -> None:
    stream, person = await _open(db, house), house.recorder.person_id
    batch = [_known(frame(one, 0), person) for one in (uuid4(), stream)]
    refused, stored = await apply_frames(db, batch)
    assert isinstance(refused, FrameRefused)
    assert refused.params == {"reason": "unknown_stream"}
    assert isinstance(stored, AppliedFrame)
    assert (stored.new, stored.last_sequence) == (True, 0)
