"""The demo as the sweep needs it, with words planted in it that only some may read.

Every name, note, message, file and device gets a word of its own. Who may read it follows from the
seed; whoever else finds it in an answer, or on a socket, has been told too much.
"""

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import numpy as np
from api_media import add_deck, add_recording
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from sweep_documents import plant_documents
from sweep_family import Family, help_child, plant_family
from sweep_files import plant_files, plant_strips
from sweep_own import Own, cards_of, plant_own

import eschool.demo
import people.demo
import telemed.demo
from devices.frames import StreamHeader, frame_of
from eschool.chat import LessonMessages
from eschool.lessons import Lessons
from people.device_tokens import device_of
from people.organisations import Organisations
from people.passkeys import Passkeys
from people.policy import Kind
from people.relations import Relations
from people.sessions import start_session
from storage.engine import new_id, sessions
from storage.file_checks import Kind as Kinds
from storage.objects import Objects
from telemed.ecg import IncomingFrame, apply_frames, open_stream
from telemed.notes import VisitNotes

KEY = b"a key of the tests, 32 bytes long"
SAMPLES: dict[str, tuple[str, dict[str, float]]] = {
    "blood_pressure": ("mmHg", {"systolic": 128, "diastolic": 82, "pulse": 71}),
    "glucose": ("mmol/L", {"glucose": 5.4}),
    "spo2": ("%", {"spo2": 97}),
    "temperature": ("°C", {"temperature": 36.6}),
}
_WORD = re.compile(r"zq[0-9a-f]{12}qz")


@dataclass
class Canaries:
    """Planted words: where each lies, and who may read it."""

    where: dict[str, str] = field(default_factory=dict)
    readers: dict[str, frozenset[str]] = field(default_factory=dict)

    def plant(self, where: str, readers: Iterable[str]) -> str:
        """A new word for this place."""
        word = f"zq{uuid4().hex[:12]}qz"
        self.where[word] = where
        self.readers[word] = frozenset(readers)
        return word

    def leaked(self, said: str, reader: str | None) -> list[str]:
        """Places whose word `reader` was told and must not know."""
        found = set(_WORD.findall(said))
        return sorted(self.where[one] for one in found if reader not in self.readers[one])


@dataclass
class Region:
    """The seed's printout, and what was added to it."""

    persons: list[dict[str, Any]]
    visits: list[dict[str, Any]]
    lessons: list[dict[str, Any]]
    classes: dict[str, set[str]]  # lesson → its pupils
    streams: dict[str, str]  # patient → an ECG stream
    cookies: dict[str, str]  # person → session token
    owned: dict[str, dict[str, set[str]]]  # list operation → person → ids of all that is theirs
    sensors: list[dict[str, Any]]  # devices that send readings, with their tokens
    recorders: list[dict[str, Any]]  # devices that send an ECG
    decks: dict[str, str]  # lesson → its slides
    own: Own  # path parameter → who is what to it, and which
    family: Family  # ties at every step, codes of a child
    cards: dict[str, str]  # organisation → a card of one of its people
    places: dict[str, dict[str, str]]  # organisation → who is what there
    kinds: dict[str, str]  # organisation → clinic or school
    guardians: dict[str, set[str]]  # child → whoever is its guardian
    health: dict[str, set[str]]  # child → those of them who see its health
    glass: dict[str, set[str]]  # patient → doctors who broke the glass
    everybody: list[str]
    files: dict[str, str] = field(default_factory=dict)  # visit → a file of it
    ecg_files: dict[str, str] = field(default_factory=dict)  # visit → one of kind "ecg"
    strips: dict[str, str] = field(default_factory=dict)  # visit → a strip of its ECG
    canaries: Canaries = field(default_factory=Canaries)

    def record_readers(self) -> dict[str, set[str]]:
        """To whom a record is open that is not theirs: patient → doctors, guardians."""
        whose = self.glass.keys() | self.health.keys()
        return {one: self.glass.get(one, set()) | self.health.get(one, set()) for one in whose}


async def make_region(engine: AsyncEngine, objects: Objects) -> Region:
    """The demo, a session for everybody, an ECG of every patient, media of every lesson."""
    now = datetime.now(UTC)
    async with sessions(engine)() as db, db.begin():
        seeded = await people.demo.seed(db, KEY, now)
        seeded |= await telemed.demo.seed(db, KEY, now)
        seeded |= await eschool.demo.seed(db, KEY, now)
        health = await _guardians(db, Kind.CHILD_HEALTH)
        persons, visits = _one_a_role(seeded, health), _three(seeded["visits"])
        pupils = {one["id"]: await _pupils(db, one["id"]) for one in seeded["lessons"]}
        cookies, spare = {}, {}
        for person in persons:
            for kept in (cookies, spare):
                kept[person["id"]] = await start_session(
                    db, UUID(person["id"]), "t", now, staff=False
                )
        # A sweep lasts longer than a proof does.
        await db.execute(text("UPDATE sessions SET proved_at = proved_at + interval '6 hours'"))
        places = await _places(db, [UUID(one["id"]) for one in seeded["organisations"]])
        devices = seeded["devices"][:2] + seeded["devices"][-1:]
        region = Region(
            persons=persons,
            visits=visits,
            lessons=seeded["lessons"],
            classes=pupils,
            streams={
                one["person_id"]: str(await _stream(db, one["token"], now))
                for one in seeded["devices"]
                if "ecg" in one["kinds"]
            },
            cookies={person: session.token for person, session in cookies.items()},
            owned={
                "myDay": _days(seeded, pupils),
                "listDevices": _of_each(seeded["devices"], "person_id"),
                "listSessions": {
                    person: {str(cookies[person].id), str(spare[person].id)} for person in cookies
                },
            },
            recorders=[one for one in seeded["devices"] if "ecg" in one["kinds"]],
            sensors=[one for one in seeded["devices"] if set(one["kinds"]) & set(SAMPLES)],
            decks={
                one["id"]: await _media(db, objects, UUID(one["id"]), now)
                for one in seeded["lessons"]
            },
            own={
                "device_id": [({one["person_id"]: "self"}, one["id"]) for one in devices],
                "session_id": [({p: "self"}, str(s.id)) for p, s in list(spare.items())[:3]],
                "key_id": [
                    ({p: "self"}, await _passkey(db, UUID(p), now)) for p in list(cookies)[:2]
                ],
                **await plant_own(db, visits, places, now),
            },
            family=await plant_family(db, now),
            cards=await cards_of(db, places, now),
            places=places,
            kinds={one["id"]: one["kind"] for one in seeded["organisations"]},
            guardians=await _guardians(db, Kind.GUARDIANSHIP),
            health=health,
            glass={one["patient_id"]: {one["doctor_id"]} for one in reversed(visits)},
            everybody=[one["id"] for one in seeded["persons"]],
        )
        await help_child(db, region.own, now)
        await _plant(db, region, seeded, now)
        planted = region.canaries.plant
        region.own |= await plant_documents(db, visits, places, region.kinds, health, planted, now)
        region.files = await plant_files(db, objects, visits, planted, now)
        region.ecg_files = await plant_files(
            db, objects, visits, planted, now, kind=Kinds.ECG, record=region.record_readers()
        )
        region.strips = await plant_strips(db, visits, region.canaries.plant, now)
        return region


async def _passkey(db: AsyncSession, person_id: UUID, now: datetime) -> str:
    row = Passkeys(id=new_id(), person_id=person_id, name="-", made_at=now, sign_count=0)
    row.credential_id, row.public_key = row.id.bytes, b"-"
    db.add(row)
    await db.flush()
    return str(row.id)


async def _plant(db: AsyncSession, region: Region, seeded: dict[str, Any], now: datetime) -> None:
    """Put a word into everything that is somebody's."""
    canaries = region.canaries
    near = _acquaintances(region, seeded)
    for one in seeded["persons"]:
        word = canaries.plant(f"name of {one['login']}", near[one["id"]] | {one["id"]})
        await _rename(db, "persons", "family_name", UUID(one["id"]), word)
    doctors = defaultdict(set)
    for visit in seeded["visits"]:
        doctors[visit["patient_id"]].add(visit["doctor_id"])
    for device in seeded["devices"]:
        owner = device["person_id"]
        minds = region.health.get(owner, set())
        word = canaries.plant(f"device of {owner}", doctors[owner] | minds | {owner})
        await _rename(db, "devices", "name", UUID(device["id"]), word)
    for visit in region.visits:
        word = canaries.plant(f"note of {visit['id']}", {visit["doctor_id"]})
        doctor = UUID(visit["doctor_id"])
        row = {"visit_id": UUID(visit["id"]), "written_by": doctor, "written_at": now}
        db.add(VisitNotes(text=f"Диагноз: {word}", version=1, **row))
    for lesson in region.lessons:
        pupils, teacher = region.classes[lesson["id"]], lesson["teacher_id"]
        seen_by = pupils | {teacher}
        word = canaries.plant(f"slides of {lesson['id']}", seen_by)
        await _rename(db, "lesson_decks", "name", UUID(region.decks[lesson["id"]]), word)
        for state, author in zip(("approved", "held"), sorted(pupils), strict=False):
            readers = seen_by if state == "approved" else {author, teacher}
            word = canaries.plant(f"{state} message of {lesson['id']}", readers)
            row = {"lesson_id": UUID(lesson["id"]), "person_id": UUID(author), "text": word}
            db.add(LessonMessages(**row, client_id=new_id(), state=state, sent_at=now))
    await db.flush()


async def _rename(db: AsyncSession, table: str, column: str, key: UUID, word: str) -> None:
    change = f"UPDATE {table} SET {column} = {column} || ' ' || :word WHERE id = :id"  # noqa: S608 - names of our own tables
    await db.execute(text(change), {"word": word, "id": key})


def _acquaintances(region: Region, seeded: dict[str, Any]) -> dict[str, set[str]]:
    """Who may know a person's name: by a visit, a lesson, a family, or the organisation's desk."""
    near: dict[str, set[str]] = defaultdict(set)

    def knows(some: Iterable[str]) -> None:
        circle = set(some)
        for one in circle:
            near[one] |= circle

    for sides in _sides(seeded):
        knows(sides)
    for lesson in seeded["lessons"]:
        pupils = region.classes[lesson["id"]]
        knows({*pupils, lesson["teacher_id"]})
    for one in [*(v["doctor_id"] for v in seeded["visits"]), *_teachers(seeded)]:
        # A child's guardian reads who treats and teaches it.
        near[one] |= {g for child in list(near[one]) for g in region.guardians.get(child, ())}
    for child, guardians in region.guardians.items():
        knows({child, *guardians})
    for guardian, child, confirmed in region.family.asking:
        _know_of_asking(near, region, guardian, child)
        # Before somebody confirmed it a guardian reads no family name.
        near[child] |= {guardian} if confirmed else set()
    for patient, doctor in _sides(seeded):
        # Who opened a record in an emergency reads whose it is, and who treats the patient besides.
        near[patient] |= region.glass.get(patient, set())
        near[doctor] |= region.glass.get(patient, set())
    _know_by_desk(near, region)
    return near


def _know_of_asking(near: dict[str, set[str]], region: Region, guardian: str, child: str) -> None:
    """Who asks to be a guardian is named to the child, its guardians and its administrators."""
    near[guardian] |= {child, *region.guardians.get(child, ())}
    for members in region.places.values():
        heads = {one for one, what in members.items() if what == "administrator"}
        near[guardian] |= heads if child in members else set()


def _sides(seeded: dict[str, Any]) -> list[tuple[str, str]]:
    return [(visit["patient_id"], visit["doctor_id"]) for visit in seeded["visits"]]


def _know_by_desk(near: dict[str, set[str]], region: Region) -> None:
    for members in _circles(region):
        # The desk knows everybody, and "who looked" names the desk.
        for desk in (one for one, what in members.items() if what in {"administrator", "clerk"}):
            near[desk] |= members.keys()
            # And the guardians of its children.
            families = {g for child in members for g in region.guardians.get(child, ())}
            for one in members.keys() | families:
                near[one].add(desk)


def _circles(region: Region) -> list[dict[str, str]]:
    """Everybody of an organisation; its desk knows the guardians of its children too."""
    return [
        members
        | {g: "member" for child in members for g in region.guardians.get(child, ())}
        | members
        for members in region.places.values()
    ]


def _teachers(seeded: dict[str, Any]) -> list[str]:
    return [lesson["teacher_id"] for lesson in seeded["lessons"]]


async def _places(db: AsyncSession, ids: list[UUID]) -> dict[str, dict[str, str]]:
    """Organisation → person → what that person is there, the weightiest hat first.

    Of these organisations: the others in the database have no planted words to be told.
    """
    query = (
        select(Relations.organisation_id, Relations.actor_id, Relations.kind, Organisations.kind)
        .join(Organisations, Organisations.id == Relations.organisation_id)
        .where(Relations.until.is_(None), Relations.organisation_id.in_(ids))
    )
    words = {
        (Kind.ADMINISTRATION, "clinic"): "administrator",
        (Kind.ADMINISTRATION, "school"): "administrator",
        (Kind.DUTY, "clinic"): "doctor on duty",
        (Kind.DUTY, "school"): "teacher on duty",
        (Kind.CLERKSHIP, "clinic"): "clerk",
        (Kind.CLERKSHIP, "school"): "clerk",
    }
    order = [*words.values(), "member"]
    found: dict[str, dict[str, str]] = defaultdict(dict)
    for place, person, kind, what in (await db.execute(query)).all():
        word = words.get((Kind(kind), what), "member")
        before = found[str(place)].get(str(person), "member")
        found[str(place)][str(person)] = min(word, before, key=order.index)
    return dict(found)


async def _guardians(db: AsyncSession, kind: Kind) -> dict[str, set[str]]:
    query = select(Relations.subject_id, Relations.actor_id).where(
        Relations.kind == kind.value, Relations.live(datetime.now(UTC))
    )
    found: dict[str, set[str]] = defaultdict(set)
    for child, guardian in (await db.execute(query)).all():
        found[str(child)].add(str(guardian))
    return dict(found)


async def _media(db: AsyncSession, objects: Objects, lesson_id: UUID, now: datetime) -> str:
    await add_recording(db, objects, lesson_id, now)
    return await add_deck(db, objects, lesson_id, now)


def _of_each(things: list[dict[str, Any]], *sides: str) -> dict[str, set[str]]:
    """Person → ids of the things that name the person on one of these sides."""
    owned: dict[str, set[str]] = defaultdict(set)
    for one in things:
        for side in sides:
            owned[str(one[side])].add(str(one["id"]))
    return owned


def _days(seeded: dict[str, Any], pupils: dict[str, set[str]]) -> dict[str, set[str]]:
    days = _of_each(seeded["visits"], "doctor_id", "patient_id")
    for person, ids in _of_each(seeded["lessons"], "teacher_id").items():
        days[person] |= ids
    for lesson, members in pupils.items():
        for person in members:
            days[person].add(lesson)
    return days


def _one_a_role(seeded: dict[str, Any], health: dict[str, set[str]]) -> list[dict[str, Any]]:
    """Both sides of the visits looked at, one person of every role of every organisation.

    And somebody who sees the health of a child.
    """
    sides = {one[side] for one in _three(seeded["visits"]) for side in ("doctor_id", "patient_id")}
    roles: dict[tuple[str, ...], dict[str, Any]] = {}
    for person in seeded["persons"]:
        roles.setdefault((*person["roles"], str(person["organisation_id"])), person)
    chosen = {one["id"] for one in roles.values()} | sides | min(health.values(), key=sorted)
    return [person for person in seeded["persons"] if person["id"] in chosen]


def _three(visits: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One visit, another doctor's of the same patient, one of another clinic."""
    first = visits[0]
    same = next(
        v for v in visits[1:] if v["patient_id"] == first["patient_id"] and v["id"] != first["id"]
    )
    far = next(v for v in visits if v["organisation_id"] != first["organisation_id"])
    return [first, same, far]


async def _pupils(db: AsyncSession, lesson: str) -> set[str]:
    """The roster, read from the rows that the seed wrote."""
    class_id = await db.scalar(select(Lessons.class_id).where(Lessons.id == UUID(lesson)))
    query = select(Relations.actor_id).where(
        Relations.kind == Kind.CLASS.value, Relations.about_id == class_id
    )
    return {str(one) for one in (await db.scalars(query)).all()}


async def _stream(db: AsyncSession, token: str, now: datetime) -> UUID:
    header = StreamHeader(stream=new_id(), rate_hz=360, gain_per_mv=200)
    await open_stream(db, await device_of(db, token, now), header, now)
    at_us = int(now.timestamp() * 1e6)
    frame = frame_of(header.stream, 0, at_us, np.zeros(72, dtype=np.int16))
    await apply_frames(db, [IncomingFrame(frame, now)])
    return header.stream
