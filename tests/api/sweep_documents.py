"""Documents, planted so that the sweep can ask for them: drafts, signed ones, what schools got."""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession
from sweep_own import Own

from people.document_contents import Certificate
from people.document_deliveries import DocumentDeliveries
from people.documents import DRAFT, Documents, DocumentState, put_text
from storage.data_keys import key_of
from storage.engine import new_id

Plant = Callable[[str, Iterable[str]], str]


async def plant_documents(  # noqa: PLR0917 - the whole region
    db: AsyncSession,
    visits: list[dict[str, Any]],
    places: Mapping[str, dict[str, str]],
    kinds: Mapping[str, str],
    health: Mapping[str, set[str]],
    plant: Plant,
    now: datetime,
) -> Own:
    """Of each visit a draft, and a certificate that its person has and one school got.

    Schools' desks receive documents; a clinic's administrators may revoke what is signed there.
    """
    desks = {
        place: {p: what for p, what in members.items() if what in {"administrator", "clerk"}}
        for place, members in places.items()
        if kinds[place] == "school"
    }
    own: Own = {"document_id": [], "delivery_id": []}
    for visit, (school, desk) in zip(visits, _round(desks, len(visits)), strict=True):
        doctor, patient = visit["doctor_id"], visit["patient_id"]
        near = dict.fromkeys(health.get(patient, ()), "guardian")
        near |= {doctor: "doctor", patient: "self"}
        word = plant(f"draft of {visit['id']}", {doctor})
        draft = await _document(db, visit, DocumentState.DRAFT, {DRAFT: word}, now)
        own["document_id"].append(({doctor: "doctor"}, draft))
        full = plant(f"document of {visit['id']}", near)
        fit = plant(f"school's form of {visit['id']}", near | desk)
        said = {DRAFT: full, "full": full, "school": fit}
        signed = await _document(db, visit, DocumentState.SIGNED, said, now)
        members = places[visit["organisation_id"]]
        heads = {p: what for p, what in members.items() if what == "administrator"}
        own["document_id"].append((heads | near, signed))
        for to, who in ((None, near), (UUID(school), desk)):
            row = DocumentDeliveries(
                id=new_id(),
                document_id=UUID(signed),
                organisation_id=to,
                given_by=UUID(doctor),
                given_at=now,
            )
            db.add(row)
            await db.flush()
            own["delivery_id"].append((who, str(row.id)))
    return own


async def _document(
    db: AsyncSession,
    visit: dict[str, Any],
    state: DocumentState,
    said: dict[str, str],
    now: datetime,
) -> str:
    key = new_id()
    signed = state is not DocumentState.DRAFT
    row = Documents(
        id=key,
        series_id=key,
        version=1,
        organisation_id=UUID(visit["organisation_id"]),
        subject_id=UUID(visit["patient_id"]),
        about_id=UUID(visit["id"]),
        kind="certificate",
        state=state.value,
        changes=1,
        made_by=UUID(visit["doctor_id"]),
        made_at=now,
        number=str(key) if signed else None,
        signed_by=UUID(visit["doctor_id"]) if signed else None,
        signed_at=now if signed else None,
    )
    db.add(row)
    await db.flush()
    opened = await key_of(db, row.subject_id, now)
    for part, word in said.items():
        plain = msgspec.json.encode(Certificate(diagnosis=word) if part == DRAFT else word)
        await put_text(db, opened, key, part, plain)
    return str(key)


def _round(desks: Mapping[str, dict[str, str]], count: int) -> list[tuple[str, dict[str, str]]]:
    some = sorted(desks.items())
    return [some[at % len(some)] for at in range(count)]
