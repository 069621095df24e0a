"""What this room puts into a person's archive: visits, readings, ECG."""

from collections.abc import AsyncIterator
from uuid import UUID

import msgspec
import numpy as np
from sqlalchemy import select, tuple_

from people import audit
from people.exports import PAGE, Part, Source, exports, line, one
from people.policy import Act, Thing
from storage.data_keys import keys_of
from telemed.ecg import EcgChunks, EcgFrames, EcgStreams
from telemed.ecg_chunks import FoundChunk, pack, read_chunk
from telemed.ecg_strips import EcgStrips, content_of, pdf_of
from telemed.reading_tables import Readings
from telemed.visits import Visits

# Strips of one page: up to a few hundred kilobytes each.
STRIPS = 20


@exports
async def export(source: Source) -> AsyncIterator[Part]:
    """Visits and readings as lines; each ECG stream as frames, each behind its length."""
    me = source.caller.person_id
    yield "visits.jsonl", _visits(source)
    yield "readings.jsonl", _readings(source)
    purpose = audit.Purpose(Act.SEE_RECORD, Thing(subject_id=me), source.now)
    query = select(
        EcgStreams.stream,
        EcgStreams.lead,
        EcgStreams.rate_hz,
        EcgStreams.gain_per_mv,
        EcgStreams.baseline,
        EcgStreams.started_at,
    ).where(EcgStreams.person_id == me)
    async with source.transaction() as db:
        streams = await audit.read(db, source.caller.actor, query, purpose)
    for row in streams:
        yield f"ecg/{row.stream}.json", one(msgspec.json.encode(row._asdict()))
        yield f"ecg/{row.stream}.frames", _frames(source, purpose, row.stream)
    async for part in _strips(source, purpose):
        yield part


async def _strips(source: Source, purpose: audit.Purpose) -> AsyncIterator[Part]:
    """Each strip: what was said of it, its samples as numbers, and its sheet."""
    me = source.caller.person_id
    mine = select(EcgStrips).where(EcgStrips.person_id == me).order_by(EcgStrips.id).limit(STRIPS)
    query = mine
    while True:
        async with source.transaction() as db:
            rows = await audit.read(db, source.caller.actor, query, purpose)
            key = (await keys_of(db, [me])).get(me)
        for (row,) in rows:
            if key is None:
                return
            kept = content_of(row, key)
            said = msgspec.to_builtins(kept) | {
                "visit_id": str(row.visit_id),
                "made_at": row.made_at.isoformat(),
                "payload": np.frombuffer(kept.payload, "<i2").tolist(),
            }
            yield f"ecg/strips/{row.id}.json", one(msgspec.json.encode(said))
            yield f"ecg/strips/{row.id}.pdf", one(pdf_of(row, key))
        if len(rows) < STRIPS:
            return
        query = mine.where(EcgStrips.id > rows[-1][0].id)


async def _visits(source: Source) -> AsyncIterator[bytes]:
    me, last = source.caller.person_id, None
    while True:
        query = select(
            Visits.id,
            Visits.organisation_id,
            Visits.patient_id,
            Visits.doctor_id,
            Visits.state,
            Visits.starts_at,
            Visits.ends_at,
            Visits.opened_at,
            Visits.closed_at,
        ).where((Visits.patient_id == me) | (Visits.doctor_id == me))
        if last is not None:
            query = query.where(Visits.id > last)
        async with source.transaction() as db:
            rows = (await db.execute(query.order_by(Visits.id).limit(PAGE))).all()
        for row in rows:
            yield line(row._asdict())
        if len(rows) < PAGE:
            return
        last = rows[-1].id


async def _readings(source: Source) -> AsyncIterator[bytes]:
    """In order of time; each page that is read leaves its row in the audit."""
    me, last = source.caller.person_id, None
    purpose = audit.Purpose(Act.SEE_RECORD, Thing(subject_id=me), source.now)
    while True:
        query = select(
            Readings.id,
            Readings.device_id,
            Readings.sequence,
            Readings.kind,
            Readings.taken_at,
            Readings.received_at,
            Readings.values,
            Readings.unit,
            Readings.sent_values,
            Readings.sent_unit,
            Readings.flags,
        ).where(Readings.person_id == me)
        if last is not None:
            query = query.where(tuple_(Readings.taken_at, Readings.id) > last)
        query = query.order_by(Readings.taken_at, Readings.id).limit(PAGE)
        async with source.transaction() as db:
            rows = await audit.read(db, source.caller.actor, query, purpose)
        for row in rows:
            yield line(row._asdict())
        if len(rows) < PAGE:
            return
        last = (rows[-1].taken_at, rows[-1].id)


async def _frames(source: Source, purpose: audit.Purpose, stream: UUID) -> AsyncIterator[bytes]:
    """Fresh frames first, then the objects. One that is moved meanwhile may be there twice."""
    actor = source.caller.actor
    fresh = select(EcgFrames.frame).where(EcgFrames.stream == stream).order_by(EcgFrames.sequence)
    stored = (
        select(EcgChunks.object_key, EcgChunks.sha256, EcgChunks.sealed_at)
        .where(EcgChunks.stream == stream)
        .order_by(EcgChunks.first_sequence)
    )
    async with source.transaction() as db:
        rows = await audit.read(db, actor, fresh, purpose)
        chunks = await audit.read(db, actor, stored, purpose)
        key = (await keys_of(db, [source.caller.person_id])).get(source.caller.person_id)
    yield pack(row.frame for row in rows)
    for chunk in chunks:
        sealed = chunk.sealed_at is not None
        yield await read_chunk(
            source.objects, FoundChunk(chunk.object_key, chunk.sha256, key if sealed else None)
        )
