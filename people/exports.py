"""What the house knows of a person, as one archive that the person takes away.

The archive is made while it is sent: nothing of it is stored, and no more of it is held than a
piece. Each room says its part (`exports`), page by page in transactions of their own; health is
read through the audit like everywhere. Doctors' notes are not in it: they are the doctor's until a
document is made of them, and a person does not see them on the screen either.
"""

import io
import zipfile
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Any, Final

import msgspec
from sqlalchemy import ColumnElement, and_, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from people import audit
from people.audit import AuditActs, AuditReads
from people.call_minutes import CallMinutes
from people.consents import Consents
from people.device_tokens import Devices
from people.guardians import Guardianships
from people.notices import Notices
from people.persons import Persons
from people.policy import Act, Thing, require
from people.relations import Relations
from people.sessions import Caller, Sessions
from people.shares import Shares
from people.step_up import require_fresh
from storage.engine import Base
from storage.objects import Objects

PAGE: Final = 2000
_DRAIN: Final = 256 * 1024
# Files and prints are packed in themselves: packing them again costs others the processor.
_PACKS: Final = (".json", ".jsonl", ".frames")
_SECRET: Final = ("token_sha256",)


class Source(msgspec.Struct, frozen=True):
    """What an exporter works with: short transactions, the objects, whose data, the time."""

    transaction: Callable[[], AbstractAsyncContextManager[AsyncSession]]
    objects: Objects
    caller: Caller
    now: datetime


# Names of files in the archive, and their bytes as they come.
Part = tuple[str, AsyncIterator[bytes]]
Exporter = Callable[[Source], AsyncIterator[Part]]
_exporters: Final[list[Exporter]] = []


def exports(exporter: Exporter) -> Exporter:
    """Decorate what a room puts into the archive."""
    _exporters.append(exporter)
    return exporter


async def begin(db: AsyncSession, caller: Caller, now: datetime) -> None:
    """Judge and record that a person takes the archive. Raises Forbidden, StepUpNeeded."""
    thing = Thing(subject_id=caller.person_id)
    require(caller.actor, Act.EXPORT_DATA, thing, now)
    require_fresh(caller, now)
    await audit.acted(db, caller.person_id, "data_exported", thing, now)


async def archive(source: Source) -> AsyncGenerator[bytes, None]:
    """Give the archive's bytes as they are made (zip, deflated)."""
    out = _Drained()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as packed:
        for exporter in (_people, *_exporters):
            async for name, pieces in exporter(source):
                info = zipfile.ZipInfo(name, source.now.timetuple()[:6])
                packs = name.endswith(_PACKS)
                info.compress_type = zipfile.ZIP_DEFLATED if packs else zipfile.ZIP_STORED
                with packed.open(info, "w", force_zip64=True) as file:
                    async for piece in pieces:
                        file.write(piece)
                        if out.held > _DRAIN:
                            yield out.take()
    yield out.take()


def line(values: Mapping[str, Any]) -> bytes:
    """One row as a line of JSON."""
    return msgspec.json.encode(values) + b"\n"


async def one(data: bytes) -> AsyncIterator[bytes]:
    """What is in one piece."""
    yield data


async def _people(source: Source) -> AsyncIterator[Part]:
    me = source.caller.person_id
    told = AuditActs.act.not_in(audit.NOT_TOLD)
    either = or_(Relations.actor_id == me, Relations.subject_id == me)
    families = or_(Guardianships.guardian_id == me, Guardianships.child_id == me)
    mine: dict[str, tuple[type[Base], ColumnElement[bool]]] = {
        "person": (Persons, Persons.id == me),
        "rights": (Relations, either),
        "consents": (Consents, Consents.person_id == me),
        "guardianships": (Guardianships, families),
        "shares": (Shares, Shares.person_id == me),
        "devices": (Devices, Devices.person_id == me),
        "sign-ins": (Sessions, Sessions.person_id == me),
        "calls": (CallMinutes, CallMinutes.person_id == me),
        "notices": (Notices, Notices.person_id == me),
        "who-looked": (AuditReads, AuditReads.subject_id == me),
        "what-was-done": (AuditActs, and_(AuditActs.subject_id == me, told)),
    }
    for name, (table, which) in mine.items():
        yield f"{name}.jsonl", _rows(source, table, which)


async def _rows(
    source: Source, table: type[Base], which: ColumnElement[bool]
) -> AsyncIterator[bytes]:
    """The rows as lines, in order of their ids. No page is sent before its transaction is over:

    whoever takes the archive slowly holds no connection.
    """
    columns = table.__table__.columns
    query = select(*(one for one in columns if one.name not in _SECRET)).where(which)
    query, last = query.order_by(columns.id).limit(PAGE), None
    while True:
        page = query if last is None else query.where(columns.id > last)
        async with source.transaction() as db:
            rows = (await db.execute(page)).mappings().all()
        for row in rows:
            yield line(dict(row))
        if len(rows) < PAGE:
            return
        last = rows[-1]["id"]


class _Drained(io.RawIOBase):
    """What a zip is written into; taken away piece by piece, never sought in."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self.held = 0

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return False

    def write(self, data: Any) -> int:
        piece = bytes(data)
        self._pieces.append(piece)
        self.held += len(piece)
        return len(piece)

    def take(self) -> bytes:
        """Give what was written since the last call."""
        taken = b"".join(self._pieces)
        self._pieces.clear()
        self.held = 0
        return taken
