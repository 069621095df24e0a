"""Files and strips of visits, planted so that the sweep can ask for them.

The words in them are their sides'; whoever a record is open to knows names of ECG files.
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from people import files
from people.files import NewFile, Place
from people.relations import actor_of
from storage.data_keys import key_of
from storage.engine import new_id
from storage.file_checks import Judged, Kind
from storage.objects import Objects
from telemed.ecg_strips import Content, NewStrip, attach
from telemed.ecg_trace import Lead

Plant = Callable[[str, Iterable[str]], str]


async def plant_files(
    db: AsyncSession,
    objects: Objects,
    visits: list[dict[str, str]],
    plant: Plant,
    now: datetime,
    *,
    kind: Kind = Kind.TEXT,
    record: Mapping[str, set[str]] = MappingProxyType({}),
) -> dict[str, str]:
    """A file that the patient of each visit handed in, with a small picture; visit → file.

    `record`: patient → to whom the record is open, which names this kind of file.
    """
    made = {}
    for visit in visits:
        sides = {visit["doctor_id"], visit["patient_id"]}
        named_to = sides | record.get(visit["patient_id"], set())
        name = plant(f"name of a {kind} of {visit['id']}", named_to)
        inside = plant(f"x of a {kind} of {visit['id']}", sides)
        patient, key = UUID(visit["patient_id"]), await key_of(db, UUID(visit["patient_id"]), now)
        new = NewFile(new_id(), f"{name}.txt", len(inside))
        place = Place("visit", UUID(visit["id"]), patient, UUID(visit["organisation_id"]))
        with TemporaryDirectory() as folder:
            kept = Path(folder) / "kept"
            kept.write_text(inside)
            judged = Judged(kind, kept, len(inside), kept, len(inside))
            stored = await files.put(objects, key, judged)
        row = await files.hand_in(db, patient, place, new, stored, key, now)
        made[visit["id"]] = str(row.id)
    return made


async def plant_strips(
    db: AsyncSession, visits: list[dict[str, str]], plant: Plant, now: datetime
) -> dict[str, str]:
    """A strip that the doctor of each visit attached; visit → strip."""
    made = {}
    for visit in visits:
        remark = plant(f"strip of {visit['id']}", {visit["doctor_id"], visit["patient_id"]})
        kept = Content(
            asked=NewStrip(
                id=new_id(), from_us=0, until_us=1, speed_mm_s=25, gain_mm_mv=10, remark=remark
            ),
            lead=Lead(name="I", rate_hz=250, gain_per_mv=1, baseline=0),
            started_at_us=0,
            payload=bytes(500),
            beats=[],
            caption=[remark],
            filter="",
            scale="",
            timezone="Europe/Moscow",
        )
        doctor = await actor_of(db, UUID(visit["doctor_id"]), now)
        strip = await attach(
            db, doctor, UUID(visit["id"]), new_id(), kept.asked, kept, remark.encode(), now
        )
        made[visit["id"]] = str(strip.id)
    return made
