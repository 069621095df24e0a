"""How readings lie in the store: by whom they are known, what is inserted, what was there.

`telemed/readings.py` says what may be stored and what is answered.
"""

import hashlib
from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from uuid import UUID

import msgspec
from sqlalchemy import (
    ARRAY,
    BigInteger,
    DateTime,
    TextClause,
    Uuid,
    and_,
    column,
    func,
    literal,
    select,
    text,
)
from sqlalchemy.ext.asyncio import AsyncSession

from devices.measurement import Checked, Kind, beyond
from people import audit
from people.device_tokens import Devices, KnownDevice
from people.organisations import Ref
from telemed.months import Month, filling, make_months, month_of
from telemed.reading_tables import Readings


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """A reading as screens show it."""

    id: UUID
    kind: Kind
    sequence: int
    taken_at: datetime
    received_at: datetime
    values: dict[str, float]
    unit: str
    sent_values: dict[str, float]
    sent_unit: str
    device: Ref
    flags: list[str]


class Incoming(msgspec.Struct, frozen=True):
    """A checked reading on its way to the store."""

    device: KnownDevice
    checked: Checked
    received_at: datetime
    by_hand: bool = False

    @property
    def key(self) -> tuple[int, int]:
        """What a reading is known by when it comes again: its device and the device's number."""
        return self.device.id.int, self.checked.sequence


class New(msgspec.Struct, frozen=True):
    """A reading with the id it gets if nobody was there before."""

    id: UUID
    item: Incoming
    content: bytes

    @property
    def reading(self) -> Reading:
        """The row as screens show it."""
        checked = self.item.checked
        return Reading(
            id=self.id,
            kind=checked.kind,
            sequence=checked.sequence,
            taken_at=checked.taken_at,
            received_at=self.item.received_at,
            values=checked.values,
            unit=checked.unit,
            sent_values=checked.sent_values,
            sent_unit=checked.sent_unit,
            device=Ref(self.item.device.id, self.item.device.name),
            flags=list(checked.flags),
        )


class Stored(msgspec.Struct, frozen=True):
    """A reading that was there before, and what was sent then."""

    reading: Reading
    content: bytes


# One document and jsonb_to_recordset: a statement whose text is the same for any number of rows,
# and one parameter, several times faster than an array a column. Ordered, so that two writers
# cannot deadlock. What the version before the months wrote has no key yet, and its numbers are used
# all the same.
_INSERT = """
    WITH new AS (
        SELECT * FROM jsonb_to_recordset(:new ::jsonb)
        AS new (id uuid, device_id uuid, person_id uuid, sequence bigint, kind text,
                taken_at timestamptz, received_at timestamptz, "values" jsonb, unit text,
                sent_values jsonb, sent_unit text, flags text[], content text)
    ), fresh AS (
        INSERT INTO reading_keys (device_id, sequence, taken_at)
        SELECT device_id, sequence, taken_at FROM new
        WHERE NOT EXISTS (
            SELECT FROM ONLY readings AS old
            WHERE old.device_id = new.device_id AND old.sequence = new.sequence)
        ORDER BY device_id, sequence
        ON CONFLICT (device_id, sequence) DO NOTHING
        RETURNING device_id, sequence
    ), stored AS (
        INSERT INTO month_ (id, device_id, person_id, sequence, kind, taken_at, received_at,
                            "values", unit, sent_values, sent_unit, flags, content)
        SELECT id, device_id, person_id, sequence, kind, taken_at, received_at,
               "values", unit, sent_values, sent_unit, flags, decode(content, 'hex')
        FROM new JOIN fresh USING (device_id, sequence)
        RETURNING id, person_id, kind, taken_at, "values", flags
    )
"""


@lru_cache(maxsize=32)
def _insert_into(month: Month) -> TextClause:
    return text(filling(month, _INSERT, "SELECT id FROM stored"))


async def insert(db: AsyncSession, new: Sequence[New]) -> set[UUID]:
    """Insert what is not there, month by month; give the ids that were inserted."""
    months: dict[Month, list[New]] = {}
    for one in new:
        months.setdefault(month_of(one.item.checked.taken_at), []).append(one)
    await make_months(db, months)
    stored: set[UUID] = set()
    for month, ones in sorted(months.items()):
        rows = await db.scalars(
            _insert_into(month), {"new": _document(ones)}, execution_options=audit.WRITE_PATH
        )
        stored.update(rows.all())
    return stored


def _document(new: Sequence[New]) -> str:
    """Rows as the statement takes them."""
    rows = []
    for one in new:
        item, checked = one.item, one.item.checked
        rows.append(
            {
                "id": one.id,
                "device_id": item.device.id,
                "person_id": item.device.person_id,
                "sequence": checked.sequence,
                "kind": checked.kind,
                "taken_at": checked.taken_at,
                "received_at": item.received_at,
                "values": checked.values,
                "unit": checked.unit,
                "sent_values": checked.sent_values,
                "sent_unit": checked.sent_unit,
                "flags": checked.flags,
                "content": one.content.hex(),
            }
        )
    return msgspec.json.encode(rows).decode()


async def already_there(
    db: AsyncSession, items: Sequence[Incoming]
) -> dict[tuple[int, int], Stored]:
    """Rows already stored under the numbers of these, for the answer to their own sender."""
    if not items:
        return {}
    # Its person and time lead to a repeat in whichever table it is by then: a job may move it.
    times_of = text("""
        SELECT device_id, sequence, taken_at FROM reading_keys
        JOIN unnest(:device_id ::uuid[], :sequence ::bigint[]) AS sent (device_id, sequence)
            USING (device_id, sequence)
        UNION ALL
        SELECT device_id, sequence, taken_at FROM ONLY readings
        JOIN unnest(:device_id ::uuid[], :sequence ::bigint[]) AS sent (device_id, sequence)
            USING (device_id, sequence)
    """)
    devices, numbers = [one.device.id for one in items], [one.checked.sequence for one in items]
    sent = {"device_id": devices, "sequence": numbers}
    found = await db.execute(times_of, sent, execution_options=audit.WRITE_PATH)
    times = {(row.device_id, row.sequence): row.taken_at for row in found}
    persons = {one.device.id: one.device.person_id for one in items}
    keys = (
        func.unnest(
            literal([persons[device] for device, _ in times], ARRAY(Uuid())),
            literal(list(times.values()), ARRAY(DateTime(timezone=True))),
            literal([device for device, _ in times], ARRAY(Uuid())),
            literal([number for _, number in times], ARRAY(BigInteger())),
        )
        .table_valued(
            column("person_id", Uuid()),
            column("taken_at", DateTime(timezone=True)),
            column("device_id", Uuid()),
            column("sequence", BigInteger()),
        )
        .render_derived(name="known")
    )
    query = (
        select(Readings, Devices.name)
        .join(
            keys,
            and_(*(getattr(Readings, name) == keys.c[name] for name in keys.c.keys())),  # noqa: SIM118
        )
        .join(Devices, Devices.id == Readings.device_id)
    )
    rows = (await db.execute(query, execution_options=audit.WRITE_PATH)).all()
    return {
        (row.device_id.int, row.sequence): Stored(reading_of(row, name), row.content)
        for row, name in rows
    }


def reading_of(row: Readings, device_name: str) -> Reading:
    """The row as screens show it."""
    return Reading(
        id=row.id,
        kind=Kind(row.kind),
        sequence=row.sequence,
        taken_at=row.taken_at,
        received_at=row.received_at,
        values=row.values,
        unit=row.unit,
        sent_values=row.sent_values,
        sent_unit=row.sent_unit,
        device=Ref(row.device_id, device_name),
        flags=list(row.flags),
    )


def content_of(checked: Checked) -> bytes:
    """Digest of what was sent. Flags are left out: they depend on when it arrived.

    But a reading without a number says nothing but its flag.
    """
    word = beyond(checked.sent_values, checked.flags)
    sent = (
        checked.kind.value,
        checked.taken_at,
        sorted(checked.sent_values.items()) if word is None else word.value,
        checked.sent_unit,
    )
    return hashlib.sha256(msgspec.msgpack.encode(sent)).digest()
