"""Readings of a record as a FHIR bundle, for other programs of who may see them; some at a time."""

from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec
from sqlalchemy import select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from devices.fhir.bundles import page
from devices.fhir.observations import observation
from devices.fhir.structs import UUIDS, Identifier, Observation, Reference
from devices.measurement import Checked, Kind
from people import audit
from people.device_tokens import Devices
from people.policy import Actor
from telemed.reading_tables import Readings
from telemed.record import RecordField, opened

MOST: Final = 200
OBSERVATIONS: Final = "/api/v1/persons/{person_id}/fhir/Observation"


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """Some readings of a person, the newest first, behind the one a page ended with."""

    person_id: UUID
    organisation_id: UUID | None = None
    kind: Kind | None = None
    before: datetime | None = None
    before_id: UUID | None = None
    count: int = MOST


async def observations(db: AsyncSession, actor: Actor, asked: Asked, now: datetime) -> bytes:
    """A page as JSON, with a link to the next. Raises NotFound unless the readings are open."""
    purpose = await opened(
        db, actor, asked.person_id, asked.organisation_id, RecordField.READINGS, now
    )
    query = (
        select(Readings, Devices.name)
        .join(Devices, Devices.id == Readings.device_id)
        .where(Readings.person_id == asked.person_id)
        .order_by(Readings.taken_at.desc(), Readings.id.desc())
        .limit(asked.count + 1)
    )
    if asked.kind is not None:
        query = query.where(Readings.kind == asked.kind.value)
    if asked.before is not None:
        last = asked.before_id or UUID(int=0)
        place = tuple_(Readings.taken_at, Readings.id)
        query = query.where(place < (asked.before, last), Readings.taken_at <= asked.before)
    rows = await audit.read(db, actor, query, purpose)
    shown = [_observation(row, name) for row, name in rows[: asked.count]]
    more = len(rows) > asked.count
    return page(shown, _further(asked, rows[asked.count - 1][0]) if more else None)


def _further(asked: Asked, last: Readings) -> str:
    """Where the next page is."""
    said: dict[str, object] = {
        "_count": asked.count,
        "before": last.taken_at.isoformat().replace("+00:00", "Z"),
        "before_id": last.id,
        "organisation_id": asked.organisation_id,
        "kind": asked.kind.value if asked.kind else None,
    }
    query = "&".join(f"{name}={value}" for name, value in said.items() if value is not None)
    return f"{OBSERVATIONS.format(person_id=asked.person_id)}?{query}"


def _observation(row: Readings, device: str) -> Observation:
    checked = Checked(
        kind=Kind(row.kind),
        sequence=row.sequence,
        taken_at=row.taken_at,
        values=_floats(row.values),
        unit=row.unit,
        sent_values=_floats(row.sent_values),
        sent_unit=row.sent_unit,
        flags=tuple(row.flags),
    )
    told_by = Reference(
        identifier=Identifier(system=UUIDS, value=f"urn:uuid:{row.device_id}"), display=device
    )
    subject = Reference(reference=f"Patient/{row.person_id}")
    return observation(checked, subject=subject, device=told_by, reading_id=row.id)


def _floats(values: dict[str, float]) -> dict[str, float]:
    """The store gives whole numbers back as such."""
    return {name: float(value) for name, value in values.items()}
