"""The seal on the audit: every row of it becomes a link of one HMAC chain within a second.

An insert into an audited table queues its row (a trigger does, in the same transaction). The sealer
takes what is committed from the queue, in the queue's order, and writes a link for each row. The
tables of rows and links only grow: UPDATE, DELETE and TRUNCATE are refused by the database itself.
Whoever gets around that, with the owner's rights, has no key: people/audit_verify.py finds the row.

After each batch a signed checkpoint goes to `home/audit/head.json`; once an hour it is also added
to `home/audit/checkpoints.jsonl` and to the object store, so that an end cut off is missed.

What this does not hold: a row that is changed, or taken away with its place in the queue, in the
second before it is sealed; and whoever has both the database and `home/secrets` can forge all but
the checkpoints that were taken elsewhere.
"""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import msgspec
from sqlalchemy import Connection, Index, Table, delete, insert, select, text
from sqlalchemy.event import listen
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from sqlalchemy.orm import Mapped, mapped_column

from people.audit import AuditActs, AuditReads, AuditRefusals
from storage import chain
from storage.chain import Checkpoint, Mark
from storage.engine import Base
from storage.objects import Objects
from storage.secrets import secret

BATCH = 1000
EVERY_S = 0.4
ANCHOR_EVERY = timedelta(hours=1)
ANCHORS = "audit/checkpoints/"
# Any number will do; of several sealers one works.
_LOCK: Final = 7_106_385_013


class AuditUnsealed(Base):
    """The queue: a row that waits for its link."""

    __tablename__ = "audit_unsealed"

    number: Mapped[int] = mapped_column(primary_key=True)
    source: Mapped[str]
    row_id: Mapped[UUID]

    # A second's rows come and go: swept by how many they were, not by their share of the table.
    __table_args__ = (
        {
            "postgresql_with": {
                "autovacuum_vacuum_scale_factor": 0,
                "autovacuum_vacuum_threshold": 1000,
            }
        },
    )


class AuditSeals(Base):
    """One link: the row of `source` with this id stands at place `sequence`, unchanged."""

    __tablename__ = "audit_seals"

    sequence: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    source: Mapped[str]
    row_id: Mapped[UUID]
    sealed_at: Mapped[datetime]
    mac: Mapped[bytes]

    __table_args__ = (Index(None, "row_id"),)


def _table(declared: type[Base]) -> Table:
    return declared.metadata.tables[declared.__tablename__]


SOURCES: Final = {str(t.name): t for t in map(_table, (AuditActs, AuditReads, AuditRefusals))}

_FUNCTIONS = (
    """
    CREATE OR REPLACE FUNCTION audit_only_grows() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION '% only grows', TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege';
    END $$
    """,
    """
    CREATE OR REPLACE FUNCTION audit_queue_row() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO audit_unsealed (source, row_id) VALUES (TG_TABLE_NAME, NEW.id);
        RETURN NULL;
    END $$
    """,
)
_ONLY_GROWS = """
    CREATE TRIGGER only_grows BEFORE UPDATE OR DELETE OR TRUNCATE ON {}
    FOR EACH STATEMENT EXECUTE FUNCTION audit_only_grows()
"""
_QUEUED = """
    CREATE TRIGGER queued AFTER INSERT ON {}
    FOR EACH ROW EXECUTE FUNCTION audit_queue_row()
"""


def _with_triggers(table: Table, *triggers: str) -> None:
    """Make the triggers wherever the table is made from its declaration."""
    statements = [*_FUNCTIONS, *(trigger.format(table.name) for trigger in triggers)]

    def make(_table: Table, connection: Connection, **_: Any) -> None:
        for statement in statements:
            connection.execute(text(statement))

    listen(table, "after_create", make)


for _source in SOURCES.values():
    _with_triggers(_source, _ONLY_GROWS, _QUEUED)
_with_triggers(_table(AuditSeals), _ONLY_GROWS)


class Keys(msgspec.Struct, frozen=True):
    """What sealing and verifying need of an installation."""

    chain: bytes
    signing: bytes
    folder: Path

    @classmethod
    def of(cls, home: Path) -> "Keys":
        """Give the installation's own, made at the first call."""
        return cls(secret(home, "audit-chain"), secret(home, "audit-checkpoints"), home / "audit")

    @property
    def head(self) -> Path:
        """The newest checkpoint."""
        return self.folder / "head.json"

    @property
    def log(self) -> Path:
        """One checkpoint an hour."""
        return self.folder / "checkpoints.jsonl"


def record(source: str, row: Any) -> bytes:
    """Bytes of an audit row; what is absent is left out: a new column changes no old row."""
    values = {str(name): value for name, value in row._asdict().items() if value is not None}
    return msgspec.json.encode([source, values], order="deterministic")


def record_name(source: str, row_id: UUID) -> str:
    """One word for an audit row, as checkpoints and reports say it."""
    return f"{source}/{row_id}"


async def rows_of(
    db: AsyncConnection, wanted: Sequence[tuple[str, UUID]]
) -> dict[tuple[str, UUID], bytes]:
    """Give the bytes of these audit rows; what is not there is left out."""
    found = {}
    for name, table in SOURCES.items():
        ids = [row_id for source, row_id in wanted if source == name]
        if ids:
            for row in await db.execute(select(table).where(table.c.id.in_(ids))):
                found[name, row.id] = record(name, row)
    return found


class Sealer:
    """Seals what is queued; several may run, one of them works at a time."""

    def __init__(self, engine: AsyncEngine, objects: Objects, keys: Keys) -> None:
        self.engine = engine
        self.objects = objects
        self.keys = keys
        self._anchored: Mark | None = None

    async def seal(self, now: datetime) -> int:
        """Seal at most BATCH rows that are committed; give how many."""
        async with self.engine.connect() as db:
            if not await db.scalar(text("SELECT pg_try_advisory_lock(:lock)"), {"lock": _LOCK}):
                return 0
            try:
                await db.commit()
                async with db.begin():
                    head = await self._link(db, now)
                # Before the lock is let go: no other sealer's checkpoint may be written over.
                if head is not None:
                    await asyncio.to_thread(chain.write_head, self.keys.head, head[1])
                await db.execute(text("SELECT pg_advisory_unlock(:lock)"), {"lock": _LOCK})
                await db.commit()
            except BaseException:
                await db.invalidate()  # a connection that went back to the pool would keep the lock
                raise
        return 0 if head is None else head[0]

    async def _link(self, db: AsyncConnection, now: datetime) -> tuple[int, Checkpoint] | None:
        queue = select(AuditUnsealed.number, AuditUnsealed.source, AuditUnsealed.row_id)
        waiting = (await db.execute(queue.order_by(AuditUnsealed.number).limit(BATCH))).all()
        if not waiting:
            return None
        sequence, mac = await self._end(db)
        rows = await rows_of(db, [(one.source, one.row_id) for one in waiting])
        links = []
        for one in waiting:
            sequence += 1
            # A row that was taken away while it waited is linked as absent, and found so.
            content = rows.get((one.source, one.row_id), b"")
            mac = chain.link(self.keys.chain, mac, sequence, content)
            links.append(
                {
                    "sequence": sequence,
                    "source": one.source,
                    "row_id": one.row_id,
                    "sealed_at": now,
                    "mac": mac,
                }
            )
        await db.execute(insert(AuditSeals), links)
        done = [one.number for one in waiting]
        await db.execute(delete(AuditUnsealed).where(AuditUnsealed.number.in_(done)))
        last = waiting[-1]
        mark = Mark(
            sequence=sequence,
            mac=mac.hex(),
            record=record_name(last.source, last.row_id),
            at=now,
        )
        return len(links), chain.sign(self.keys.signing, mark)

    async def _end(self, db: AsyncConnection) -> tuple[int, bytes]:
        """Where the chain ends: in the table, or further on where our checkpoint saw it.

        An end that was cut off is never grown over: the gap stays for `audit verify` to find.
        """
        newest = select(AuditSeals.sequence, AuditSeals.mac).order_by(AuditSeals.sequence.desc())
        row = (await db.execute(newest.limit(1))).one_or_none()
        there = (row.sequence, row.mac) if row is not None else (0, chain.START)
        head = await asyncio.to_thread(chain.read_head, self.keys.head)
        if head is None or head.mark.sequence <= there[0]:
            return there
        return head.mark.sequence, bytes.fromhex(head.mark.mac)

    async def anchor(self, now: datetime) -> bool:
        """Once an hour put the newest checkpoint where it is kept; True when it was put."""
        head = await asyncio.to_thread(chain.read_head, self.keys.head)
        if self._anchored is None:
            kept = await asyncio.to_thread(chain.read_log, self.keys.log)
            self._anchored = kept[-1].mark if kept else None
        last = self._anchored
        if head is None or (
            last is not None
            and (head.mark.sequence == last.sequence or now - last.at < ANCHOR_EVERY)
        ):
            return False
        name = f"{ANCHORS}{head.mark.sequence:016d}.json"
        await self.objects.put(name, chain.encode(head), "application/json")
        await asyncio.to_thread(chain.append_log, self.keys.log, head)
        self._anchored = head.mark
        return True
