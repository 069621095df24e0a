"""Acts of a lesson: who may, what a pupil is refused, and that it is kept who tried."""

from typing import Any
from uuid import UUID, uuid4

import pytest
from api_world import API, Client, World, code, pdf
from sqlalchemy import select, text

from people.audit import AuditRefusals

PDF = {"Content-Type": "application/pdf"}


def _acts(world: World) -> dict[str, tuple[str, str, dict[str, Any]]]:
    """What only the teacher does: method, path below the lesson, the rest of the request."""
    someone = str(world["pupil"])
    return {
        "open": ("POST", "/open", {}),
        "floor": ("PUT", "/floor", {"json": {"person_id": someone, "kinds": ["audio"]}}),
        "lower": ("DELETE", f"/hands/{world['pupil2']}", {}),
        "approve": ("PUT", f"/messages/{uuid4()}", {"json": {"state": "approved"}}),
        "hold": ("PUT", "/chat", {"json": {"held": False}}),
        "slides": ("PUT", "/slides?name=x.pdf", {"content": pdf(1), "headers": PDF}),
        "turn": ("PUT", "/slide", {"json": {"page": 1}}),
        "record": ("PUT", "/recording", {"json": {"on": True, "audience": "class"}}),
        "stop": ("PUT", "/recording", {"json": {"on": False}}),
        "end": ("POST", "/end", {}),
    }


NAMES = list(_acts(World(None, {"pupil": UUID(int=0), "pupil2": UUID(int=0)})))  # type: ignore[arg-type]


@pytest.fixture
def lesson(world: World) -> str:
    """Where the lesson is."""
    return f"{API}/lessons/{world['lesson']}"


async def _refusals(world: World) -> list[AuditRefusals]:
    async with world.sessions() as db:
        return list((await db.scalars(select(AuditRefusals).order_by(AuditRefusals.at))).all())


@pytest.mark.parametrize("name", NAMES)
async def test_what_the_teacher_does_is_refused_to_nobody_strangers_and_pupils(
    as_: Client, world: World, lesson: str, name: str
) -> None:
    method, path, rest = _acts(world)[name]
    await as_("teacher").post(f"{lesson}/open")
    assert code(await as_().request(method, lesson + path, **rest)) == (401, "not_signed_in")
    for stranger in ("teacher2", "pupil_b", "doctor", "school_admin"):
        answer = await as_(stranger).request(method, lesson + path, **rest)
        assert code(answer) == (404, "not_found"), stranger
    assert await _refusals(world) == []
    answer = await as_("pupil").request(method, lesson + path, **rest)
    assert code(answer) == (403, "forbidden")
    [kept] = await _refusals(world)
    assert (kept.actor_id, kept.act) == (world["pupil"], "lead_lesson")
    assert kept.about_id == world["lesson"]
    assert kept.organisation_id == world["school"]
    assert kept.route.startswith(f"{method} {API}/lessons/{{lesson_id}}/")
    assert str(world["lesson"]) not in kept.route


async def test_a_pupil_may_not_end_the_floor_of_another(
    as_: Client, world: World, lesson: str
) -> None:
    await as_("teacher").post(f"{lesson}/open")
    floor = {"person_id": str(world["pupil2"]), "kinds": ["audio"]}
    given = await as_("teacher").put(f"{lesson}/floor", json=floor)
    assert given.json()["floor"]["person"]["id"] == str(world["pupil2"])
    assert code(await as_("pupil").delete(f"{lesson}/floor")) == (403, "forbidden")
    assert [kept.act for kept in await _refusals(world)] == ["lead_lesson"]
    assert (await as_("pupil2").delete(f"{lesson}/floor")).status_code == 204
    assert (await as_("teacher").get(f"{lesson}/room")).json()["floor"] is None


async def test_a_lesson_from_its_opening_to_its_end(as_: Client, world: World, lesson: str) -> None:
    teacher, pupil = as_("teacher"), as_("pupil")
    assert code(await pupil.put(f"{lesson}/hand")) == (409, "lesson_not_running")
    assert (await teacher.post(f"{lesson}/open")).json()["state"] == "running"
    assert (await pupil.put(f"{lesson}/hand")).status_code == 204
    room = (await teacher.get(f"{lesson}/room")).json()
    assert [hand["person"]["id"] for hand in room["hands"]] == [str(world["pupil"])]
    assert (await teacher.delete(f"{lesson}/hands/{world['pupil']}")).status_code == 204
    assert (await pupil.put(f"{lesson}/hand")).status_code == 204
    assert (await pupil.delete(f"{lesson}/hand")).status_code == 204
    room = (await pupil.get(f"{lesson}/room")).json()
    assert room["hands"] == []
    assert room["recording"]["on"] is False
    started = (await teacher.put(f"{lesson}/recording", json={"on": True})).json()
    assert started["recording"]["audience"] == "class"
    shown = (await pupil.get(f"{lesson}/recording")).json()
    assert shown["state"] == "recording"
    assert (await teacher.post(f"{lesson}/end")).json()["state"] == "ended"
    assert code(await pupil.get(f"{lesson}/room")) == (409, "lesson_not_running")
    assert code(await pupil.post(f"{lesson}/ticket")) == (409, "lesson_not_running")


async def test_what_a_pupil_writes_waits_for_the_teacher(as_: Client, lesson: str) -> None:
    teacher, pupil, other = as_("teacher"), as_("pupil"), as_("pupil2")
    await teacher.post(f"{lesson}/open")
    words = {"text": "можно вопрос?", "client_id": str(uuid4())}
    first = await pupil.post(f"{lesson}/messages", json=words)
    assert (first.status_code, first.json()["state"]) == (201, "held")
    again = await pupil.post(f"{lesson}/messages", json=words)
    assert again.json()["id"] == first.json()["id"]
    assert (await other.get(f"{lesson}/messages")).json() == []
    where = f"{lesson}/messages/{first.json()['id']}"
    approved = await teacher.put(where, json={"state": "approved"})
    assert approved.json()["state"] == "approved"
    assert [one["text"] for one in (await other.get(f"{lesson}/messages")).json()] == [
        "можно вопрос?"
    ]
    assert code(await as_("pupil_b").get(f"{lesson}/messages")) == (404, "not_found")
    assert (await teacher.put(f"{lesson}/chat", json={"held": False})).status_code == 204
    free = {"text": "спасибо", "client_id": str(uuid4())}
    assert (await pupil.post(f"{lesson}/messages", json=free)).json()["state"] == "approved"


LONG = {"text": "x" * 501, "client_id": str(uuid4())}
SCREEN = {"person_id": str(uuid4()), "kinds": ["screen"]}


@pytest.mark.parametrize(
    ("asked", "body", "expected"),
    [
        (("PUT", "/floor"), {"person_id": "x", "kinds": ["audio"]}, (400, "malformed_body")),
        (("PUT", "/floor"), {"person_id": str(uuid4()), "kinds": []}, (400, "malformed_body")),
        (("PUT", "/floor"), SCREEN, (400, "malformed_body")),
        (("PUT", "/floor"), {"person_id": str(uuid4()), "kinds": ["audio"]}, (404, "not_found")),
        (("PUT", "/slide"), {"page": 1}, (404, "no_slides")),
        (("PUT", "/slide"), {"page": "1"}, (400, "malformed_body")),
        (("PUT", "/recording"), {"on": True, "audience": "world"}, (400, "malformed_body")),
        (("PUT", "/recording"), {"on": True, "from": 1}, (400, "unknown_field")),
        (("PUT", "/chat"), {}, (400, "malformed_body")),
        (("POST", "/messages"), {"text": " ", "client_id": str(uuid4())}, (422, "out_of_range")),
        (("POST", "/messages"), LONG, (422, "out_of_range")),
        (("PUT", f"/messages/{uuid4()}"), {"state": "held"}, (400, "malformed_body")),
        (("PUT", f"/messages/{uuid4()}"), {"state": "approved"}, (404, "not_found")),
    ],
)
async def test_bad_input_is_refused_with_a_code(
    as_: Client, lesson: str, asked: tuple[str, str], body: Any, expected: tuple[int, str]
) -> None:
    method, path = asked
    await as_("teacher").post(f"{lesson}/open")
    assert code(await as_("teacher").request(method, lesson + path, json=body)) == expected


async def test_a_refusal_that_cannot_be_kept_is_a_refusal_all_the_same(
    as_: Client, world: World, lesson: str
) -> None:
    async with world.sessions() as db, db.begin():
        await db.execute(text("DROP TABLE audit_refusals"))
    assert code(await as_("pupil").post(f"{lesson}/end")) == (403, "forbidden")
