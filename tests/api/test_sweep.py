"""The sweep is green on our policy, and red when the policy gives everything to everybody."""

import time
from collections import defaultdict
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from api_media import add_deck, add_recording
from litestar import Litestar
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from sweep import MATRIX, OF_LESSON, SAMPLES, Region, sweep, sweep_devices

import eschool.demo
import people.demo
import telemed.demo
from api.schema import document
from devices.frames import StreamHeader, frame_of
from eschool.lessons import Lessons
from people.device_tokens import device_of
from people.policy import ACTS, Act, Kind, Reach, Rule
from people.relations import Relations
from people.sessions import start_session
from storage.engine import new_id, sessions
from storage.objects import Objects
from telemed.ecg import IncomingFrame, apply_frames, open_stream

KEY = b"a key of the tests, 32 bytes long"


@pytest.fixture
async def region(engine: AsyncEngine, objects: Objects) -> Region:
    """The demo, a session for everybody, an ECG of every patient, media of every lesson."""
    now = datetime.now(UTC)
    async with sessions(engine)() as db, db.begin():
        seeded = await people.demo.seed(db, KEY, now)
        seeded |= await telemed.demo.seed(db, KEY, now)
        seeded |= await eschool.demo.seed(db, KEY, now)
        persons, visits = _one_a_role(seeded), _three(seeded["visits"])
        pupils = {one["id"]: await _pupils(db, one["id"]) for one in seeded["lessons"]}
        cookies, spare = {}, {}
        for person in persons:
            for kept in (cookies, spare):
                session = await start_session(db, UUID(person["id"]), "t", now, staff=False)
                kept[person["id"]] = session
        return Region(
            persons=persons,
            visits=visits,
            lessons=seeded["lessons"],
            devices=seeded["devices"][:2] + seeded["devices"][-1:],
            classes=pupils,
            streams={
                one["person_id"]: str(await _stream(db, one["token"], now))
                for one in seeded["devices"]
                if "ecg" in one["kinds"]
            },
            cookies={person: session.token for person, session in cookies.items()},
            spare_sessions={person: str(session.id) for person, session in list(spare.items())[:3]},
            owned={
                "myDay": _days(seeded, pupils),
                "listDevices": _of_each(seeded["devices"], "person_id"),
                "listSessions": {
                    person: {str(cookies[person].id), str(spare[person].id)} for person in cookies
                },
            },
            sensors=[one for one in seeded["devices"] if set(one["kinds"]) & set(SAMPLES)],
            decks={
                one["id"]: await _media(db, objects, UUID(one["id"]), now)
                for one in seeded["lessons"]
            },
        )


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


def _one_a_role(seeded: dict[str, Any]) -> list[dict[str, Any]]:
    """Both sides of the visits looked at, and one person of every role of every organisation."""
    sides = {one[side] for one in _three(seeded["visits"]) for side in ("doctor_id", "patient_id")}
    roles: dict[tuple[str, ...], dict[str, Any]] = {}
    for person in seeded["persons"]:
        roles.setdefault((*person["roles"], str(person["organisation_id"])), person)
    chosen = {one["id"] for one in roles.values()} | sides
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


async def test_every_operation_answers_everybody_as_the_matrix_says(
    app: Litestar, region: Region
) -> None:
    started = time.monotonic()
    assert await sweep(app, document(), region) == []
    assert time.monotonic() - started < 300


async def test_a_device_stores_for_its_person_and_nobody_else_stores(
    app: Litestar, region: Region
) -> None:
    assert len(region.sensors) > 1
    assert await sweep_devices(app, "/api/v1/readings", region) == []


async def test_the_sweep_is_red_when_a_list_shows_somebody_elses(
    app: Litestar, region: Region, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if a query forgot whose things it asks for: everybody is given the first person's."""
    rows = {name: MATRIX[name] for name in ("myDay", "listDevices", "listSessions")}
    monkeypatch.setattr("sweep.MATRIX", rows)
    first, second = (_owner_of_all(region, at) for at in (0, 1))
    region.cookies[second] = region.cookies[first]
    region.persons = [one for one in region.persons if one["id"] == second]
    found = await sweep(app, document(), region)
    assert {breach.operation for breach in found if breach.got == 200} == set(rows)


async def test_the_sweep_is_red_when_a_reading_lands_with_another(
    app: Litestar, region: Region
) -> None:
    for one in region.sensors:
        one["person_id"] = str(new_id())
    found = await sweep_devices(app, "/api/v1/readings", region)
    assert [breach.expected for breach in found] == ["a row of its own person"] * len(
        region.sensors
    )


def _owner_of_all(region: Region, at: int) -> str:
    """A patient with a device and a visit."""
    return [p for p in region.cookies if region.owned["listDevices"].get(p)][at]


async def test_the_sweep_is_red_when_the_policy_gives_everything(
    app: Litestar, region: Region, monkeypatch: pytest.MonkeyPatch
) -> None:
    for act in Act:
        monkeypatch.setitem(ACTS, act, (Rule(Reach.ANYONE),))
    # A pupil among them: an act on an unknown person or message is 404 to strangers in any case.
    pupil = next(one for one in region.persons if "pupil" in one["roles"])
    region.persons = [*region.persons[:4], *region.persons[-2:], pupil]
    breached = {breach.operation for breach in await sweep(app, document(), region)}
    assert breached >= {"getVisit", "visitReadings", "visitEcg", "visitEcgFrames", "getNote"}
    assert breached >= {"putNote", "openVisit", "closeVisit", "visitTicket"}
    # Every row of a lesson but those that an open policy lets nobody further with than before.
    assert breached >= OF_LESSON - {"raiseHand", "lowerHand"}


async def test_an_operation_without_a_row_is_a_breach(
    app: Litestar, region: Region, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = {name: MATRIX[name] for name in ("health", "me")}
    region.persons = []
    monkeypatch.setattr("sweep.MATRIX", rows)
    assert "getVisit" in {breach.operation for breach in await sweep(app, document(), region)}
