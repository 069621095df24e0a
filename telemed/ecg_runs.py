"""The frames that nearly all are: what their streams lack next, stored by one statement.

A recorder sends frame after frame, so most of a group continue a stream without a hole. For these
there is nothing to ask first and nothing to read afterwards: one statement locks the streams, puts
the frames of those that are continued, moves their counters, and gives back the streams that were
not, with how they stand. telemed/ecg.py stores the frames of those.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from devices.frames import encode
from people import audit

if TYPE_CHECKING:
    from telemed.ecg import IncomingFrame

_RUN = ("stream", "last", "frames", "first_us", "last_us")
_FRAME = ("of", "sequence", "started_us", "received_at", "frame")


class Counted(msgspec.Struct):
    """What is counted of a stream: plain values, for a row of the ORM costs more than a frame."""

    stream: UUID
    person_id: UUID
    last_sequence: int
    max_sequence: int


def is_run(items: Sequence["IncomingFrame"]) -> bool:
    """Whether the frames follow each other in order."""
    if len(items) == 1:
        return True
    return all(b.frame.sequence == a.frame.sequence + 1 for a, b in pairwise(items))


async def store_runs(
    db: AsyncSession, streams: Iterable[UUID], runs: Mapping[UUID, Sequence["IncomingFrame"]]
) -> dict[UUID, Counted | None]:
    """Lock `streams`, in order: two writers or the chunk job wait for each other. Store the runs
    that continue theirs. Give how the streams stand that got nothing; None for those unknown.
    """
    # Times travel as microseconds: PostgreSQL makes them cheaper than the driver does.
    store = text("""
        WITH known AS MATERIALIZED (
            SELECT stream, person_id, last_sequence, max_sequence
            FROM ecg_streams WHERE stream = ANY (:streams ::uuid[])
            ORDER BY stream FOR UPDATE
        ), run AS MATERIALIZED (
            SELECT new.stream, new.last, new.frames, new.first_us, new.last_us
            FROM unnest(:stream ::uuid[], :last ::bigint[], :frames ::bigint[],
                        :first_us ::bigint[], :last_us ::bigint[])
                 AS new (stream, last, frames, first_us, last_us)
            JOIN known ON known.stream = new.stream
            WHERE known.max_sequence = known.last_sequence
              AND new.last - new.frames = known.last_sequence
        ), put AS (
            INSERT INTO ecg_frames (stream, sequence, started_at, received_at, frame)
            SELECT new.stream, new.sequence,
                   'epoch'::timestamptz + new.started_us * interval '1 microsecond',
                   new.received_at, new.frame
            FROM unnest(:of ::uuid[], :sequence ::bigint[], :started_us ::bigint[],
                        :received_at ::timestamptz[], :frame ::bytea[])
                 AS new (stream, sequence, started_us, received_at, frame)
            JOIN run ON run.stream = new.stream
            ORDER BY new.stream, new.sequence
        ), counted AS (
            UPDATE ecg_streams AS old SET
                last_sequence = run.last, max_sequence = run.last, frames = old.frames + run.frames,
                started_at = least(old.started_at,
                    'epoch'::timestamptz + run.first_us * interval '1 microsecond'),
                last_started_at = greatest(old.last_started_at,
                    'epoch'::timestamptz + run.last_us * interval '1 microsecond')
            FROM run WHERE old.stream = run.stream
        )
        SELECT asked.stream, known.person_id, known.last_sequence, known.max_sequence
        FROM unnest(:streams ::uuid[]) AS asked (stream)
        LEFT JOIN known ON known.stream = asked.stream
        LEFT JOIN run ON run.stream = asked.stream
        WHERE run.stream IS NULL
    """)
    values = _columns(streams, runs)
    left = await db.execute(store, values, execution_options=audit.WRITE_PATH)
    return {row[0]: None if row[1] is None else Counted(*row) for row in left.all()}


def _columns(
    streams: Iterable[UUID], runs: Mapping[UUID, Sequence["IncomingFrame"]]
) -> dict[str, str]:
    columns: dict[str, list[str]] = {name: [] for name in (*_RUN, *_FRAME)}
    stream, last, frames, first_us, last_us = (columns[name] for name in _RUN)
    of, sequence, started_us, received_at, data = (columns[name] for name in _FRAME)
    written: dict[object, str] = {}
    for stream_id, items in runs.items():
        name = stream_id.hex
        for item in items:
            at, frame = item.received_at, item.frame
            if at not in written:
                written[at] = f'"{at.isoformat()}"'
            of.append(name)
            sequence.append(str(frame.sequence))
            started_us.append(str(frame.started_at_us))
            received_at.append(written[at])
            data.append(rf'"\\x{encode(frame).hex()}"')
        stream.append(name)
        last.append(sequence[-1])
        frames.append(str(len(items)))
        times = [item.frame.started_at_us for item in items]
        first_us.append(str(min(times)))
        last_us.append(str(max(times)))
    values = {name: array(column) for name, column in columns.items()}
    return values | {"streams": array([one.hex for one in streams])}


def array(items: Iterable[str]) -> str:
    """An array as PostgreSQL writes it: made in one piece, several times faster than by item."""
    return "{" + ",".join(items) + "}"
