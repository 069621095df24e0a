"""A person's archive, and the end of a person, over HTTP."""

import asyncio
import io
import json
import zipfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from datetime import UTC, datetime, timedelta
from functools import partial
from uuid import uuid4

import pytest
from api_world import API, Client, World, code, reading
from sqlalchemy import func, update
from sqlalchemy.ext.asyncio import AsyncSession

from api.exports import LONGEST_S, ExportRunning, Places, placed, places
from eschool.chat import LessonMessages
from people.exports import Source
from people.policy import Kind
from people.relations import Relations
from people.sessions import Caller, Sessions
from people.shares import Shares
from storage.data_keys import keys_of
from storage.engine import new_id
from storage.objects import Objects


async def test_the_archive_holds_what_is_ones_own(as_: Client, world: World) -> None:
    """Readings, visits, who looked; nothing of the secrets that open accounts."""
    cuff = as_()
    cuff.headers["Authorization"] = f"Bearer {world.device_tokens['patient:cuff']}"
    await cuff.post(f"{API}/readings", json={"readings": [reading(1), reading(2)]})
    await as_("doctor").get(f"{API}/visits/{world['visit']}/readings")
    now = datetime.now(UTC)
    said = {"lesson_id": world["lesson"], "state": "refused", "sent_at": now}
    asked = {"asked_by": world["doctor"], "organisation_id": world["clinic"], "fields": []}
    asked |= {"asked_fields": ["visits"], "asked_at": now, "answer_until": now}
    async with world.sessions() as db, db.begin():
        for who in ("patient", "patient2"):
            me = {"person_id": world[who]}
            db.add(LessonMessages(client_id=uuid4(), text=f"слова {who}", **said, **me))
            db.add(Shares(**asked, **me))

    answer = await as_("patient").get(f"{API}/me/export")

    assert answer.status_code == 200
    assert answer.headers["content-disposition"].startswith('attachment; filename="yanasha-')
    packed = zipfile.ZipFile(io.BytesIO(answer.content))
    assert packed.testzip() is None

    def rows(name: str) -> list[dict[str, object]]:
        return [json.loads(line) for line in packed.read(f"{name}.jsonl").splitlines()]

    assert [one["sequence"] for one in rows("readings")] == [1, 2]
    assert [one["id"] for one in rows("visits")] == [str(world["visit"])]
    assert {one["actor_id"] for one in rows("who-looked")} >= {str(world["doctor"])}
    assert [one["text"] for one in rows("lesson-messages")] == ["слова patient"]
    assert [one["asked_by"] for one in rows("shares")] == [str(world["doctor"])]
    assert rows("person")[0]["family_name"] == "Patient"
    everything = b"".join(packed.read(name) for name in packed.namelist())
    assert b"token_sha256" not in everything
    assert b"Patient2" not in everything

    theirs = zipfile.ZipFile(io.BytesIO((await as_("patient2").get(f"{API}/me/export")).content))
    assert theirs.read("readings.jsonl") == b""


async def test_the_archive_waits_for_a_proof(as_: Client, world: World) -> None:
    """Whoever finds an open browser does not carry everything away."""
    await not_proved_lately(world)
    assert code(await as_("patient").get(f"{API}/me/export")) == (403, "step_up_needed")
    assert code(await as_().get(f"{API}/me/export")) == (401, "not_signed_in")


async def test_one_archive_at_a_time_and_few_in_all(as_: Client, world: World) -> None:
    """Two at once give one; a refused or finished one leaves its place to the next."""
    patient, path = as_("patient"), f"{API}/me/export"
    answers = await asyncio.gather(patient.get(path), patient.get(path))
    assert sorted(one.status_code for one in answers) == [200, 409]
    assert (await patient.get(path)).status_code == 200

    others = [new_id() for _ in range(3)]
    try:
        for one in others:
            places.take(one)
        assert code(await patient.get(path)) == (503, "busy")
    finally:
        for one in others:
            places.leave(one)
    await not_proved_lately(world)
    for _ in range(2):
        assert code(await patient.get(path)) == (403, "step_up_needed")


async def test_an_hour_is_the_most(world: World, objects: Objects) -> None:
    """Then it breaks off and is no whole zip; the place is another's, also if nobody says so."""

    @asynccontextmanager
    async def transaction() -> AsyncIterator[AsyncSession]:
        async with world.sessions() as db, db.begin():
            yield db

    now, whose = datetime.now(UTC), world["patient"]
    caller = Caller(new_id(), await world.actor("patient"), whose, now)
    source = Source(transaction, objects, caller, now)
    for end, in_time in ((LONGEST_S - 1, True), (LONGEST_S + 1, False)):
        # A place is taken, the archive begun, its last piece sent; the next one asks.
        times = iter([0.0, 0.0, end, end])
        room, out = Places(partial(next, times)), io.BytesIO()
        room.take(whose)
        with nullcontext() if in_time else pytest.raises(TimeoutError):
            async for piece in placed(source, room):
                out.write(piece)
        assert zipfile.is_zipfile(out) is in_time
        room.take(whose)

        hanging = Places(partial(next, iter([0.0, 0.0, end])))
        hanging.take(whose)
        hanging.take_longer(whose)
        with pytest.raises(ExportRunning) if in_time else nullcontext():
            hanging.take(whose)


async def not_proved_lately(world: World) -> None:
    async with world.sessions() as db, db.begin():
        whose = Sessions.person_id == world["patient"]
        await db.execute(
            update(Sessions).where(whose).values(proved_at=Sessions.proved_at - timedelta(hours=1))
        )


async def test_a_person_is_held_and_then_erased(as_: Client, world: World) -> None:
    """Refused with the reasons in words, then done; the person's session ends."""
    clinic = f"{API}/organisations/{world['clinic']}"
    admin, whom = as_("clinic_admin"), str(world["patient2"])
    async with world.sessions() as db, db.begin():
        ahead = Relations.kind == Kind.APPOINTMENT.value
        await db.execute(update(Relations).where(ahead).values(until=func.now()))
    reason = {"person_id": whom, "reason": "жалоба"}
    hold = await admin.post(f"{clinic}/holds", json=reason)
    assert (hold.status_code, hold.json()["holds"]) == (201, True)
    new = {"person_id": whom, "reason": "asked"}
    refused = await admin.post(f"{clinic}/erasures", json=new)
    assert code(refused) == (409, "not_erasable")
    assert "held" in refused.json()["params"]["reasons"]
    looked = await as_("patient2").get(f"{API}/looked?own=true")
    taken = zipfile.ZipFile(io.BytesIO((await as_("patient2").get(f"{API}/me/export")).content))
    assert looked.status_code == 200
    assert "hold_" not in looked.text
    assert b"hold_set" not in taken.read("what-was-done.jsonl")
    audit = await admin.get(f"{clinic}/audit")
    assert "hold_set" in audit.text

    lifted = await admin.post(f"{clinic}/holds/{hold.json()['id']}/lift")
    assert lifted.status_code == 204
    plan = await admin.get(f"{clinic}/people/{whom}/erasure")
    assert (plan.json()["against"], plan.json()["keepers"]) == ([], 0)
    assert code(await admin.post(f"{clinic}/erasure-requests", json=new)) == (409, "nobody_to_ask")
    done = await admin.post(f"{clinic}/erasures", json=new)
    assert (done.status_code, done.json()["done"]) == (201, False)
    kept = (await admin.get(f"{clinic}/retention")).json()
    assert kept[0] == {"name": "health", "days": None, "years": None}
    assert [one["person_id"] for one in (await admin.get(f"{clinic}/erasures")).json()] == [whom]
    assert code(await as_("patient2").get(f"{API}/me")) == (401, "not_signed_in")


async def test_with_a_patient_the_right_to_what_was_written_ends(as_: Client, world: World) -> None:
    """The doctor finds nothing where the visit was: its note opens to nobody any more."""
    visit = f"{API}/visits/{world['visit']}"
    await as_("doctor").put(f"{visit}/note", json={"text": "Жалоб нет", "version": 0})
    await as_("doctor").post(f"{visit}/close")
    new = {"person_id": str(world["patient"]), "reason": "court"}
    clinic = f"{API}/organisations/{world['clinic']}"
    done = await as_("clinic_admin").post(f"{clinic}/erasures", json=new)
    assert done.status_code == 201, done.text
    assert code(await as_("doctor").get(f"{visit}/note")) == (404, "not_found")
    async with world.sessions() as db:
        assert await keys_of(db, [world["patient"]]) == {}


async def test_a_person_of_two_clinics_is_erased_when_both_have_agreed(
    as_: Client, world: World
) -> None:
    """Asked by one, seen and agreed to by the other; the session ends with the last word."""
    admin, other, whom = as_("clinic_admin"), as_("admin_b"), str(world["patient2"])
    async with world.sessions() as db, db.begin():
        ahead = Relations.kind == Kind.APPOINTMENT.value
        await db.execute(update(Relations).where(ahead).values(until=func.now()))
        there = {"actor_id": world["patient2"], "kind": Kind.ATTACHMENT.value}
        there |= {"organisation_id": world["clinic_b"], "since": func.now(), "source": "test"}
        db.add(Relations(**there))
    asks = f"{API}/organisations/{world['clinic']}/erasure-requests"
    theirs = f"{API}/organisations/{world['clinic_b']}/erasure-requests"
    new = {"person_id": whom, "reason": "asked"}
    request = (await admin.post(asks, json=new)).json()
    assert (request["state"], request["keepers"], request["agreed"]) == ("open", 1, 0)
    (seen,) = (await other.get(theirs)).json()
    assert (seen["id"], seen["ours"], seen["keepers"]) == (request["id"], False, 0)
    assert str(world["clinic"]) not in str(seen)  # who asks is nobody else's business
    path = f"{theirs}/{request['id']}"
    assert code(await other.post(f"{path}/answer", json={"answer": "refused"}))[0] == 422
    assert code(await other.post(f"{path}/withdraw")) == (404, "not_found")
    done = await other.post(f"{path}/answer", json={"answer": "agreed"})
    assert (done.status_code, done.json()["state"]) == (200, "done")
    assert code(await as_("patient2").get(f"{API}/me")) == (401, "not_signed_in")
    (row,) = (await admin.get(f"{API}/organisations/{world['clinic']}/erasures")).json()
    assert (row["person_id"], row["logged"], row["unfinished"]) == (whom, True, False)
    assert code(await other.post(f"{path}/answer", json={"answer": "agreed"}))[0] in {404, 409}
