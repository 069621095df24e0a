"""People, lists and hats over HTTP: who is asked, what is answered, what is kept."""

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from api_world import API, Client, World, code
from sqlalchemy import func, select, update

from people.audit import AuditActs
from people.persons import Persons
from people.sessions import Sessions

BYTES = {"Content-Type": "application/octet-stream"}
ROWS = """sourcedId;имя;фамилия;дата рождения;роль;класс
p1;Айдар;Вәлиев;17.05.2012;ученик;7А
p2;София;;;ученик;7А
t1;Анна;Ковалёва;;учитель;
"""


@pytest.fixture
def school(world: World) -> str:
    """Where the school's administration is."""
    return f"{API}/organisations/{world['school']}"


async def send(
    client: httpx.AsyncClient, school: str, rows: str, mode: str = "look"
) -> httpx.Response:
    url = f"{school}/imports?mode={mode}"
    return await client.post(url, content=rows.encode(), headers=BYTES)


async def shown(client: httpx.AsyncClient, school: str, search: str) -> list[dict[str, Any]]:
    answer = await client.get(f"{school}/people", params={"search": search})
    people: list[dict[str, Any]] = answer.json()["people"]
    return people


async def persons(world: World) -> int:
    async with world.sessions() as db:
        return await db.scalar(select(func.count()).select_from(Persons)) or 0


async def test_a_list_is_looked_at_refused_whole_and_stored_without_its_bad_row(
    as_: Client, world: World, school: str
) -> None:
    """With line, field and reason; pupils sit in their class, and a repeat changes nothing."""
    head, before = as_("school_admin"), await persons(world)
    looked = (await send(head, school, ROWS)).json()
    assert (looked["stored"], looked["new"], looked["bad_count"]) == (False, 2, 1)
    assert looked["bad"] == [{"file": "", "line": 3, "field": "family_name", "code": "missing"}]
    whole = await send(head, school, ROWS, "whole")
    assert code(whole) == (422, "import_has_bad_rows")
    assert whole.json()["errors"][0] == {
        "field": ":3:family_name",
        "code": "missing",
        "params": {},
    }
    assert await persons(world) == before
    stored = (await send(head, school, ROWS, "skip")).json()
    assert (stored["stored"], stored["new"]) == (True, 2)
    again = (await send(head, school, ROWS, "skip")).json()
    assert (again["new"], again["same"]) == (0, 2)
    assert await persons(world) == before + 2
    [aidar] = await shown(head, school, "вәлиев")
    assert [hat["class_name"] for hat in aidar["hats"]] == ["7А"]
    assert (aidar["born_on"], aidar["source_id"]) == ("2012-05-17", "p1")


async def test_a_pupil_whom_a_list_puts_elsewhere_leaves_the_old_class(
    as_: Client, school: str
) -> None:
    """What the old class is shown is not for him any more."""
    head = as_("school_admin")
    await send(head, school, ROWS, "skip")
    await send(head, school, ROWS.replace("7А", "8А"), "skip")
    [aidar] = await shown(head, school, "Айдар")
    assert [hat["class_name"] for hat in aidar["hats"]] == ["8А"]


async def test_files_that_are_no_lists_are_refused_with_the_reason(
    as_: Client, school: str
) -> None:
    """The file is named and the reason; too much is refused before it is read."""
    head = as_("school_admin")
    empty = await send(head, school, "")
    assert code(empty) == (422, "roster_refused")
    assert empty.json()["errors"] == [{"field": "", "code": "empty", "params": {}}]
    large = await send(head, school, "x" * 5_000_001)
    assert code(large) == (413, "body_too_large")
    form = await head.post(f"{school}/imports", json={})
    assert code(form) == (415, "unsupported_media_type")
    wrong = await send(head, school, ROWS, "perhaps")
    assert code(wrong) == (400, "malformed_body")


async def test_hats_open_and_close_what_they_are_for(
    as_: Client, world: World, school: str
) -> None:
    """A teacher who is made administrator sees the people, until the hat is taken."""
    hat = f"{school}/people/{world['teacher']}/hats/administration"
    head = as_("school_admin")
    assert code(await as_("teacher").get(f"{school}/people")) == (403, "forbidden")
    assert (await head.put(hat)).status_code == 204
    assert (await as_("teacher").get(f"{school}/people")).status_code == 200
    assert (await head.delete(hat)).status_code == 204
    assert code(await as_("teacher").get(f"{school}/people")) == (403, "forbidden")
    own = f"{school}/people/{world['school_admin']}/hats/administration"
    assert code(await head.delete(own)) == (409, "last_administrator")
    assert code(await head.put(f"{school}/people/{world['teacher']}/hats/king")) == (
        400,
        "malformed_body",
    )
    assert code(await head.put(f"{school}/people/{world['doctor']}/hats/duty")) == (
        404,
        "not_found",
    )


async def test_who_is_let_go_is_signed_out_and_cannot_come_back_by_the_same_cookie(
    as_: Client, world: World, school: str
) -> None:
    """At the next request, whatever it is."""
    teacher = as_("teacher2")
    assert (await teacher.get(f"{API}/me")).status_code == 200
    person = f"{school}/people/{world['teacher2']}"
    assert (await as_("school_admin").delete(person)).status_code == 204
    assert code(await teacher.get(f"{API}/me")) == (401, "not_signed_in")
    assert (await as_("school_admin").put(person)).status_code == 204
    assert code(await teacher.get(f"{API}/me")) == (401, "not_signed_in")


async def test_what_changes_people_asks_for_a_fresh_proof(
    as_: Client, world: World, school: str
) -> None:
    """A browser left open is not enough; to look it is."""
    async with world.sessions() as db, db.begin():
        long_ago = datetime.now(UTC) - timedelta(minutes=6)
        await db.execute(update(Sessions).values(proved_at=long_ago))
    head = as_("school_admin")
    assert (await send(head, school, ROWS)).status_code == 200
    person = f"{school}/people/{world['teacher']}"
    new = {"given_name": "Олег", "family_name": "Ким", "role": "parent"}
    for answer in (
        await send(head, school, ROWS, "skip"),
        await head.post(f"{school}/people", json=new),
        await head.put(f"{person}/hats/clerkship"),
        await head.delete(f"{person}/hats/duty"),
        await head.delete(person),
        await head.put(person),
    ):
        assert code(answer) == (403, "step_up_needed")


async def test_a_person_typed_in_is_judged_as_a_row(as_: Client, world: World, school: str) -> None:
    """A bad field by its name; a double is asked about; what was done is kept without a name."""
    head = as_("school_admin")
    new = {"given_name": "Олег", "family_name": "Ким", "role": "pupil", "class_name": "5А"}
    bad = await head.post(f"{school}/people", json={**new, "given_name": "=1+1"})
    assert code(bad) == (422, "bad_person")
    assert [error["field"] for error in bad.json()["errors"]] == ["given_name"]
    assert (await head.post(f"{school}/people", json=new)).status_code == 201
    assert code(await head.post(f"{school}/people", json=new)) == (409, "possible_double")
    [oleg] = await shown(head, school, "ким олег")
    assert [hat["class_name"] for hat in oleg["hats"]] == ["5А"]
    async with world.sessions() as db:
        kept = await db.scalar(select(AuditActs).where(AuditActs.act == "add_person"))
    assert kept is not None
    assert (str(kept.subject_id), kept.details) == (oleg["id"], {"role": "pupil"})
