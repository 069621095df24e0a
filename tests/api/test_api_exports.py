"""A person's archive, and the end of a person, over HTTP."""

import io
import json
import zipfile
from datetime import timedelta

from api_world import API, Client, World, code, reading
from sqlalchemy import func, update

from people.policy import Kind
from people.relations import Relations
from people.sessions import Sessions
from storage.data_keys import keys_of


async def test_the_archive_holds_what_is_ones_own(as_: Client, world: World) -> None:
    """Readings, visits, who looked; nothing of the secrets that open accounts."""
    cuff = as_()
    cuff.headers["Authorization"] = f"Bearer {world.device_tokens['patient:cuff']}"
    await cuff.post(f"{API}/readings", json={"readings": [reading(1), reading(2)]})
    await as_("doctor").get(f"{API}/visits/{world['visit']}/readings")

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
    assert rows("person")[0]["family_name"] == "Patient"
    everything = b"".join(packed.read(name) for name in packed.namelist())
    assert b"token_sha256" not in everything
    assert b"Patient2" not in everything

    theirs = zipfile.ZipFile(io.BytesIO((await as_("patient2").get(f"{API}/me/export")).content))
    assert theirs.read("readings.jsonl") == b""


async def test_the_archive_waits_for_a_proof(as_: Client, world: World) -> None:
    """Whoever finds an open browser does not carry everything away."""
    async with world.sessions() as db, db.begin():
        whose = Sessions.person_id == world["patient"]
        await db.execute(
            update(Sessions).where(whose).values(proved_at=Sessions.proved_at - timedelta(hours=1))
        )
    assert code(await as_("patient").get(f"{API}/me/export")) == (403, "step_up_needed")
    assert code(await as_().get(f"{API}/me/export")) == (401, "not_signed_in")


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

    lifted = await admin.post(f"{clinic}/holds/{hold.json()['id']}/lift")
    assert lifted.status_code == 204
    done = await admin.post(f"{clinic}/erasures", json=new)
    assert (done.status_code, done.json()["done"]) == (201, False)
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
