"""Demo people: two clinics, two schools, their staff, patients, pupils and devices.

`python -m people.demo --json` may run any number of times: ids follow from logins, passwords and
tokens from a secret of the installation, so that the second run prints what the first did.
"""

import argparse
import asyncio
import base64
import hmac
import json
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid5

import msgspec
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from people.device_tokens import ECG, Devices, token_hash
from people.organisations import OrganisationKind, Organisations
from people.passwords import Credentials, password_fits, set_password
from people.persons import Persons, RoleName, me
from people.policy import Kind, Right
from people.relations import grant
from storage.engine import make_engine, sessions
from storage.secrets import secret
from storage.settings import Settings

_NAMESPACE = UUID("3c1d6a5e-8f0b-5b3a-9d53-2f6e4a7c9b10")
SOURCE = "demo"

CLINIC_7, AIBOLIT = "clinic.7", "clinic.aibolit"
GYMNASIUM_2, SCHOOL_15 = "school.2", "school.15"


class Person(msgspec.Struct, frozen=True):
    """One of the cast: a login, a name, and what they are where."""

    login: str
    given_name: str
    family_name: str
    hats: tuple[tuple[Kind, str], ...] = ()
    language: str = "ru"
    child: str | None = None
    school: str | None = None  # of a pupil; the class, and the right, come from eschool/demo.py


class Home(msgspec.Struct, frozen=True):
    """A device in a patient's home."""

    word: str
    name: str
    kinds: tuple[str, ...]


ORGANISATIONS = {
    CLINIC_7: (OrganisationKind.CLINIC, "Поликлиника № 7"),
    AIBOLIT: (OrganisationKind.CLINIC, "Айболит"),
    GYMNASIUM_2: (OrganisationKind.SCHOOL, "Гимназия № 2"),
    SCHOOL_15: (OrganisationKind.SCHOOL, "Школа № 15 имени Г. Тукая"),
}

_DOCTOR_7, _PATIENT_7 = ((Kind.DUTY, CLINIC_7),), ((Kind.ATTACHMENT, CLINIC_7),)
_DOCTOR_A, _PATIENT_A = ((Kind.DUTY, AIBOLIT),), ((Kind.ATTACHMENT, AIBOLIT),)
_TEACHER_2, _TEACHER_15 = ((Kind.DUTY, GYMNASIUM_2),), ((Kind.DUTY, SCHOOL_15),)

PERSONS = (
    Person("doctor.amina", "Амина", "Хасанова", _DOCTOR_7, "tt"),
    Person("doctor.ivan", "Иван", "Соколов", _DOCTOR_7),
    Person("patient.rinat", "Ринат", "Галиев", _PATIENT_7, "tt"),
    Person("patient.olga", "Ольга", "Смирнова", _PATIENT_7),
    Person("admin.gulnara", "Гөлнара", "Сафина", ((Kind.ADMINISTRATION, CLINIC_7),), "tt"),
    Person("doctor.pavel", "Павел", "Орлов", _DOCTOR_A),
    Person("doctor.leila", "Ләйлә", "Закирова", _DOCTOR_A, "tt"),
    Person("patient.timur", "Тимур", "Ахметов", _PATIENT_A),
    Person("patient.maria", "Мария", "Белова", _PATIENT_A, "en"),
    Person("admin.boris", "Борис", "Крылов", ((Kind.ADMINISTRATION, AIBOLIT),)),
    Person("teacher.zulfiya", "Зөлфия", "Нигматуллина", _TEACHER_2, "tt"),
    Person("teacher.anna", "Анна", "Ковалёва", _TEACHER_2),
    Person("pupil.aidar", "Айдар", "Вәлиев", language="tt", school=GYMNASIUM_2),
    Person("pupil.sofia", "София", "Кузнецова", school=GYMNASIUM_2),
    Person("pupil.ilnaz", "Илназ", "Гарипов", language="tt", school=GYMNASIUM_2),
    Person("pupil.daria", "Дарья", "Захарова", school=GYMNASIUM_2),
    Person("pupil.mark", "Марк", "Андреев", language="en", school=GYMNASIUM_2),
    Person("admin.svetlana", "Светлана", "Миронова", ((Kind.ADMINISTRATION, GYMNASIUM_2),)),
    Person("teacher.marat", "Марат", "Юсупов", _TEACHER_15),
    Person("pupil.kamila", "Камилә", "Хәйруллина", language="tt", school=SCHOOL_15),
    Person("pupil.artem", "Артём", "Лебедев", school=SCHOOL_15),
    Person("admin.farid", "Фәрит", "Шакиров", ((Kind.ADMINISTRATION, SCHOOL_15),), "tt"),
    # A father of a pupil who is a patient as well.
    Person("parent.damir", "Дамир", "Вәлиев", _PATIENT_7, "tt", child="pupil.aidar"),
    Person("parent.elena", "Елена", "Лебедева", child="pupil.artem"),
)

DEVICES = (
    Home("ecg", "ЭКГ-регистратор", (ECG, "heart_rate")),
    Home("cuff", "Тонометр", ("blood_pressure", "heart_rate")),
    Home("kit", "Домашний набор", ("glucose", "cholesterol_total", "spo2", "temperature")),
)


def demo_id(word: str) -> UUID:
    """Id of whatever the demo calls by this word: a login, an organisation, a visit."""
    return uuid5(_NAMESPACE, word)


def demo_password(key: bytes, login: str) -> str:
    """Password of a demo person: 100 bits, in letters that are easy to type."""
    digest = hmac.digest(key, f"password {login}".encode(), "sha256")
    word = base64.b32encode(digest).decode().lower()[:20]
    return "-".join(word[at : at + 5] for at in range(0, len(word), 5))


def demo_token(key: bytes, device: str) -> str:
    """Token of a demo device: 256 bits."""
    digest = hmac.digest(key, f"device {device}".encode(), "sha256")
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")


def rounded(now: datetime) -> datetime:
    """The five minutes that `now` is in."""
    return now - timedelta(minutes=now.minute % 5, seconds=now.second, microseconds=now.microsecond)


async def seed(db: AsyncSession, key: bytes, now: datetime) -> dict[str, Any]:
    """Make everybody who is not there yet; give them all."""
    for word, (kind, name) in ORGANISATIONS.items():
        values = {"id": demo_id(word), "kind": kind.value, "name": name}
        await db.execute(insert(Organisations).values(values).on_conflict_do_nothing())
    for person in PERSONS:
        await _person(db, key, person, now)
    for person in PERSONS:
        await _rights(db, person, now)
    patients = [p for p in PERSONS if any(kind is Kind.ATTACHMENT for kind, _ in p.hats)]
    return {
        "organisations": [
            {"id": str(demo_id(word)), "kind": kind.value, "name": name}
            for word, (kind, name) in ORGANISATIONS.items()
        ],
        "persons": [await _printed(db, key, person, now) for person in PERSONS],
        "devices": [
            await _device(db, key, person, device, now) for person in patients for device in DEVICES
        ],
    }


async def _person(db: AsyncSession, key: bytes, person: Person, now: datetime) -> None:
    values = {
        "id": demo_id(person.login),
        "given_name": person.given_name,
        "family_name": person.family_name,
        "language": person.language,
        "created_at": now,
    }
    await db.execute(insert(Persons).values(values).on_conflict_do_nothing())
    password = demo_password(key, person.login)
    query = select(Credentials.password_hash).where(Credentials.login == person.login)
    hashed = await db.scalar(query)
    if hashed is None or not await password_fits(hashed, password):
        await set_password(db, demo_id(person.login), person.login, password, now)


async def _rights(db: AsyncSession, person: Person, now: datetime) -> None:
    me_id = demo_id(person.login)
    for kind, organisation in person.hats:
        where = demo_id(organisation)
        await grant(db, Right(actor_id=me_id, kind=kind, organisation_id=where, since=now), SOURCE)
    if person.child is not None:
        child = demo_id(person.child)
        right = Right(actor_id=me_id, kind=Kind.GUARDIANSHIP, subject_id=child, since=now)
        await grant(db, right, SOURCE)


async def _device(
    db: AsyncSession, key: bytes, person: Person, device: Home, now: datetime
) -> dict[str, Any]:
    word = f"{device.word} {person.login}"
    token = demo_token(key, word)
    values = {
        "id": demo_id(word),
        "person_id": demo_id(person.login),
        "kind": device.word,
        "name": device.name,
        "kinds": list(device.kinds),
        "token_sha256": token_hash(token),
        "created_at": now,
        "revoked_at": None,
    }
    again = {name: values[name] for name in ("name", "kinds", "token_sha256", "revoked_at")}
    await db.execute(
        insert(Devices)
        .values(values)
        .on_conflict_do_update(index_elements=[Devices.id], set_=again)
    )
    return {
        "id": str(demo_id(word)),
        "person_id": str(demo_id(person.login)),
        "name": device.name,
        "kinds": list(device.kinds),
        "token": token,
    }


async def _printed(db: AsyncSession, key: bytes, person: Person, now: datetime) -> dict[str, Any]:
    found = await me(db, demo_id(person.login), now)
    roles = {role.role.value for role in found.roles}
    places = [role.organisation_id for role in found.roles if role.organisation_id is not None]
    if person.school is not None:
        roles.add(RoleName.PUPIL.value)
        places.append(demo_id(person.school))
    return {
        "id": str(found.id),
        "name": found.name,
        "roles": sorted(roles),
        "organisation_id": str(places[0]) if places else None,
        "login": person.login,
        "password": demo_password(key, person.login),
    }


Seed = Callable[[AsyncSession, bytes, datetime], Awaitable[dict[str, Any]]]


def program(seed: Seed, about: str) -> None:
    """Run one seed in one transaction and print what it made: JSON, or a line a thing."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments = parser.parse_args()
    made = asyncio.run(_seed_once(seed))
    if arguments.json:
        sys.stdout.write(json.dumps(made, ensure_ascii=False) + "\n")
        return
    for kind, things in made.items():
        for one in things:
            words = " ".join(str(value) for value in one.values())
            sys.stdout.write(f"{kind}: {words}\n")


async def _seed_once(seed: Seed) -> dict[str, Any]:
    settings = Settings.from_env()
    engine = make_engine(settings.database_url)
    try:
        async with sessions(engine)() as db, db.begin():
            return await seed(db, secret(settings.home, "demo"), datetime.now(UTC))
    finally:
        await engine.dispose()


if __name__ == "__main__":
    program(seed, "Make the demo clinics, schools, people and devices.")
