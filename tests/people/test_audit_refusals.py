"""A forbidden act that was tried leaves a row: who, what, about what, when and where."""

from datetime import datetime
from uuid import uuid4

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from people import audit
from people.audit import AuditRefusals
from people.organisations import Organisations
from people.persons import Persons
from people.policy import Act, Actor, Thing, require
from people.refused import Forbidden
from people.relations import actor_of


async def test_a_refused_act_leaves_a_row(
    db: AsyncSession, doctor: Persons, clinic: Organisations, now: datetime
) -> None:
    """With what the refusal carries; the narrowest id comes first."""
    lesson, group = uuid4(), uuid4()
    thing = Thing(organisation_id=clinic.id, about=(lesson, group))
    actor = await actor_of(db, doctor.id, now)
    with pytest.raises(Forbidden) as refusal:
        require(actor, Act.LEAD_LESSON, thing, now)
    tried = refusal.value
    assert tried.act is Act.LEAD_LESSON
    assert tried.thing is thing
    assert tried.actor_id == doctor.id
    await audit.refused(db, doctor.id, tried.act, tried.thing, now, where="endLesson")
    row = await db.scalar(select(AuditRefusals).where(AuditRefusals.actor_id == doctor.id))
    assert row is not None
    assert (row.at, row.act, row.route) == (now, "lead_lesson", "endLesson")
    assert (row.about_id, row.organisation_id) == (lesson, clinic.id)


async def test_a_refusal_about_nothing_in_particular_leaves_a_row_too(
    db: AsyncSession, doctor: Persons, now: datetime
) -> None:
    """As from the media worker, or of a rule that names no thing."""
    await audit.refused(db, doctor.id, "publish_audio", Thing(), now, where="media")
    row = await db.scalar(select(AuditRefusals).where(AuditRefusals.actor_id == doctor.id))
    assert row is not None
    assert (row.act, row.about_id, row.organisation_id, row.route) == (
        "publish_audio",
        None,
        None,
        "media",
    )


def test_the_caller_is_told_nothing_of_what_the_audit_is(now: datetime) -> None:
    """Act and thing stay inside: the problem document has no params and no fields."""
    with pytest.raises(Forbidden) as refusal:
        require(Actor(uuid4()), Act.LEAD_LESSON, Thing(about=(uuid4(),)), now)
    assert (refusal.value.params, refusal.value.errors) == ({}, ())
    assert str(refusal.value) == "forbidden"
    assert (Forbidden().act, Forbidden().thing) == (None, None)


def test_refusals_are_no_health_table() -> None:
    """They name acts, not findings: an administrator may look at them."""
    assert "audit_refusals" not in audit.health_tables()
