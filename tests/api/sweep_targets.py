"""The things each operation of tests/api/sweep.py is asked of, and what the caller is to each."""

import re
from collections.abc import Callable, Container, Iterator
from uuid import uuid4

from sweep import (
    ADMINISTRATOR,
    AT_ORGANISATION,
    CLERK,
    DOCTOR,
    DUTY_DOCTOR,
    GLASS,
    GUARDIAN,
    MATRIX,
    NAMES_PERSON,
    OF_BOTH,
    OF_ONESELF,
    OF_PERSON,
    PATIENT,
    PUPIL,
    SCHOOL_GUARDIAN,
    SELF,
    STRANGER,
    TAKES_CODE,
    TEACHER,
)
from sweep_bodies import ASKS_ABOUT
from sweep_region import Region

# Opened to a doctor by a share or in an emergency, not by treating somebody.
OF_RECORD = frozenset(
    {
        *("fhirObservations", "getRecord", "recordChart"),
        *("listRecordEcgFiles", "getRecordEcgFile", "printRecordEcgFile"),
    }
)
# Of a room, also for who administers the organisation it is in.
FOR_DESK = frozenset({"visitCallTimeline", "lessonCallTimeline"})
Target = tuple[str, dict[str, str]]


def targets(region: Region, operation: str, path: str, person: str) -> Iterator[Target]:
    """What `person` is to each thing the operation can be asked of, and the path's parameters.

    Own, of others here, of other organisations, and one that is not there. A parameter that says
    nothing about whose the thing is gets a random id.
    """
    named = set(re.findall(r"{(\w+)", path))
    makers = {
        "visit_id": _visits,
        "lesson_id": _lessons,
        "organisation_id": _organisations,
        "guardianship_id": _ties,
        **{name: _own(name) for name in region.own},
        "person_id": _persons,
        "child_id": _persons,
    }
    asked_of = named | ({"organisation_id"} if operation in AT_ORGANISATION else set())
    asked_of |= {"person_id"} if operation in OF_PERSON else set()
    made_by = next((makers[name] for name in makers if name in asked_of), None)
    made_by = _words if operation in OF_BOTH else made_by
    if made_by is None:
        # A random id is nobody's.
        relation = SELF if SELF in MATRIX.get(operation, {}) and not named else STRANGER
        yield relation, {name: str(uuid4()) for name in named}
        return
    if made_by is _organisations:
        made_by = _people_of_organisations if operation in NAMES_PERSON else made_by
        made_by = _cards_of_organisations if "card_id" in named else made_by
        made_by = _ties_of_organisations if "guardianship_id" in named else made_by
    for relation, ids in made_by(region, operation, person):
        yield relation, {name: str(uuid4()) for name in named} | ids


def _visits(region: Region, operation: str, person: str) -> Iterator[Target]:
    for visit in region.visits:
        relation = {visit["doctor_id"]: DOCTOR, visit["patient_id"]: PATIENT}.get(person, STRANGER)
        relation = _at_desk(region, operation, person, visit["organisation_id"], relation)
        ids = {"visit_id": visit["id"], "file_id": region.files[visit["id"]]}
        if operation in {"printEcgFile", "convertEcgFile"}:
            ids["file_id"] = region.ecg_files[visit["id"]]
        ids["strip_id"] = region.strips[visit["id"]]
        # The visit's own stream first: in a stranger's shoes another's is the same question.
        yield relation, ids | {"stream_id": region.streams[visit["patient_id"]]}
        if operation in {"visitEcgFrames", "visitEcgAnalysis"}:
            yield STRANGER, ids
            other = next(s for p, s in region.streams.items() if p != visit["patient_id"])
            yield STRANGER, ids | {"stream_id": other}
    yield STRANGER, {"visit_id": str(uuid4())}


def _at_desk(region: Region, operation: str, person: str, place: str, relation: str) -> str:
    """The relation, or that of an administrator where that is more."""
    administers = region.places.get(place, {}).get(person) == ADMINISTRATOR
    more = operation in FOR_DESK and administers and relation not in {DOCTOR, TEACHER}
    return ADMINISTRATOR if more else relation


def _lessons(region: Region, operation: str, person: str) -> Iterator[Target]:
    for lesson in region.lessons:
        relation = PUPIL if person in region.classes[lesson["id"]] else STRANGER
        relation = TEACHER if lesson["teacher_id"] == person else relation
        relation = _at_desk(region, operation, person, lesson["organisation_id"], relation)
        below = {"deck_id": region.decks[lesson["id"]], "page": "1", "name": "0.m4s"}
        yield relation, {"lesson_id": lesson["id"]} | below
    yield STRANGER, {"lesson_id": str(uuid4()), "page": "1", "name": "0.m4s"}


def _organisations(region: Region, operation: str, person: str) -> Iterator[Target]:
    """Every organisation, for some also about somebody of elsewhere; and one that is not there."""
    for place, members in region.places.items():
        relation = members.get(person, STRANGER)
        yield relation, {"organisation_id": place, "query": ""}
        if operation in TAKES_CODE:
            codes = region.family.codes[TAKES_CODE[operation]]
            # Whoever else asks is refused before the code is looked at.
            code = codes.pop() if relation in {CLERK, DUTY_DOCTOR} else codes[0]
            yield relation, {"organisation_id": place, "code": code, "whose": place}
        if relation == ADMINISTRATOR and operation in ASKS_ABOUT:
            parameter, is_to = ASKS_ABOUT[operation]
            far = _far(region, members)
            ids = {"organisation_id": place, "far_id": far}
            yield is_to, ids | {"query": f"?{parameter}={far}"}
    yield STRANGER, {"organisation_id": str(uuid4()), "query": ""}


def _far(region: Region, members: Container[str]) -> str:
    """Somebody who is neither of an organisation nor guardian of who is."""
    near = (g for child, g in region.guardians.items() if child in members)
    families = {guardian for guardians in near for guardian in guardians}
    return next(p for p in region.everybody if p not in members and p not in families)


def _people_of_organisations(region: Region, operation: str, person: str) -> Iterator[Target]:
    """Of every organisation one of its people; then, for who administers it, one of another."""
    hat = {"hat": "administration"}
    asking = {str(one["id"]) for one in region.persons}
    for place, members in region.places.items():
        relation = members.get(person, STRANGER)
        # Somebody who does not ask anything himself, wherever there is one.
        somebody = next((one for one in members if one not in asking), next(iter(members)))
        if operation in OF_ONESELF and relation == ADMINISTRATOR:
            somebody = person
        yield relation, hat | {"organisation_id": place, "person_id": somebody}
        if relation == ADMINISTRATOR:
            far = _far(region, members)
            yield STRANGER, hat | {"organisation_id": place, "person_id": far}
    yield STRANGER, hat | {"organisation_id": str(uuid4())}


def _cards_of_organisations(region: Region, _: str, person: str) -> Iterator[Target]:
    """A card of each organisation; then, for who administers it, one of another."""
    for place, card in region.cards.items():
        relation = region.places[place].get(person, STRANGER)
        yield relation, {"organisation_id": place, "card_id": card}
        if relation == ADMINISTRATOR:
            far = next(one for other, one in region.cards.items() if other != place)
            yield STRANGER, {"organisation_id": place, "card_id": far}


def _ties(region: Region, operation: str, person: str) -> Iterator[Target]:
    """The ties that stand where the operation takes them further; one that is not there."""
    for sides, tie in region.family.of(operation):
        yield sides.get(person, STRANGER), {"guardianship_id": tie, "whose": tie}
    yield STRANGER, {"guardianship_id": str(uuid4())}


def _ties_of_organisations(region: Region, _: str, person: str) -> Iterator[Target]:
    """A tie of a child of an organisation, asked there and in every other."""
    for place, members in region.places.items():
        for of_place, tie in region.family.managed.items():
            relation = members.get(person, STRANGER)
            if relation == ADMINISTRATOR and place != of_place:
                relation = STRANGER
            yield relation, {"organisation_id": place, "guardianship_id": tie}
    yield STRANGER, {"organisation_id": str(uuid4())}


def _words(region: Region, operation: str, person: str) -> Iterator[Target]:
    """Each person as `_persons`, to whatever it belongs to and to one organisation besides."""
    for relation, ids in _persons(region, operation, person):
        whose = ids.get("person_id")
        places = {place for place, members in region.places.items() if whose in members}
        for place in sorted(places):
            yield relation, ids | {"organisation_id": place}
        far = next(place for place in region.places if place not in places)
        yield STRANGER, ids | {"organisation_id": far}


def _own(name: str) -> Callable[[Region, str, str], Iterator[Target]]:
    def things(region: Region, _: str, person: str) -> Iterator[Target]:
        for whose, one in region.own[name]:
            yield whose.get(person, STRANGER), {name: one, "whose": next(iter(whose))}
        yield STRANGER, {name: str(uuid4())}

    return things


def _persons(region: Region, operation: str, person: str) -> Iterator[Target]:
    """Oneself, a child or a patient of one's own, children and patients of others, nobody."""
    mine = {one["patient_id"] for one in region.visits if one["doctor_id"] == person}
    others = [*region.guardians, *(one["patient_id"] for one in region.visits)]
    for one in dict.fromkeys([person, *others]):
        relation = STRANGER
        if person in region.guardians.get(one, ()):
            health = person in region.health.get(one, ())
            relation = GUARDIAN if health else SCHOOL_GUARDIAN
        elif operation in OF_RECORD and person in region.glass.get(one, ()):
            relation = GLASS
        elif operation in OF_RECORD and one in mine:
            relation = DOCTOR
        ids = {"person_id": one, "child_id": one} if one else {}
        yield SELF if one == person else relation, ids
    yield STRANGER, {}
