"""Walks the audit's chain from its first link to its last and names the first row that is wrong.

It reads and never writes. A row that was changed or swapped no longer fits its link; one that was
taken away is missing under it; a link that was taken away leaves a hole in the numbers, or an end
before the newest checkpoint; a row put in behind the house's back has neither link nor place in
the queue.
"""

from collections.abc import AsyncIterator, Sequence
from enum import StrEnum
from uuid import UUID

import msgspec
from sqlalchemy import Row, exists, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from people.audit_chain import (
    ANCHORS,
    SOURCES,
    AuditSeals,
    AuditUnsealed,
    Keys,
    record_name,
    rows_of,
)
from storage import chain
from storage.chain import Checkpoint
from storage.objects import Objects

_STEP = 2000


class Wrong(StrEnum):
    """What is wrong with the first wrong row."""

    CHANGED = "changed"  # the row does not fit its link: edited, or swapped with another
    MISSING = "missing"  # the link is there, its row is not
    CUT = "cut"  # links are missing here, and their rows cannot be vouched for
    REWRITTEN = "rewritten"  # whole in itself, but not what a checkpoint saw
    UNSEALED = "unsealed"  # a row that no link covers and that nobody queued


class Finding(msgspec.Struct, frozen=True):
    """The first wrong row: its place in the chain, and which row it is where that is known."""

    wrong: Wrong
    sequence: int | None
    record: str | None


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What a walk found."""

    links: int
    waiting: int
    checkpoints: int
    forged_checkpoints: int
    unanchored: bool  # links, but no checkpoint: a cut end could not be told
    first_wrong: Finding | None

    @property
    def holds(self) -> bool:
        """Nothing is wrong."""
        return self.first_wrong is None and not self.forged_checkpoints and not self.unanchored


class Checkpoints(msgspec.Struct, frozen=True):
    """Those of our own that are kept outside the database, by their place in the chain."""

    by_sequence: dict[int, Checkpoint]
    forged: int

    @property
    def newest(self) -> Checkpoint | None:
        """The furthest one."""
        furthest = max(self.by_sequence, default=None)
        return None if furthest is None else self.by_sequence[furthest]


def kept_checkpoints(keys: Keys, others: Sequence[bytes] = ()) -> Checkpoints:
    """Read every checkpoint of `home/audit`, and these others, that our own key signed."""
    found: dict[int, Checkpoint] = {}
    forged = 0
    lines = [*_lines(keys), *others]
    for line in lines:
        try:
            one = msgspec.json.decode(line, type=Checkpoint)
        except msgspec.DecodeError:
            forged += 1
            continue
        if chain.signed_by(keys.signing, one):
            found[one.mark.sequence] = one
        else:
            forged += 1
    return Checkpoints(found, forged)


def _lines(keys: Keys) -> list[bytes]:
    files = [path for path in (keys.head, keys.log) if path.exists()]
    return [line for path in files for line in path.read_bytes().splitlines() if line]


async def checkpoints_in(objects: Objects) -> list[bytes]:
    """Give the checkpoints of the object store."""
    return [await objects.get(key) for key in await objects.keys(ANCHORS)]


async def verify(db: AsyncConnection, keys: Keys, kept: Checkpoints) -> Report:
    """Walk the whole chain. Read `kept` before `db` begins: the chain may grow in between."""
    await db.execution_options(isolation_level="REPEATABLE READ")
    walk = _Walk(keys, kept)
    found = await walk.links(db) or walk.end()
    orphan = await _orphan(db)
    if found is not None and found.record is None and orphan is not None:
        # Its link is gone, the row itself is still there.
        found = Finding(found.wrong, found.sequence, orphan)
    elif found is None and orphan is not None:
        found = Finding(Wrong.UNSEALED, None, orphan)
    return Report(
        links=await db.scalar(select(func.count()).select_from(AuditSeals)) or 0,
        waiting=await db.scalar(select(func.count()).select_from(AuditUnsealed)) or 0,
        checkpoints=len(kept.by_sequence),
        forged_checkpoints=kept.forged,
        unanchored=walk.sequence > 0 and not kept.by_sequence,
        first_wrong=found,
    )


class _Walk:
    """Where a walk stands: the last link that held."""

    def __init__(self, keys: Keys, kept: Checkpoints) -> None:
        self.keys = keys
        self.kept = kept
        self.sequence = 0
        self.mac = chain.START

    async def links(self, db: AsyncConnection) -> Finding | None:
        async for some in _links(db):
            rows = await rows_of(db, [(one.source, one.row_id) for one in some])
            for one in some:
                wrong = self._judge(one, rows.get((one.source, one.row_id)))
                if wrong is Wrong.CUT:
                    return self._cut()
                if wrong is not None:
                    return Finding(wrong, one.sequence, record_name(one.source, one.row_id))
        return None

    def _judge(self, one: Row[int, str, UUID, bytes], content: bytes | None) -> Wrong | None:
        if one.sequence != self.sequence + 1:
            return Wrong.CUT
        if content is None:
            return Wrong.MISSING
        mac = chain.link(self.keys.chain, self.mac, one.sequence, content)
        if not chain.same(mac, one.mac):
            return Wrong.CHANGED
        seen = self.kept.by_sequence.get(one.sequence)
        if seen is not None and seen.mark.mac != mac.hex():
            return Wrong.REWRITTEN
        self.sequence, self.mac = one.sequence, mac
        return None

    def end(self) -> Finding | None:
        """The newest checkpoint saw no further than where the chain ends."""
        newest = self.kept.newest
        return self._cut() if newest is not None and newest.mark.sequence > self.sequence else None

    def _cut(self) -> Finding:
        place = self.sequence + 1
        seen = self.kept.by_sequence.get(place)
        return Finding(Wrong.CUT, place, seen.mark.record if seen is not None else None)


async def _links(db: AsyncConnection) -> AsyncIterator[Sequence[Row[int, str, UUID, bytes]]]:
    query = select(
        AuditSeals.sequence, AuditSeals.source, AuditSeals.row_id, AuditSeals.mac
    ).order_by(AuditSeals.sequence)
    after = None
    while True:
        step = query if after is None else query.where(AuditSeals.sequence > after)
        some = (await db.execute(step.limit(_STEP))).all()
        if not some:
            return
        yield some
        after = some[-1].sequence


async def _orphan(db: AsyncConnection) -> str | None:
    """The oldest row that neither a link nor the queue knows."""
    found = []
    for name, table in SOURCES.items():
        query = (
            select(table.c.at, table.c.id)
            .where(
                ~exists().where(AuditSeals.row_id == table.c.id, AuditSeals.source == name),
                ~exists().where(AuditUnsealed.row_id == table.c.id, AuditUnsealed.source == name),
            )
            .order_by(table.c.at, table.c.id)
            .limit(1)
        )
        found += [(row.at, row.id, name) for row in await db.execute(query)]
    if not found:
        return None
    _, row_id, name = min(found)
    return record_name(name, row_id)
