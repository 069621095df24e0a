"""The sweep is green on our policy, and red when a part of it is switched off.

Three broken builds: a policy that gives everything, one that compares no organisations, one that
shows a field to everybody who sees the thing.
"""

import time
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
import pytest
import sweep as table
from litestar import Litestar
from mock_provider import CLIENT_ID, CLIENT_SECRET, providing
from sqlalchemy import Select, select
from sweep import MATRIX, OF_LESSON
from sweep_region import Canaries, Region
from sweep_run import BASE, Law, report, sweep, sweep_devices

from api import rights
from api.acts import for_anyone
from api.house import House
from api.schema import document
from eschool import chat
from eschool.chat import LessonMessages
from people import policy, relations
from people.demo import ORGANISATIONS, demo_id
from people.oidc import Provider
from people.persons import Persons
from people.policy import ACTS, Act, Actor, Kind, Reach, Right, Rule, Thing
from storage.engine import new_id
from telemed import record
from telemed.record import RecordWay


@pytest.fixture
def database_url(region_url: str) -> str:
    """The region's instead of the world's."""
    return region_url


async def test_every_operation_answers_everybody_as_the_matrix_says(
    app: Litestar, region: Region, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And is judged by the acts that its route names, which is what docs/rights.md shows."""
    started = time.monotonic()
    law = Law(ACTS)
    for module in (policy, relations):
        monkeypatch.setattr(module, "ACTS", law)
    assert region.places.keys() == {str(demo_id(word)) for word in ORGANISATIONS}
    with providing() as outside:
        house: House = app.state.house
        house.provider = Provider(outside.issuer, CLIENT_ID, BASE, client_secret=CLIENT_SECRET)
        # Before somebody revokes one of the devices.
        found = await sweep_devices(app, "/api/v1/readings", region)
        found += await sweep(app, document(), region)
    assert not found, report(found)
    assert unlike(law.judged) == {}
    assert time.monotonic() - started < 300


def unlike(judged: Mapping[str, set[Act]]) -> dict[str, set[Act]]:
    """Operations with the acts that are judged and not named by the route, or the other way."""
    found: dict[str, set[Act]] = {}
    for name, _, acts in rights.operations():
        asked = {act for act in acts if not for_anyone(act)}
        did = judged.get(name, set())
        differ = (asked - did) | (did - set(acts))
        found |= {name: differ} if differ != table.UNJUDGED.get(name, set()) else {}
    return found


def test_an_act_that_no_route_names_or_no_verb_asks_for_is_seen() -> None:
    """The page of rights would say something else than what is done."""
    judged = {
        name: {*acts} - table.UNJUDGED.get(name, set()) for name, _, acts in rights.operations()
    }
    assert unlike(judged) == {}
    assert unlike(judged | {"getVisit": {*judged["getVisit"], Act.SEE_RECORD}}) == {
        "getVisit": {Act.SEE_RECORD}
    }
    assert unlike(judged | {"getRecord": set()}) == {"getRecord": {Act.SEE_RECORD}}


async def test_a_device_stores_for_its_person_and_nobody_else_stores(
    app: Litestar, region: Region
) -> None:
    assert len(region.sensors) > 1
    assert await sweep_devices(app, "/api/v1/readings", region) == []


async def test_the_sweep_is_red_when_a_list_shows_somebody_elses(
    app: Litestar, region: Region
) -> None:
    """As if a query forgot whose things it asks for: everybody is given the first person's."""
    first, second = (_owner_of_all(region, at) for at in (0, 1))
    region.cookies[second] = region.cookies[first]
    region.persons = [one for one in region.persons if one["id"] == second]
    lists = {"myDay", "listDevices", "listSessions"}
    found = await sweep(app, document(), region, lists)
    assert {breach.operation for breach in found if breach.expected.startswith("only")} == lists
    assert "name of" in "".join(breach.expected for breach in found)


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
    of_visit = {"getVisit", "visitReadings", "visitEcg", "visitEcgFrames", "getNote"}
    of_visit |= {"putNote", "openVisit", "closeVisit", "visitTicket"}
    found = await sweep(app, document(), region, of_visit | OF_LESSON)
    breached = {breach.operation for breach in found}
    assert breached >= of_visit
    # Every row of a lesson but those that an open policy lets nobody further with than before.
    assert breached >= OF_LESSON - {"raiseHand", "lowerHand"}
    assert "no note of" in "".join(breach.expected for breach in found)


async def test_the_sweep_is_red_when_organisations_are_not_compared(
    app: Litestar, region: Region, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An office anywhere is an office everywhere."""
    reaches = policy._reaches

    def anywhere(rule: Rule, right: Right, thing: Thing) -> bool:
        here = thing.organisation_id
        moved = msgspec.structs.replace(right, organisation_id=here) if here else right
        return reaches(rule, moved, thing)

    def reach(rule: Rule, thing: tuple[Any, Any, Any]) -> list[Any]:
        compared = compare(rule, thing)
        return compared if rule.reach is Reach.SUBJECT else compared[1:]

    compare = relations._reach
    monkeypatch.setattr(policy, "_reaches", anywhere)
    monkeypatch.setattr(relations, "_reach", reach)
    places = {name for name, row in MATRIX.items() if table.ADMINISTRATOR in row}
    reads = places & {"listBreakGlass", "listPeople", "listCards", "readAudit", "getBoard"}
    found = await sweep(app, document(), region, reads)
    breached = {(one.operation, one.relation) for one in found if one.got == 200}
    assert len(reads) > 3
    assert breached >= {(name, "stranger") for name in reads}
    # And the answers tell who is there.
    told = {b.operation for b in found if b.relation == "stranger" and "no name of" in b.expected}
    assert told >= {"listPeople", "listBreakGlass", "listCards", "readAudit"}


async def test_the_sweep_is_red_when_a_clinic_opens_its_records_to_every_doctor_on_duty(
    app: Litestar, region: Region, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if belonging to the same clinic were reason enough."""
    way = record._way

    def colleagues(
        actor: Actor, person_id: UUID, place: UUID | None, now: datetime
    ) -> tuple[RecordWay, Right | None]:
        duty = next((right for right in actor.rights if right.kind is Kind.DUTY), None)
        if duty and str(person_id) in region.places.get(str(duty.organisation_id), {}):
            return RecordWay.BREAK_GLASS, duty
        return way(actor, person_id, place, now)

    wider = (*ACTS[Act.SEE_RECORD], Rule(Reach.ORGANISATION, Kind.DUTY))
    monkeypatch.setitem(ACTS, Act.SEE_RECORD, wider)
    monkeypatch.setattr(record, "_way", colleagues)
    found = await sweep(app, document(), region, {"getRecord"})
    assert {(one.relation, one.got) for one in found} >= {("stranger", 200), ("doctor", 200)}


async def test_the_sweep_is_red_when_a_field_is_shown_to_all_who_see_the_thing(
    app: Litestar, region: Region, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What waits for the teacher's word, read by the whole class."""

    def visible(_: object, lesson_id: UUID, __: object) -> Select[Any]:
        author = LessonMessages.person_id == Persons.id
        return (
            select(LessonMessages, Persons)
            .join(Persons, author)
            .where(LessonMessages.lesson_id == lesson_id)
        )

    monkeypatch.setattr(chat, "_visible", visible)
    found = await sweep(app, document(), region, {"listMessages"})
    assert {breach.relation for breach in found if "held message" in breach.expected} == {"pupil"}


async def test_an_operation_without_a_row_is_a_breach(
    app: Litestar, region: Region, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = {name: MATRIX[name] for name in ("health", "me")}
    region.persons = []
    monkeypatch.setattr(table, "MATRIX", rows)
    assert "getVisit" in {breach.operation for breach in await sweep(app, document(), region)}


def test_a_planted_word_is_found_wherever_it_is_said_and_whoever_it_is_said_to() -> None:
    canaries = Canaries()
    word = canaries.plant("a diagnosis", {"doctor"})
    assert canaries.leaked(f'{{"text": "x {word}"}}', "doctor") == []
    assert canaries.leaked(f'{{"text": "x {word}"}}', "patient") == ["a diagnosis"]
    assert canaries.leaked(word, None) == ["a diagnosis"]
