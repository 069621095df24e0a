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
from collections.abc import Awaitable, Callable, Collection
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID, uuid5

import msgspec
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from people.device_tokens import ECG, Devices, token_hash
from people.guardian_steps import agree, ask, confirm_here
from people.guardians import Guardianships
from people.organisations import OrganisationKind, Organisations
from people.passwords import Credentials, password_fits, set_password
from people.persons import Persons, RoleName, me
from people.policy import Actor, Kind, Right
from people.relations import actor_of, grant
from storage import data_keys
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
    born: str
    hats: tuple[tuple[Kind, str], ...] = ()
    language: str = "ru"
    child: str | None = None  # confirmed in eschool/demo.py, once the child is on a roster
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
_OFFICE_7 = ((Kind.ADMINISTRATION, CLINIC_7),)
_OFFICE_2 = ((Kind.ADMINISTRATION, GYMNASIUM_2),)
_OFFICE_15 = ((Kind.ADMINISTRATION, SCHOOL_15),)

PERSONS = (
    # A doctor who is a mother as well.
    Person("doctor.amina", "Амина", "Хасанова", "1984-06-11", _DOCTOR_7, "tt", child="pupil.ilnaz"),
    Person("doctor.ivan", "Иван", "Соколов", "1979-01-23", _DOCTOR_7),
    Person("patient.rinat", "Ринат", "Галиев", "1961-09-30", _PATIENT_7, "tt"),
    # The mother of a boy of fifteen: of his health she sees what he shares.
    Person("patient.olga", "Ольга", "Смирнова", "1980-03-08", _PATIENT_7, child="pupil.mark"),
    Person("admin.gulnara", "Гөлнара", "Сафина", "1975-12-02", _OFFICE_7, "tt"),
    Person("clerk.zarina", "Зәринә", "Садыкова", "1990-07-19", ((Kind.CLERKSHIP, CLINIC_7),), "tt"),
    Person("doctor.pavel", "Павел", "Орлов", "1970-10-05", _DOCTOR_A),
    Person("doctor.leila", "Ләйлә", "Закирова", "1988-04-27", _DOCTOR_A, "tt", child="pupil.daria"),
    Person("patient.timur", "Тимур", "Ахметов", "1955-02-14", _PATIENT_A),
    Person("patient.maria", "Мария", "Белова", "1992-11-21", _PATIENT_A, "en"),
    Person("admin.boris", "Борис", "Крылов", "1968-05-16", ((Kind.ADMINISTRATION, AIBOLIT),)),
    Person("teacher.zulfiya", "Зөлфия", "Нигматуллина", "1977-08-25", _TEACHER_2, "tt"),
    # A teacher whose daughter sits in the class.
    Person("teacher.anna", "Анна", "Ковалёва", "1986-01-12", _TEACHER_2, child="pupil.sofia"),
    Person("pupil.aidar", "Айдар", "Вәлиев", "2013-04-17", _PATIENT_7, "tt", school=GYMNASIUM_2),
    Person("pupil.sofia", "София", "Кузнецова", "2013-08-02", school=GYMNASIUM_2),
    Person("pupil.ilnaz", "Илназ", "Гарипов", "2012-12-03", language="tt", school=GYMNASIUM_2),
    Person("pupil.daria", "Дарья", "Захарова", "2012-11-20", school=GYMNASIUM_2),
    Person("pupil.mark", "Марк", "Андреев", "2011-10-05", language="en", school=GYMNASIUM_2),
    Person("admin.svetlana", "Светлана", "Миронова", "1973-09-09", _OFFICE_2),
    Person("teacher.marat", "Марат", "Юсупов", "1982-02-28", _TEACHER_15),
    Person("pupil.kamila", "Камилә", "Хәйруллина", "2015-05-09", language="tt", school=SCHOOL_15),
    Person("pupil.artem", "Артём", "Лебедев", "2015-02-28", school=SCHOOL_15),
    Person("admin.farid", "Фәрит", "Шакиров", "1966-06-30", _OFFICE_15, "tt"),
    # A father of a pupil who is a patient as well.
    Person("parent.damir", "Дамир", "Вәлиев", "1983-03-15", _PATIENT_7, "tt", child="pupil.aidar"),
    Person("parent.elena", "Елена", "Лебедева", "1989-12-24", child="pupil.artem"),
)

DEVICES = (
    Home("ecg", "ЭКГ-регистратор", (ECG, "heart_rate")),
    Home("cuff", "Тонометр", ("blood_pressure", "heart_rate")),
    Home(
        "kit",
        "Домашний набор",
        (
            "glucose",
            "cholesterol_total",
            "spo2",
            "temperature",
            "weight",
            "cgm_glucose",
            "cholesterol_hdl",
            "cholesterol_ldl",
            "triglyceride",
        ),
    ),
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


async def guardians(
    db: AsyncSession, administrator: Actor, school: str, pupils: Collection[str], now: datetime
) -> None:
    """Let the guardians of these pupils ask, school and clinic confirm, and a teen agree."""
    for person in PERSONS:
        if person.child not in pupils or person.child is None:
            continue
        child_id = demo_id(person.child)
        tie = await ask(db, await actor_of(db, demo_id(person.login), now), child_id, now)
        await confirm_here(db, administrator, demo_id(school), tie, now)
        for clinic in _clinics_of(person.child):
            office = next(p for p in PERSONS if (Kind.ADMINISTRATION, clinic) in p.hats)
            head = await actor_of(db, demo_id(office.login), now)
            await confirm_here(db, head, demo_id(clinic), tie, now)
        if await db.scalar(select(Guardianships.live_at).where(Guardianships.id == tie)) is None:
            await agree(db, await actor_of(db, child_id, now), tie, now)


def _clinics_of(login: str) -> list[str]:
    hats = next(person.hats for person in PERSONS if person.login == login)
    return [where for kind, where in hats if kind is Kind.ATTACHMENT]


async def _person(db: AsyncSession, key: bytes, person: Person, now: datetime) -> None:
    values = {
        "id": demo_id(person.login),
        "given_name": person.given_name,
        "family_name": person.family_name,
        "language": person.language,
        "born_on": date.fromisoformat(person.born),
        "created_at": now,
    }
    await db.execute(
        insert(Persons)
        .values(values)
        .on_conflict_do_update(index_elements=[Persons.id], set_={"born_on": values["born_on"]})
    )
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
        places.insert(0, demo_id(person.school))
    if person.child is not None:
        roles.add(RoleName.PARENT.value)
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
    data_keys.unlock(settings.home)
    engine = make_engine(settings.database_url)
    try:
        async with sessions(engine)() as db, db.begin():
            return await seed(db, secret(settings.home, "demo"), datetime.now(UTC))
    finally:
        await engine.dispose()


if __name__ == "__main__":
    program(seed, "Make the demo clinics, schools, people and devices.")
