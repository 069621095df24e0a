"""A small world for the API's tests: two clinics and a school, made by the domain's own verbs."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import httpx
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from eschool import lessons
from people import consents
from people.device_tokens import NewDevice, add_device
from people.organisations import Organisations
from people.passwords import set_password
from people.persons import Persons
from people.policy import Actor, Kind, Right
from people.relations import actor_of, grant
from people.sessions import start_session
from storage.engine import new_id
from telemed import visits

API = "/api/v1"
Client = Callable[..., httpx.AsyncClient]
PASSWORD = "синий трамвай 17"
BLOOD_PRESSURE = {
    "kind": "blood_pressure",
    "values": {"systolic": 128, "diastolic": 82, "pulse": 71},
    "unit": "mmHg",
}


def code(answer: httpx.Response) -> tuple[int, str]:
    """Status and code of a problem document."""
    assert answer.headers["content-type"] == "application/problem+json"
    return answer.status_code, answer.json()["code"]


def reading(sequence: int, **changes: object) -> dict[str, object]:
    """A blood pressure taken a minute ago."""
    taken = (datetime.now(UTC) - timedelta(minutes=1)).isoformat()
    return {**BLOOD_PRESSURE, "sequence": sequence, "taken_at": taken, **changes}


@dataclass
class World:
    """Ids by name; tokens of sessions and devices by person."""

    sessions: async_sessionmaker[AsyncSession]
    ids: dict[str, UUID] = field(default_factory=dict)
    cookies: dict[str, str] = field(default_factory=dict)
    device_tokens: dict[str, str] = field(default_factory=dict)
    home: Path | None = None  # of the application under test

    def __getitem__(self, name: str) -> UUID:
        return self.ids[name]

    async def actor(self, name: str) -> Actor:
        """The person with the rights of this moment."""
        async with self.sessions() as db:
            return await actor_of(db, self[name], datetime.now(UTC))


ROLES = {
    "doctor": (Kind.DUTY, "clinic"),
    "doctor2": (Kind.DUTY, "clinic"),
    "patient": (Kind.ATTACHMENT, "clinic"),
    "patient2": (Kind.ATTACHMENT, "clinic"),
    "clinic_admin": (Kind.ADMINISTRATION, "clinic"),
    "doctor_b": (Kind.DUTY, "clinic_b"),
    "patient_b": (Kind.ATTACHMENT, "clinic_b"),
    "admin_b": (Kind.ADMINISTRATION, "clinic_b"),
    "teacher": (Kind.DUTY, "school"),
    "teacher2": (Kind.DUTY, "school"),
    "school_admin": (Kind.ADMINISTRATION, "school"),
    "pupil": (None, "school"),
    "pupil2": (None, "school"),
    "pupil_b": (None, "school"),
    "parent": (None, "school"),
}


async def make_world(sessions: async_sessionmaker[AsyncSession]) -> World:
    """Fill an empty database."""
    world = World(sessions)
    now = datetime.now(UTC)
    async with sessions() as db, db.begin():
        await _organisations(db, world)
        await db.flush()
        for name, (kind, where) in ROLES.items():
            await _person(db, world, name, now)
            if kind is not None:
                subject = world[name] if kind is Kind.ATTACHMENT else None
                right = Right(
                    actor_id=world[name],
                    kind=kind,
                    subject_id=subject,
                    organisation_id=world[where],
                    since=now - timedelta(days=1),
                )
                await grant(db, right, "test")
        await _devices(db, world, now)
    async with sessions() as db, db.begin():
        await _visits(db, world, now)
        await _lesson(db, world, now)
        for name in ("teacher", "pupil", "pupil2", "teacher2", "pupil_b"):
            await agree(db, world, name, now)
    return world


async def _organisations(db: AsyncSession, world: World) -> None:
    for name, kind in (("clinic", "clinic"), ("clinic_b", "clinic"), ("school", "school")):
        world.ids[name] = new_id()
        db.add(Organisations(id=world[name], kind=kind, name=name.title()))


async def _person(db: AsyncSession, world: World, name: str, now: datetime) -> None:
    world.ids[name] = new_id()
    db.add(
        Persons(
            id=world[name],
            family_name=name.title(),
            given_name="Тест",
            language="ru",
            created_at=now,
        )
    )
    await db.flush()
    staff = name.startswith(("doctor", "teacher", "clinic_admin", "school_admin"))
    session = await start_session(db, world[name], "127.0.0.0/24", now, staff=staff)
    world.cookies[name] = session.token
    world.ids[f"{name}:session"] = session.id
    if name in {"doctor", "patient"}:
        await set_password(db, world[name], f"{name}.test", PASSWORD, now)


async def _devices(db: AsyncSession, world: World, now: datetime) -> None:
    for name in ("patient", "patient2", "patient_b"):
        actor = await actor_of(db, world[name], now)
        for what, kinds in (("cuff", ["blood_pressure", "heart_rate"]), ("recorder", ["ecg"])):
            new = NewDevice(name=f"{what} of {name}", kind=what, kinds=kinds)
            device, token = await add_device(db, actor, world[name], new, now)
            world.ids[f"{name}:{what}"] = device.id
            world.device_tokens[f"{name}:{what}"] = token


async def _visits(db: AsyncSession, world: World, now: datetime) -> None:
    for name, admin, clinic, doctor, patient in (
        ("visit", "clinic_admin", "clinic", "doctor", "patient"),
        ("visit2", "clinic_admin", "clinic", "doctor2", "patient2"),
        ("visit_b", "admin_b", "clinic_b", "doctor_b", "patient_b"),
    ):
        actor = await actor_of(db, world[admin], now)
        new = visits.NewVisit(
            organisation_id=world[clinic],
            patient_id=world[patient],
            doctor_id=world[doctor],
            starts_at=now - timedelta(minutes=10),
            ends_at=now + timedelta(hours=2),
        )
        world.ids[name] = await visits.book(db, actor, new, now)


async def _lesson(db: AsyncSession, world: World, now: datetime) -> None:
    """A lesson of one class, and one of another class of the same school."""
    admin = await actor_of(db, world["school_admin"], now)
    school = world["school"]
    for name, title, teacher, pupils in (
        ("", "5А", "teacher", ("pupil", "pupil2")),
        ("_b", "5Б", "teacher2", ("pupil_b",)),
    ):
        class_id = world.ids[f"class{name}"] = await lessons.add_class(
            db, admin, school, title, now
        )
        for pupil in pupils:
            await lessons.enrol(db, admin, class_id, world[pupil], now)
        new = lessons.NewLesson(
            organisation_id=school,
            class_id=class_id,
            teacher_id=world[teacher],
            title="Дроби",
            subject="Математика",
            starts_at=now - timedelta(minutes=5),
            ends_at=now + timedelta(minutes=40),
        )
        world.ids[f"lesson{name}"] = await lessons.schedule(db, admin, new, now)


async def agree(db: AsyncSession, world: World, name: str, now: datetime) -> None:
    """Let a grown-up agree to being recorded for the whole school."""
    new = consents.NewConsent(
        organisation_id=world["school"],
        purpose=consents.Purpose.RECORDING_LESSON,
        version=1,
        audience="school",
    )
    given = await consents.give(db, await actor_of(db, world[name], now), new, now)
    world.ids[f"{name}:consent"] = given.id


async def new_pupil(db: AsyncSession, world: World, name: str, class_name: str) -> None:
    """One more pupil of a class, with a session."""
    now = datetime.now(UTC)
    await _person(db, world, name, now)
    admin = await actor_of(db, world["school_admin"], now)
    await lessons.enrol(db, admin, world[class_name], world[name], now)


def pdf(pages: int) -> bytes:
    """A PDF with this many pages that have a word each."""
    kids = " ".join(f"{3 + 2 * n} 0 R" for n in range(pages))
    things = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {pages} >>".encode(),
    ]
    for n in range(pages):
        words = f"BT /F1 40 Tf 20 100 Td (page {n + 1}) Tj ET".encode()
        font = "<< /F1 << /Type /Font /Subtype /Type1 /BaseFont /Helvetica >> >>"
        things += [
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 320 180] /Contents {4 + 2 * n} 0 R"
            f" /Resources << /Font {font} >> >>".encode(),
            b"<< /Length %d >>\nstream\n%b\nendstream" % (len(words), words),
        ]
    body, offsets = b"%PDF-1.4\n", []
    for number, thing in enumerate(things, start=1):
        offsets.append(len(body))
        body += b"%d 0 obj\n%b\nendobj\n" % (number, thing)
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    count, start = len(things) + 1, len(body)
    return body + (
        b"xref\n0 %d\n0000000000 65535 f \n%btrailer\n<< /Size %d /Root 1 0 R >>\n"
        b"startxref\n%d\n%%%%EOF\n" % (count, table, count, start)
    )
