"""Demo homes: weeks of readings that look like days of people, the same at every run."""

from collections import Counter
from datetime import date, datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from people import audit
from people.demo import DEVICES, demo_id
from people.device_tokens import Devices
from people.persons import Persons
from telemed.demo_days import households, seed_days
from telemed.reading_tables import Readings


async def move_in(db: AsyncSession, now: datetime) -> None:
    """People and devices of the demo's homes, without the passwords that cost seconds."""
    for home in households(now.date()):
        who = {"id": demo_id(home.login), "given_name": "А", "family_name": "Б"}
        born = {"language": "ru", "born_on": date(1961, 1, 1), "created_at": now}
        await db.execute(insert(Persons).values(who | born))
        for device in DEVICES:
            word = f"{device.word} {home.login}"
            row = {
                "id": demo_id(word),
                "person_id": demo_id(home.login),
                "kind": device.word,
                "name": device.name,
                "kinds": list(device.kinds),
                "token_sha256": word.encode().ljust(32, b" ")[:32],
                "created_at": now,
            }
            await db.execute(insert(Devices).values(row))


async def counted(db: AsyncSession, login: str) -> Counter[str]:
    query = (
        select(Readings.kind, func.count())
        .where(Readings.person_id == demo_id(login))
        .group_by(Readings.kind)
    )
    rows = await db.execute(query, execution_options=audit.WRITE_PATH)
    return Counter(dict(rows.all()))


async def test_weeks_are_there_and_a_later_run_adds_only_what_was_measured_since(
    db: AsyncSession, now: datetime
) -> None:
    """Nothing of the future; one home is quiet, so that its visit is filled live."""
    await move_in(db, now)
    await seed_days(db, now)
    before = await counted(db, "patient.timur")
    assert before["blood_pressure"] >= 150
    assert before["glucose"] >= 150
    assert before["cgm_glucose"] > 288
    assert min(before[kind] for kind in ("weight", "spo2", "cholesterol_ldl", "triglyceride")) >= 3

    query = select(Readings.person_id, func.max(Readings.taken_at)).group_by(Readings.person_id)
    newest = dict((await db.execute(query, execution_options=audit.WRITE_PATH)).all())
    assert max(newest.values()) <= now
    assert newest[demo_id("patient.rinat")] <= now - timedelta(days=2)
    assert newest[demo_id("patient.timur")] > now - timedelta(minutes=30)

    await seed_days(db, now + timedelta(days=1))
    added = await counted(db, "patient.timur") - before
    assert added["cgm_glucose"] == 288
    assert 2 <= added["blood_pressure"] <= 4
