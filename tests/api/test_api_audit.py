"""The audit over HTTP and in the real programs: sealed within a second, verified by the command."""

import asyncio
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from uuid import uuid4

import pytest
from api_faults import program
from api_world import API, Client, World, code
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from people import audit
from people.policy import Thing
from storage.s3 import S3Objects
from storage.settings import S3Place, Settings

ROOT = Path(__file__).parents[2]
WITHIN_S = 20.0


async def test_a_patient_sees_who_looked_and_the_administrator_the_same(
    as_: Client, world: World
) -> None:
    visit = world["visit"]
    assert (await as_("doctor").get(f"{API}/visits/{visit}/readings")).status_code == 200
    looked = (await as_("patient").get(f"{API}/looked")).json()
    (line,) = [one for one in looked["items"] if one["act"] == "see_visit_readings"]
    assert line["who"]["id"] == str(world["doctor"])
    assert (line["role"], line["about_id"], line["times"]) == ("doctor", str(visit), 1)
    clinic = f"{API}/organisations/{world['clinic']}/audit"
    assert (await as_("clinic_admin").get(clinic)).json()["items"][0]["act"] == "see_visit_readings"
    found = (await as_("clinic_admin").get(clinic)).json()
    assert [one["act"] for one in found["items"]][:2] == ["audit_read", "see_visit_readings"]
    assert (await as_("admin_b").get(clinic)).status_code == 404
    assert (await as_("doctor").get(clinic)).status_code == 403
    foreign = await as_("doctor").get(f"{API}/looked", params={"person_id": str(world["patient"])})
    assert code(foreign) == (404, "not_found")


async def test_pages_are_asked_for_by_the_place_the_last_one_ended(as_: Client) -> None:
    answer = (await as_("patient").get(f"{API}/looked", params={"own": True})).json()
    assert answer["items"]
    last = {"before": "2000-01-01T00:00:00Z", "before_id": str(uuid4())}
    assert (await as_("patient").get(f"{API}/looked", params=last)).json()["items"] == []
    naive = {**last, "before": "2000-01-01T00:00:00"}
    assert (await as_("patient").get(f"{API}/looked", params=naive)).json()["items"] == []
    wrong = await as_("patient").get(f"{API}/looked", params={"before": "yesterday"})
    assert wrong.status_code == 400


async def test_an_export_is_a_file_for_who_has_just_proved_to_be_the_administrator(
    as_: Client, world: World
) -> None:
    url = f"{API}/organisations/{world['clinic']}/audit.csv"
    answer = await as_("clinic_admin").get(url)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"] == 'attachment; filename="audit.csv"'
    assert answer.content.startswith(b"\xef\xbb\xbfat_utc,kind,act,")
    assert code(await as_("clinic_admin").get(url, params={"since": "0001-01-01"})) == (
        422,
        "out_of_range",
    )
    long_ago = datetime.now(UTC) - timedelta(minutes=6)
    async with world.sessions() as db, db.begin():
        await db.execute(text("UPDATE sessions SET proved_at = :at"), {"at": long_ago})
    assert code(await as_("clinic_admin").get(url)) == (403, "step_up_needed")


@pytest.fixture
async def own_home(settings: Settings) -> AsyncIterator[Settings]:
    """A home and a bucket of this test's own: checkpoints of other databases lie in the shared."""
    place = S3Place(settings.s3_endpoint, settings.s3_access_key, settings.s3_secret_key)
    bucket = f"audit-{uuid4().hex}"
    with tempfile.TemporaryDirectory(prefix="ya-", dir="/tmp") as folder:
        Path(folder).chmod(0o711)  # noqa: ASYNC240 - the servers' own user passes through
        home = Path(folder) / "home"
        own = replace(settings, home=home, outside_objects=place, s3_bucket=bucket)
        objects = S3Objects(own)
        await objects.make_bucket()
        objects.close()
        yield own


async def verify(settings: Settings) -> tuple[int, str]:
    """Run `yanasha audit verify`: its exit code and what it says."""
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "ops.cli", "audit", "verify"],
        cwd=ROOT,
        env=settings.to_env(),
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


async def test_what_is_committed_is_sealed_within_a_second_and_the_command_tells_what_is_wrong(
    own_home: Settings, engine: AsyncEngine, tmp_path: Path
) -> None:
    """By the real runner, and read by the real command while it runs."""
    waits = []
    async with program(own_home, "api.runner", tmp_path / "log"):
        await _until_sealed(engine)
        for _ in range(3):
            async with AsyncSession(engine) as db, db.begin():
                await audit.acted(db, uuid4(), "card_issued", Thing(), datetime.now(UTC))
            began = time.monotonic()
            await _until_sealed(engine)
            waits.append(time.monotonic() - began)
    print(f"sealed after {max(waits):.2f} s at most")
    assert median(waits) < 1.0  # one of three may wait for a busy machine
    status, said = await verify(own_home)
    assert (status, "The audit is whole." in said) == (0, True), said
    last = "(SELECT row_id FROM audit_seals ORDER BY sequence DESC LIMIT 1)"
    async with engine.begin() as owner:
        await owner.execute(text("ALTER TABLE audit_acts DISABLE TRIGGER USER"))
        changed = await owner.execute(
            text(f"UPDATE audit_acts SET act = 'x' WHERE id = {last} RETURNING id")  # noqa: S608
        )
        row = changed.scalar_one()
    status, said = await verify(own_home)
    assert status == 1
    assert f"audit_acts/{row}: it does not fit its link" in said
    assert "Traceback" not in said


async def _until_sealed(engine: AsyncEngine) -> None:
    async with asyncio.timeout(WITHIN_S), engine.connect() as db:
        await db.execution_options(isolation_level="AUTOCOMMIT")
        while await db.scalar(text("SELECT count(*) FROM audit_unsealed")):  # noqa: ASYNC110
            await asyncio.sleep(0.02)
