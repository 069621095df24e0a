"""Who looked: what a person is shown of it, what an administrator is, and what nobody else is."""

import csv
import io
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from people import audit, audit_reports, audit_rows
from people.audit import AuditActs, AuditReads
from people.audit_chain import SOURCES
from people.audit_reports import AuditFilter, ExportTooLarge, Look, plain_cell
from people.organisations import Organisations
from people.persons import Persons
from people.policy import Act, Actor, Kind, Right, Thing
from people.refused import Forbidden, NotFound, OutOfRange
from people.relations import Relations, actor_of, grant
from people.sessions import Caller
from people.step_up import FRESH, StepUpNeeded
from storage.engine import new_id


@dataclass
class Ward:
    """The clinic of the fixtures, and who writes rows into its audit."""

    db: AsyncSession
    clinic: UUID
    doctor: UUID
    patient: UUID
    administrator: UUID
    now: datetime

    async def read(self, minutes_ago: float, visit: UUID, **changes: UUID) -> None:
        """The doctor read the patient's readings."""
        self.db.add(
            AuditReads(
                at=self.now - timedelta(minutes=minutes_ago),
                actor_id=changes.get("actor", self.doctor),
                act=Act.SEE_VISIT_READINGS.value,
                subject_id=changes.get("subject", self.patient),
                organisation_id=changes.get("organisation", self.clinic),
                about_id=visit,
                tables=["readings"],
            )
        )
        await self.db.flush()

    async def acted(self, minutes_ago: float, act: str, actor: UUID | None, **details: str) -> None:
        """Somebody did something to the patient."""
        thing = Thing(subject_id=self.patient, organisation_id=self.clinic)
        at = self.now - timedelta(minutes=minutes_ago)
        await audit.acted(self.db, actor, act, thing, at, details=details)

    async def looked(self, by: UUID | None = None, *, own: bool = False) -> list[Look]:
        """What the patient is shown, or somebody else of the patient."""
        actor = await actor_of(self.db, by or self.patient, self.now)
        found = await audit_reports.who_looked(self.db, actor, self.patient, self.now, own=own)
        return found.items

    async def caller(self, proved: timedelta = timedelta()) -> Caller:
        """The administrator's session."""
        actor = await actor_of(self.db, self.administrator, self.now)
        return Caller(uuid4(), actor, self.administrator, self.now - proved, enrolling=False)

    async def audit(self, **wanted: object) -> list[Look]:
        """What the administrator is shown."""
        caller = await self.caller()
        asked = AuditFilter(**wanted)  # type: ignore[arg-type]
        found = await audit_reports.audit_of(self.db, caller.actor, self.clinic, asked, self.now)
        return found.items

    async def table(self, **wanted: object) -> list[dict[str, str]]:
        """What the administrator exports."""
        asked = AuditFilter(**wanted)  # type: ignore[arg-type]
        caller = await self.caller()
        exported = await audit_reports.export(self.db, caller, self.clinic, asked, self.now)
        return list(csv.DictReader(io.StringIO(exported.decode("utf-8-sig"))))


@pytest.fixture
async def ward(
    db: AsyncSession, clinic: Organisations, doctor: Persons, patient: Persons, now: datetime
) -> Ward:
    """Nobody has looked yet."""
    administrator = await _person(db, clinic.id, Kind.ADMINISTRATION, now)
    return Ward(db, clinic.id, doctor.id, patient.id, administrator, now)


async def _person(db: AsyncSession, where: UUID | None, kind: Kind, now: datetime) -> UUID:
    row = Persons(id=new_id(), family_name="=1+1", given_name="Гөлнара", created_at=now)
    db.add(row)
    await db.flush()
    await grant(db, Right(actor_id=row.id, kind=kind, organisation_id=where, since=now), "test")
    return row.id


async def test_a_person_sees_who_looked_in_which_hat_when_and_why(ward: Ward) -> None:
    visit = uuid4()
    await grant_earlier(ward)
    await ward.read(5, visit)
    (look,) = await ward.looked()
    assert look.who is not None
    assert look.organisation is not None
    assert (look.who.name, look.role, look.organisation.name) == (
        "Амина Хасан",
        "doctor",
        "Поликлиника",
    )
    assert (look.kind, look.act, look.about_id) == ("read", "see_visit_readings", visit)
    assert look.until == ward.now - timedelta(minutes=5)


async def grant_earlier(ward: Ward) -> None:
    """The doctor has worked here since yesterday."""
    await ward.db.execute(text("UPDATE relations SET since = since - interval '1 day'"))


async def test_many_reads_of_one_sitting_are_one_line_with_a_count(ward: Ward) -> None:
    first, second = uuid4(), uuid4()
    for minute in (0, 10, 20, 49, 90, 95):
        await ward.read(minute, first)
    await ward.read(15, second)
    found = [(one.about_id, one.times, one.since, one.until) for one in await ward.looked()]
    at = [ward.now - timedelta(minutes=minute) for minute in (0, 15, 49, 90, 95)]
    assert found == [
        (first, 4, at[2], at[0]),
        (second, 1, at[1], at[1]),
        (first, 2, at[4], at[3]),
    ]


async def test_what_a_person_did_to_their_own_is_shown_only_when_asked(ward: Ward) -> None:
    await ward.read(5, uuid4(), actor=ward.patient)
    await ward.acted(3, "device_revoked", ward.patient)
    await ward.acted(2, "card_issued", ward.administrator, number="17")
    await ward.acted(1, "sign_in_failed", None)
    assert [one.act for one in await ward.looked()] == ["sign_in_failed", "card_issued"]
    everything = await ward.looked(own=True)
    assert [one.act for one in everything] == [
        "sign_in_failed",
        "card_issued",
        "device_revoked",
        "see_visit_readings",
    ]
    assert everything[0].who is None
    assert [one.role for one in everything[2:]] == [None, None]
    assert not any(one.details for one in everything)  # whence others came is not theirs to know


async def test_nobody_else_is_shown_who_looked(ward: Ward) -> None:
    """Not the doctor who did, not the administrator; a guardian who sees the health is."""
    await ward.read(5, uuid4())
    stranger = await _person(ward.db, ward.clinic, Kind.ATTACHMENT, ward.now)
    for other in (ward.doctor, ward.administrator, stranger):
        with pytest.raises(NotFound):
            await ward.looked(by=other)
    parent = await _person(ward.db, None, Kind.GUARDIANSHIP, ward.now)
    with pytest.raises(NotFound):
        await ward.looked(by=parent)
    right = Right(actor_id=parent, kind=Kind.CHILD_HEALTH, subject_id=ward.patient, since=ward.now)
    await grant(ward.db, right, "test")
    assert len(await ward.looked(by=parent)) == 1
    with pytest.raises(NotFound):
        await audit_reports.who_looked(ward.db, Actor(None), ward.patient, ward.now)


async def test_pages_follow_each_other_without_a_gap_or_a_repeat(
    ward: Ward, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also among rows of the same moment, and when a page ends inside a batch."""
    monkeypatch.setattr(audit_reports, "BATCH", 4)
    monkeypatch.setattr(audit_reports, "PAGE", 3)
    visits = [uuid4() for _ in range(11)]
    for number, visit in enumerate(visits):
        await ward.read(40 * (number // 3), visit)
    actor = await actor_of(ward.db, ward.patient, ward.now)
    seen, after = [], None
    for _ in range(20):
        page = await audit_reports.who_looked(ward.db, actor, ward.patient, ward.now, after=after)
        seen += [one.about_id for one in page.items]
        after = page.more
        if after is None:
            break
    assert after is None
    assert sorted(map(str, seen)) == sorted(map(str, visits))


async def test_a_page_of_one_long_sitting_does_not_end_at_a_batch(
    ward: Ward, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_reports, "BATCH", 5)
    visit = uuid4()
    for number in range(18):
        await ward.read(number, visit)
    assert [one.times for one in await ward.looked()] == [18]


async def test_an_administrator_sees_what_happened_in_his_organisation_only(ward: Ward) -> None:
    other = Organisations(id=new_id(), kind="clinic", name="Чужая")
    ward.db.add(other)
    await ward.db.flush()
    visit = uuid4()
    await ward.read(5, visit)
    await ward.read(4, uuid4(), organisation=other.id)
    await audit.refused(
        ward.db,
        ward.doctor,
        "close_visit",
        Thing(organisation_id=ward.clinic, about=(visit,)),
        ward.now - timedelta(minutes=2),
        where="media",
    )
    found = await ward.audit()
    assert [(one.kind, one.act) for one in found] == [
        ("refusal", "close_visit"),
        ("read", "see_visit_readings"),
    ]
    assert found[1].subject is not None
    assert found[1].subject.id == ward.patient
    assert (await ward.audit())[0].act == "audit_read"  # his looking is itself part of it
    caller = await ward.caller()
    with pytest.raises(NotFound):
        await audit_reports.audit_of(ward.db, caller.actor, other.id, AuditFilter(), ward.now)
    for somebody in (ward.doctor, ward.patient):
        actor = await actor_of(ward.db, somebody, ward.now)
        with pytest.raises(Forbidden):
            await audit_reports.audit_of(ward.db, actor, ward.clinic, AuditFilter(), ward.now)


async def test_the_audit_is_filtered_by_a_person_on_either_side(ward: Ward) -> None:
    somebody = uuid4()
    await ward.read(5, uuid4())
    await ward.read(4, uuid4(), subject=somebody)
    await ward.acted(3, "card_issued", ward.administrator)
    by_patient = await ward.audit(person_id=ward.patient)
    assert [one.act for one in by_patient] == ["card_issued", "see_visit_readings"]
    by_doctor = await ward.audit(person_id=ward.doctor)
    assert [one.act for one in by_doctor] == ["see_visit_readings"] * 2
    assert (await ward.looked())[0].act == "audit_read"
    assert (await ward.audit(person_id=somebody))[0].about_id is not None


async def test_whoever_asks_for_a_person_of_elsewhere_learns_and_leaves_nothing(
    ward: Ward,
) -> None:
    """No name is told, and the person's own list does not speak of this organisation."""
    other = Organisations(id=new_id(), kind="clinic", name="Чужая")
    ward.db.add(other)
    await ward.db.flush()
    far = await _person(ward.db, other.id, Kind.ATTACHMENT, ward.now)
    for _ in range(2):
        assert await ward.audit(person_id=far) == []
        assert await ward.table(person_id=far) == []
    acts = select(AuditActs.act, AuditActs.subject_id, AuditActs.details).where(
        AuditActs.actor_id == ward.administrator
    )
    kept = [(one.act, one.subject_id, one.details) for one in await ward.db.execute(acts)]
    assert sorted({one[0] for one in kept}) == ["audit_exported", "audit_read"]
    assert all(one[1:] == (None, {"person": str(far)}) for one in kept)
    assert not any(one.subject for one in await ward.audit())
    actor = await actor_of(ward.db, far, ward.now)
    assert (await audit_reports.who_looked(ward.db, actor, far, ward.now)).items == []


async def test_every_page_of_the_audit_that_is_read_leaves_a_row(ward: Ward) -> None:
    """A place to go on from may be made up: whoever begins in the middle has looked too."""
    await ward.read(5, uuid4())
    actor = (await ward.caller()).actor
    place = audit_rows.Place(ward.now, uuid4())
    page = await audit_reports.audit_of(
        ward.db, actor, ward.clinic, AuditFilter(), ward.now, after=place
    )
    assert len(page.items) == 1
    acts = select(AuditActs.actor_id).where(AuditActs.act == "audit_read")
    assert (await ward.db.scalars(acts)).all() == [ward.administrator]


async def test_days_are_local_and_both_ends_count(ward: Ward) -> None:
    """The clinic's clock is three hours ahead of ours: 21:00 UTC is its midnight."""
    for hours in (12 - 0.01, 12 + 0.01):  # around 21:00 UTC of the day before
        await ward.read(60 * hours, uuid4())
    day = (ward.now + timedelta(hours=3)).date()
    before = day - timedelta(days=1)

    async def reads(**wanted: object) -> int:
        return sum(one.kind == "read" for one in await ward.audit(**wanted))

    assert await reads(since=day) == 1
    assert await reads(until=before) == 1
    assert await reads(since=before, until=day) == 2
    assert await reads(since=day, until=before) == 0
    for wrong in (date.min, date.max):
        with pytest.raises(OutOfRange):
            await reads(since=wrong)


async def test_an_export_has_every_row_its_seal_and_nothing_a_spreadsheet_would_run(
    ward: Ward,
) -> None:
    await ward.read(5, uuid4())
    await ward.read(4, uuid4())
    await ward.acted(3, "card_issued", ward.administrator, number="17")
    rows = await ward.table()
    assert [row["act"] for row in rows] == ["card_issued", *["see_visit_readings"] * 2]
    assert (rows[0]["details"], rows[0]["subject"]) == ("number=17", "Ринат Хасан")
    assert rows[0]["who"] == "Гөлнара =1+1"
    acts = select(AuditActs.act, AuditActs.actor_id).where(AuditActs.act == "audit_exported")
    assert (await ward.db.execute(acts)).all() == [("audit_exported", ward.administrator)]
    assert [plain_cell(one) for one in ("=1+1", "+7", "-1", "@x", "\t=1", "＝1", "1=1")] == [
        *("'=1+1", "'+7", "'-1", "'@x", "'\t=1", "'＝1", "1=1")
    ]


async def test_an_export_is_put_together_beside_what_else_is_served(
    ward: Ward, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a thread of its own, and the rights are gone through once, not for each row."""
    threads: list[str] = []

    def cell(text: str) -> str:
        threads.append(threading.current_thread().name)
        return plain_cell(text)

    monkeypatch.setattr(audit_reports, "plain_cell", cell)
    await ward.read(5, uuid4())
    await ward.table()
    assert threads
    assert threading.main_thread().name not in threads

    class Counted(list[Relations]):
        walks = 0

        def __iter__(self) -> Iterator[Relations]:
            self.walks += 1
            return super().__iter__()

    rights = Counted((await ward.db.scalars(select(Relations))).all())
    names = audit_rows.Names({}, {ward.clinic: ("Поликлиника", "clinic")}, rights)
    row = audit_rows.AuditRow(
        "read", uuid4(), ward.now, ward.doctor, "x", ward.patient, ward.clinic, None, None
    )
    assert [names.role(row) for _ in range(3)] == ["doctor"] * 3
    assert rights.walks == 1


async def test_an_export_asks_for_a_fresh_proof(ward: Ward) -> None:
    caller = await ward.caller(proved=FRESH + timedelta(seconds=1))
    with pytest.raises(StepUpNeeded):
        await audit_reports.export(ward.db, caller, ward.clinic, AuditFilter(), ward.now)


async def test_an_export_that_would_be_too_large_is_refused(
    ward: Ward, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_reports, "EXPORT_MOST", 2)
    for number in range(3):
        await ward.read(number, uuid4())
    with pytest.raises(ExportTooLarge) as refused:
        await ward.table()
    assert refused.value.params == {"most": 2}


@pytest.mark.parametrize("whose", ["person", "organisation", "one of it"])
async def test_every_question_is_answered_by_an_index(ward: Ward, whose: str) -> None:
    """However long the audit has grown."""
    wanted = AuditFilter(person_id=ward.patient if whose == "one of it" else None)
    if whose == "person":
        tables = [SOURCES[name] for name in ("audit_reads", "audit_acts")]
        ways = [(table, table.c.subject_id == ward.patient) for table in tables]
    else:
        ways = await audit_reports._ways_in(ward.db, ward.clinic, wanted)
    await ward.db.execute(text("SET LOCAL enable_seqscan = off"))
    for table, way in ways:
        query = audit_rows._query(table, way, None, 500)
        sql = query.compile(ward.db.get_bind(), compile_kwargs={"literal_binds": True})
        plan = "\n".join(await ward.db.scalars(text(f"EXPLAIN {sql}")))
        assert "Seq Scan" not in plan, plan
        assert f"ix_{table.name}_" in plan, plan


async def test_the_audit_keeps_no_names_and_no_sentences(ward: Ward) -> None:
    for wrong in ("Амина", "he said so", "x" * 101):
        with pytest.raises(ValueError, match="codes and ids"):
            await ward.acted(1, "card_issued", ward.administrator, reason=wrong)
    with pytest.raises(ValueError, match="codes and ids"):
        await ward.acted(1, "a sentence", ward.administrator)
