"""Families and the desk over HTTP: what is closed is absent, and closes at once."""

from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
from api_world import API, Client, World, code, reading
from sqlalchemy import select, update

from people import codes
from people.audit import AuditActs, AuditReads
from people.persons import Persons
from people.policy import Kind, Right
from people.relations import grant
from telemed import visits


@pytest.fixture
async def family(world: World) -> World:
    """The pupil is a child of seven, a patient of the clinic with a visit today."""
    now = datetime.now(UTC)
    async with world.sessions() as db, db.begin():
        born = date(now.year - 7, 1, 1)
        child = Persons.id == world["pupil"]
        await db.execute(update(Persons).where(child).values(born_on=born))
        for name, kind in (("pupil", Kind.ATTACHMENT), ("teacher2", Kind.CLERKSHIP)):
            right = Right(
                actor_id=world[name], kind=kind, organisation_id=world["clinic"], since=now
            )
            await grant(db, right, "test")
    async with world.sessions() as db, db.begin():
        new = visits.NewVisit(
            organisation_id=world["clinic"],
            patient_id=world["pupil"],
            doctor_id=world["doctor"],
            starts_at=now,
            ends_at=now + timedelta(minutes=20),
        )
        world.ids["child_visit"] = await visits.book(
            db, await world.actor("clinic_admin"), new, now
        )
    return world


async def told(client: httpx.AsyncClient, path: str) -> Any:
    answer = await client.get(f"{API}{path}")
    assert answer.status_code == 200, answer.text
    return answer.json()


async def confirmed(as_: Client, world: World) -> str:
    """The parent asks with the child's code; the school and the clinic confirm their sides."""
    shown = await as_("pupil").post(f"{API}/family/code")
    assert shown.status_code == 201
    body = {"code": shown.json()["code"]}
    asked = await as_("parent").post(f"{API}/family/guardianships", json=body)
    assert asked.status_code == 201
    tie = str(asked.json()["id"])
    for admin, where in (("school_admin", "school"), ("clinic_admin", "clinic")):
        here = f"{API}/organisations/{world[where]}/guardianships"
        done = await as_(admin).post(f"{here}/{tie}/confirm")
        assert done.status_code == 204
    return tie


async def test_a_parent_sees_health_and_school_of_the_child_only(
    as_: Client, family: World
) -> None:
    """Before it is confirmed there is no child; a class mate and a stranger's child never are."""
    parent, child = as_("parent"), f"/children/{family['pupil']}"
    for path in (child, f"{child}/visits", f"{child}/lessons"):
        assert code(await parent.get(f"{API}{path}")) == (404, "not_found")
    await confirmed(as_, family)
    assert (await told(parent, child))["name"] == "Тест Pupil"
    assert [one["id"] for one in await told(parent, f"{child}/visits")] == [
        str(family["child_visit"])
    ]
    lessons = await told(parent, f"{child}/lessons")
    assert [one["id"] for one in lessons] == [str(family["lesson"])]
    assert "recorded" not in lessons[0]  # it is the class's to watch, not the guardian's
    (home,) = (await told(parent, "/home"))["children"]
    assert home["visit"]["id"] == str(family["child_visit"])
    assert home["lesson"]["id"] == str(family["lesson"])
    for other in ("pupil2", "patient", "parent"):
        answer = await parent.get(f"{API}/children/{family[other]}/visits")
        assert code(answer) == (404, "not_found")
    for name in ("pupil2", "doctor2", "school_admin"):
        assert code(await as_(name).get(f"{API}{child}/visits")) == (404, "not_found")
    # The child's record names the parent among those who looked.
    async with family.sessions() as db:
        query = select(AuditReads.actor_id).where(AuditReads.act == "see_child_health")
        assert set((await db.scalars(query)).all()) == {family["parent"]}


async def test_a_court_closes_health_at_once_and_it_is_truly_absent(
    as_: Client, family: World
) -> None:
    """School stays; ended by the office the whole child is gone at the next request."""
    tie, parent = await confirmed(as_, family), as_("parent")
    admin, here = as_("school_admin"), f"{API}/organisations/{family['school']}"
    child = f"/children/{family['pupil']}"
    limit = {"scope": "health", "paper": "2-145/2026"}
    assert (await admin.post(f"{here}/guardianships/{tie}/limits", json=limit)).status_code == 201
    assert code(await parent.get(f"{API}{child}/visits")) == (403, "forbidden")
    assert code(await parent.get(f"{API}/records/{family['pupil']}")) == (404, "not_found")
    assert await told(parent, f"{child}/lessons")
    (home,) = (await told(parent, "/home"))["children"]
    assert (home["visit"], home["child"]["health"]) == (None, False)
    assert str(family["child_visit"]) not in (await parent.get(f"{API}/home")).text
    # The paper is for those who keep it.
    assert "2-145" not in (await parent.get(f"{API}/family")).text
    assert (await admin.delete(f"{here}/guardianships/{tie}")).status_code == 204
    for path in (child, f"{child}/lessons"):
        assert code(await parent.get(f"{API}{path}")) == (404, "not_found")


async def test_bad_limits_are_refused_with_the_field(as_: Client, family: World) -> None:
    """Nothing is half kept; another organisation's administrator finds nothing."""
    tie = await confirmed(as_, family)
    here = f"{API}/organisations/{family['school']}/guardianships/{tie}/limits"
    good = {"scope": "school", "paper": "1"}
    for wrong, status, field in (
        ({"scope": "marks"}, 400, "scope"),
        ({"paper": ""}, 400, "paper"),
        ({"until": "2020-01-01T00:00:00Z"}, 422, "until"),
        ({"until": "2030-01-01T00:00:00"}, 400, "until"),
    ):
        answer = await as_("school_admin").post(here, json=good | wrong)
        assert answer.status_code == status
        assert [one["field"] for one in answer.json()["errors"]] == [field]
    for place in ("school", "clinic_b"):
        path = f"{API}/organisations/{family[place]}/guardianships/{tie}/limits"
        assert code(await as_("admin_b").post(path, json=good)) == (404, "not_found")
    (tied,) = await told(as_("school_admin"), f"/organisations/{family['school']}/guardianships")
    assert tied["limits"] == []


async def test_a_clerk_writes_a_reading_down_for_who_showed_a_code(
    as_: Client, family: World
) -> None:
    """It says it was typed at the desk; the audit says by whom; ended, nothing more is taken."""
    async with family.sessions() as db, db.begin():
        shown = await codes.make(db, family["patient"], "assist", datetime.now(UTC))
    clerk, body = as_("teacher2"), {"code": shown, "organisation_id": str(family["clinic"])}
    started = await clerk.post(f"{API}/assistance", json=body)
    assert started.status_code == 201
    assert code(await clerk.post(f"{API}/assistance", json=body)) == (404, "code_refused")
    here = f"/assistance/{started.json()['id']}"
    desk = await told(clerk, here)
    assert [one["id"] for one in desk["visits"]] == [str(family["visit"])]
    stored = await clerk.post(f"{API}{here}/readings", json=reading(7))
    assert (stored.status_code, stored.json()["device"]["name"]) == (201, "desk")
    again = await clerk.post(f"{API}{here}/readings", json=reading(7) | stored_at(stored))
    assert again.status_code == 200
    wrong = reading(8, values={"systolic": 82, "diastolic": 128, "pulse": 70})
    assert (await clerk.post(f"{API}{here}/readings", json=wrong)).status_code == 422
    seen = await told(as_("doctor"), f"/visits/{family['visit']}/readings")
    assert stored.json()["id"] in {one["id"] for one in seen}
    assert code(await as_("patient").post(f"{API}{here}/readings", json=wrong))[0] == 403
    assert (await as_("patient").delete(f"{API}{here}")).status_code == 204
    assert code(await clerk.post(f"{API}{here}/readings", json=reading(9)))[0] == 404
    async with family.sessions() as db:
        query = select(AuditActs.actor_id, AuditActs.subject_id).where(
            AuditActs.act == "reading_typed_at_desk"
        )
        rows = {tuple(row) for row in (await db.execute(query)).all()}
    assert rows == {(family["teacher2"], family["patient"])}


def stored_at(answer: httpx.Response) -> dict[str, str]:
    """The same moment again: a repeat has the content of the first."""
    assert UUID(answer.json()["id"])
    return {"taken_at": answer.json()["taken_at"]}
