"""Every operation, asked for by everybody of the demo, of own, foreign, far and random things.

What is expected stands in MATRIX and is worked out from who is who in the seed, never by asking the
policy. An operation without a row is a breach itself.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import httpx
from litestar import Litestar

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
    # What ends things comes last.
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
    elif operation == "getLesson":
        yield from (_lesson(lesson, region.classes, person) for lesson in region.lessons)
        yield STRANGER, {"lesson_id": str(uuid4())}
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
                    answer = await client.request(method, path.format(**ids), json=BODIES.get(name))
                    expected = MATRIX[name].get(is_to, MATRIX[name].get(STRANGER, set()))
                    if answer.status_code not in expected:
                        login = _login(region, person)
                        found.append(Breach(name, login, is_to, str(expected), answer.status_code))
    return found


def _login(region: Region, person: str | None) -> str:
    logins = {str(one["id"]): str(one["login"]) for one in region.persons}
    return logins[person] if person else NOBODY


def uuid_of(text: str) -> UUID:
    """The id in a seed's printout."""
    return UUID(text)
