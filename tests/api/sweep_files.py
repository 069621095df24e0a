"""Files of visits, planted so that the sweep can ask for them; the words in them are their sides'."""

from collections.abc import Callable, Iterable
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from people import files
from people.files import NewFile, Place
from storage.data_keys import key_of
from storage.engine import new_id
from storage.file_checks import Judged, Kind
from storage.objects import Objects

Plant = Callable[[str, Iterable[str]], str]


async def plant_files(
    db: AsyncSession, objects: Objects, visits: list[dict[str, str]], plant: Plant, now: datetime
) -> dict[str, str]:
    """A file that the patient of each visit handed in, with a small picture; visit → file."""
    made = {}
    for visit in visits:
        sides = {visit["doctor_id"], visit["patient_id"]}
        name, inside = (
            plant(f"{what} of a file of {visit['id']}", sides) for what in ("name", "x")
        )
        patient, key = UUID(visit["patient_id"]), await key_of(db, UUID(visit["patient_id"]), now)
        new = NewFile(new_id(), f"{name}.txt", len(inside))
        place = Place("visit", UUID(visit["id"]), patient, UUID(visit["organisation_id"]))
        with TemporaryDirectory() as folder:
            kept = Path(folder) / "kept"
            kept.write_text(inside)
            judged = Judged(Kind.TEXT, kept, len(inside), kept, len(inside))
            stored = await files.put(objects, key, judged)
        row = await files.hand_in(db, patient, place, new, stored, key, now)
        made[visit["id"]] = str(row.id)
    return made
