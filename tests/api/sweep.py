"""Every operation, asked for by everybody of the demo, of own, foreign, far and random things.

What is expected stands in MATRIX and is worked out from who is who in the seed, never by asking the
policy. An operation without a row is a breach itself. An answer of 200 that lists things lists the
caller's own; what a device sends lies with its person and nobody else.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
from litestar import Litestar
from sqlalchemy import select

from api.house import House
from people.audit import WRITE_PATH
from telemed.readings import Readings

NOBODY, STRANGER, SELF = "nobody", "stranger", "self"
DOCTOR, PATIENT, TEACHER, PUPIL = "doctor", "patient", "teacher", "pupil"

# operation → what the caller is to the thing → statuses; who is not named is a stranger.
MATRIX: dict[str, dict[str, set[int]]] = {
    "health": {NOBODY: {200}, STRANGER: {200}},
    "ready": {NOBODY: {200}, STRANGER: {200}},
    "signIn": {NOBODY: {401, 429}, STRANGER: {401, 429}},
    "me": {NOBODY: {401}, SELF: {200}},
    "updateMe": {NOBODY: {401}, SELF: {200}},
    "listSessions": {NOBODY: {401}, SELF: {200}},
    "myDay": {NOBODY: {401}, SELF: {200}},
    "listDevices": {NOBODY: {401}, SELF: {200}},
    "addMyReading": {NOBODY: {401}, SELF: {200, 201}},
    "sendReadings": {NOBODY: {401}, STRANGER: {401}},
    "getVisit": {NOBODY: {401}, STRANGER: {404}, DOCTOR: {200}, PATIENT: {200}},
    "openVisit": {NOBODY: {401}, STRANGER: {404}, DOCTOR: {200}, PATIENT: {403}},
    "visitTicket": {NOBODY: {401}, STRANGER: {404}, DOCTOR: {201}, PATIENT: {201}},
    "visitReadings": {NOBODY: {401}, STRANGER: {404}, DOCTOR: {200}, PATIENT: {200}},
    "visitEcg": {NOBODY: {401}, STRANGER: {404}, DOCTOR: {200}, PATIENT: {200}},
    "visitEcgFrames": {NOBODY: {401}, STRANGER: {404}, DOCTOR: {200}, PATIENT: {200}},
    "getNote": {NOBODY: {401}, STRANGER: {404}, DOCTOR: {200}, PATIENT: {403}},
    "putNote": {NOBODY: {401}, STRANGER: {404}, DOCTOR: {200}, PATIENT: {403}},
    "getLesson": {NOBODY: {401}, STRANGER: {404}, TEACHER: {200}, PUPIL: {200}},
    "openLesson": {NOBODY: {401}, STRANGER: {404}, TEACHER: {200, 409}, PUPIL: {403}},
    "lessonTicket": {NOBODY: {401}, STRANGER: {404}, TEACHER: {201}, PUPIL: {201}},
    "getLessonRoom": {NOBODY: {401}, STRANGER: {404}, TEACHER: {200}, PUPIL: {200}},
    "raiseHand": {NOBODY: {401}, STRANGER: {404}, TEACHER: {403, 409}, PUPIL: {204, 409}},
    "lowerHand": {NOBODY: {401}, STRANGER: {404}, TEACHER: {204, 409}, PUPIL: {204, 409}},
    "lowerOtherHand": {NOBODY: {401}, STRANGER: {404}, TEACHER: {204, 409}, PUPIL: {403}},
    "giveFloor": {NOBODY: {401}, STRANGER: {404}, TEACHER: {200, 404, 409}, PUPIL: {403}},
    "takeFloor": {NOBODY: {401}, STRANGER: {404}, TEACHER: {204, 409}, PUPIL: {204, 403, 409}},
    "listMessages": {NOBODY: {401}, STRANGER: {404}, TEACHER: {200}, PUPIL: {200}},
    "writeMessage": {NOBODY: {401}, STRANGER: {404}, TEACHER: {201, 409}, PUPIL: {201, 409}},
    "decideMessage": {NOBODY: {401}, STRANGER: {404}, TEACHER: {404, 409}, PUPIL: {403}},
    "holdChat": {NOBODY: {401}, STRANGER: {404}, TEACHER: {204}, PUPIL: {403}},
    # Nothing that is no PDF is taken, whoever sends it; here it is asked who is asked for one.
    "addSlides": {NOBODY: {401}, STRANGER: {404}, TEACHER: {415}, PUPIL: {403}},
    "turnSlide": {NOBODY: {401}, STRANGER: {404}, TEACHER: {200}, PUPIL: {403}},
    "getSlides": {NOBODY: {401}, STRANGER: {404}, TEACHER: {200}, PUPIL: {200}},
    "getSlide": {NOBODY: {401}, STRANGER: {404}, TEACHER: {200}, PUPIL: {200}},
    "record": {NOBODY: {401}, STRANGER: {404}, TEACHER: {200, 409}, PUPIL: {403}},
    "getRecording": {NOBODY: {401}, STRANGER: {404}, TEACHER: {200}, PUPIL: {200}},
    "getPlaylist": {NOBODY: {401}, STRANGER: {404}, TEACHER: {200}, PUPIL: {200}},
    "getInitSegment": {NOBODY: {401}, STRANGER: {404}, TEACHER: {200}, PUPIL: {200}},
    "getSegment": {NOBODY: {401}, STRANGER: {404}, TEACHER: {200}, PUPIL: {200}},
    "getRecordingFile": {NOBODY: {401}, STRANGER: {404}, TEACHER: {200}, PUPIL: {200}},
    "getRecordingVoice": {NOBODY: {401}, STRANGER: {404}, TEACHER: {200}, PUPIL: {200}},
    # What ends things comes last.
    "endLesson": {NOBODY: {401}, STRANGER: {404}, TEACHER: {200, 409}, PUPIL: {403}},
    "closeVisit": {NOBODY: {401}, STRANGER: {404}, DOCTOR: {200}, PATIENT: {403}},
    "revokeDevice": {NOBODY: {401}, STRANGER: {404}, SELF: {204}},
    "endSession": {NOBODY: {401}, STRANGER: {404}, SELF: {204}},
    "signOut": {NOBODY: {401}, SELF: {204}},
}

BODIES: dict[str, Any] = {
    "signIn": {"login": "nobody.at.all", "password": "x"},
    "updateMe": {"language": "en"},
    "putNote": {"text": "-", "version": 0},
    "addMyReading": {
        "kind": "spo2",
        "sequence": 1,
        "taken_at": datetime.now(UTC).isoformat(),
        "values": {"spo2": 97},
        "unit": "%",
    },
    "sendReadings": {"readings": []},
    "giveFloor": {"person_id": str(uuid4()), "kinds": ["audio"]},
    "writeMessage": {"text": "-", "client_id": str(uuid4())},
    "decideMessage": {"state": "approved"},
    "holdChat": {"held": True},
    "turnSlide": {"page": 1},
    "record": {"on": False},
}
QUERIES = {"addSlides": "?name=x.pdf"}
# Operations of a lesson, by what else their path names.
OF_LESSON = frozenset(name for name, row in MATRIX.items() if TEACHER in row)


# Lists answer anybody with 200: here it counts whose things came back.
LISTS = frozenset({"myDay", "listDevices", "listSessions"})
SAMPLES: dict[str, tuple[str, dict[str, float]]] = {
    "blood_pressure": ("mmHg", {"systolic": 128, "diastolic": 82, "pulse": 71}),
    "glucose": ("mmol/L", {"glucose": 5.4}),
    "spo2": ("%", {"spo2": 97}),
    "temperature": ("°C", {"temperature": 36.6}),
}


@dataclass
class Region:
    """The demo as the sweep needs it: the seed's printout, and what was added to it."""

    persons: list[dict[str, Any]]
    visits: list[dict[str, Any]]
    lessons: list[dict[str, Any]]
    devices: list[dict[str, Any]]
    classes: dict[str, set[str]]  # lesson → its pupils
    streams: dict[str, str]  # patient → an ECG stream
    cookies: dict[str, str]  # person → session token
    spare_sessions: dict[str, str]  # person → id of another session of theirs
    owned: dict[str, dict[str, set[str]]]  # list operation → person → ids of all that is theirs
    sensors: list[dict[str, Any]]  # devices that send readings, with their tokens
    decks: dict[str, str]  # lesson → its slides


@dataclass(frozen=True)
class Breach:
    """An answer that was not expected."""

    operation: str
    who: str
    relation: str
    expected: str
    got: int


def targets(region: Region, operation: str, person: str) -> Iterator[tuple[str, dict[str, str]]]:
    """What `person` is to each thing the operation can be asked of, and the path's parameters."""
    if operation == "visitEcgFrames":
        for visit in region.visits:
            relation, ids = _visit(visit, person)
            yield relation, {**ids, "stream_id": region.streams[visit["patient_id"]]}
            yield STRANGER, {**ids, "stream_id": str(uuid4())}
            other = next(s for p, s in region.streams.items() if p != visit["patient_id"])
            yield STRANGER, {**ids, "stream_id": other}
    elif "isit" in operation or operation in {"getNote", "putNote"}:
        yield from (_visit(visit, person) for visit in region.visits)
        yield STRANGER, {"visit_id": str(uuid4())}
    elif operation in OF_LESSON:
        for lesson in region.lessons:
            relation, ids = _lesson(lesson, region.classes, person)
            yield relation, ids | _below(region, lesson["id"])
        yield STRANGER, {"lesson_id": str(uuid4())} | _below(region, None)
    elif operation == "revokeDevice":
        for device in region.devices:
            mine = SELF if device["person_id"] == person else STRANGER
            yield mine, {"device_id": device["id"]}
        yield STRANGER, {"device_id": str(uuid4())}
    elif operation == "endSession":
        for owner, session_id in region.spare_sessions.items():
            yield SELF if owner == person else STRANGER, {"session_id": session_id}
        yield STRANGER, {"session_id": str(uuid4())}
    else:
        yield SELF if SELF in MATRIX.get(operation, {}) else STRANGER, {}


def _below(region: Region, lesson_id: str | None) -> dict[str, str]:
    """What the paths below a lesson name: its deck and segment, and somebody's ids."""
    deck_id = region.decks.get(lesson_id or "", str(uuid4()))
    one = {"person_id": str(uuid4()), "message_id": str(uuid4())}
    return {**one, "deck_id": deck_id, "page": "1", "name": "0.m4s"}


def _visit(visit: dict[str, Any], person: str) -> tuple[str, dict[str, str]]:
    relation = {visit["doctor_id"]: DOCTOR, visit["patient_id"]: PATIENT}.get(person, STRANGER)
    return relation, {"visit_id": visit["id"]}


def _lesson(
    lesson: dict[str, Any], classes: dict[str, set[str]], person: str
) -> tuple[str, dict[str, str]]:
    relation = PUPIL if person in classes[lesson["id"]] else STRANGER
    relation = TEACHER if lesson["teacher_id"] == person else relation
    return relation, {"lesson_id": lesson["id"]}


async def sweep(app: Litestar, document: dict[str, Any], region: Region) -> list[Breach]:
    """Ask for everything; what came out otherwise than expected."""
    found: list[Breach] = []
    operations = {
        operation["operationId"]: (method.upper(), path)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }
    found += [Breach(name, "-", "-", "a row in MATRIX", 0) for name in operations.keys() - MATRIX]
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    for name in (name for name in MATRIX if name in operations):
        method, path = operations[name]
        for person in [None, *(str(one["id"]) for one in region.persons)]:
            cookies = {"yanasha": region.cookies[person]} if person else {}
            async with httpx.AsyncClient(
                transport=transport, base_url="http://127.0.0.1:8000", cookies=cookies
            ) as client:
                for relation, ids in targets(region, name, person or ""):
                    is_to = relation if person else NOBODY
                    answer = await client.request(
                        method, path.format(**ids) + QUERIES.get(name, ""), json=BODIES.get(name)
                    )
                    expected = MATRIX[name].get(is_to, MATRIX[name].get(STRANGER, set()))
                    if answer.status_code not in expected:
                        login = _login(region, person)
                        found.append(Breach(name, login, is_to, str(expected), answer.status_code))
                    elif person and name in LISTS:
                        found += _not_own(region, name, person, answer.json())
    return found


def _not_own(region: Region, name: str, person: str, body: Any) -> list[Breach]:
    """A list that is not the caller's own: a day may show a part of it, other lists are whole."""
    rows = [*body["visits"], *body["lessons"]] if name == "myDay" else body
    shown, owned = {row["id"] for row in rows}, region.owned[name].get(person, set())
    if shown <= owned and (name == "myDay" or shown == owned):
        return []
    return [Breach(name, _login(region, person), SELF, f"only {sorted(owned)}", 200)]


async def sweep_devices(app: Litestar, path: str, region: Region) -> list[Breach]:
    """Every device sends a reading; so does who has no device's token. What lies where it must not."""
    found: list[Breach] = []
    house: House = app.state.house
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as client:

        async def send(token: str, kind: str) -> httpx.Response:
            headers = {"Authorization": f"Bearer {token}"}
            return await client.post(path, json=_sent(kind), headers=headers)

        for one in region.sensors:
            answer = await send(one["token"], one["kinds"][0])
            if answer.status_code != 201:
                found.append(Breach(path, one["id"], SELF, "201", answer.status_code))
                continue
            ids = [UUID(row["id"]) for row in answer.json()["results"]]
            query = select(Readings.person_id, Readings.device_id).where(Readings.id.in_(ids))
            async with house.transaction() as db:
                rows = (await db.execute(query, execution_options=WRITE_PATH)).all()
            if [(str(a), str(b)) for a, b in rows] != [(one["person_id"], one["id"])]:
                found.append(Breach(path, one["id"], SELF, "a row of its own person", 201))
            me = await client.get("/api/v1/me", headers={"Cookie": f"yanasha={one['token']}"})
            if me.status_code != 401:
                found.append(Breach("me", one["id"], STRANGER, "401", me.status_code))
            foreign = next(kind for kind in SAMPLES if kind not in one["kinds"])
            refused = await send(one["token"], foreign)
            if refused.status_code != 422:
                found.append(Breach(path, one["id"], SELF, "422", refused.status_code))
        token = region.sensors[0]["token"]
        for wrong in ("garbage", token[:-1], token.upper(), *region.cookies.values()):
            answer = await send(wrong, region.sensors[0]["kinds"][0])
            if answer.status_code != 401:
                found.append(Breach(path, "no device", STRANGER, "401", answer.status_code))
    return found


def _sent(kind: str) -> dict[str, Any]:
    unit, values = SAMPLES[kind]
    taken_at = (datetime.now(UTC) - timedelta(minutes=1)).isoformat()
    # A number no program that runs beside the test has used.
    one = {"kind": kind, "sequence": uuid4().int >> 80, "taken_at": taken_at}
    return {"readings": [{**one, "values": values, "unit": unit}]}


def _login(region: Region, person: str | None) -> str:
    logins = {str(one["id"]): str(one["login"]) for one in region.persons}
    return logins[person] if person else NOBODY


def uuid_of(text: str) -> UUID:
    """The id in a seed's printout."""
    return UUID(text)
